"""The origin of the activations that an SAE was trained on, from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.activations.origin import Origin
from sandbox.checkpoints.checkpoint import Checkpoint

HOOK = ("hook_name", "hook_point", "hook_point_in", "hf_hook_point_in", "submodule_name")
HOOK_OUT = ("hook_name_out", "hook_point_out", "hf_hook_point_out")
MODEL = ("model_name", "lm_name")
LOADED = ("model_from_pretrained_kwargs", "model_kwargs")
"""The libraries' names for each, SAELens's first. SAELens 6 keeps them in `metadata`, dictionary_learning in
`trainer`."""


def trained_on(sae: Checkpoint | Any) -> Origin | None:
    """The origin that the settings of a checkpoint, or of a SAELens object, state; None if they state none."""
    return _stated(sae, HOOK)


def reconstructs(sae: Checkpoint | Any) -> Origin | None:
    """The origin of what a transcoder reconstructs, if its settings state one; otherwise None."""
    return _stated(sae, HOOK_OUT)


def _stated(sae: Checkpoint | Any, hooks: tuple[str, ...]) -> Origin | None:
    if isinstance(sae, Checkpoint):
        name = sae.settings_file
        return None if name is None else _origin(sae.files.settings(name), name, hooks)
    settings = getattr(sae, "cfg", None)
    return None if settings is None else _origin(as_dict(settings), "its cfg", hooks)


def _origin(settings: Mapping[str, Any], source: str, hooks: tuple[str, ...]) -> Origin | None:
    sections = [settings, *(as_dict(settings.get(name)) for name in ("metadata", "trainer"))]

    def first(keys: tuple[str, ...], kind: type) -> Any:
        return next((section[key] for key in keys for section in sections if isinstance(section.get(key), kind)), None)

    hook, layer = first(hooks, str) or "", first(("layer",), int)
    if hook in ("resid_pre", "resid_post", "resid_mid", "mlp_out", "attn_out") and layer is not None:
        hook = f"{hook}_layer_{layer}"
    model, loaded = first(MODEL, str) or "", first(LOADED, dict)
    return Origin(source, hook, model, loaded or {}) if hook or model or loaded else None


def as_dict(settings: Any) -> Mapping[str, Any]:
    """Settings by name, from a dict or from an object's attributes."""
    return settings if isinstance(settings, dict) else getattr(settings, "__dict__", {})
