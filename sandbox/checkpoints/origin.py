"""What the settings of an SAE say of the activations that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.activations.origin import Origin
from sandbox.checkpoints.layout import Checkpoint
from sandbox.errors import InputError

FILES = ("cfg.json", "config.json", "hyperparams.json", "../config.json")
"""Where the layouts keep their settings; of dictionary_learning's checkpoints/, in the folder above."""

HOOK = ("hook_name", "hook_point", "hook_point_in", "hf_hook_point_in", "submodule_name")
MODEL = ("model_name", "lm_name")
LOADED = ("model_from_pretrained_kwargs", "model_kwargs")
"""The libraries' names for each, SAELens's first; its version 6 has them under `metadata`, dictionary_learning under
`trainer`."""


def trained_on(sae: Checkpoint | Any) -> Origin | None:
    """Where the activations came from that a checkpoint, or an object of SAELens, was trained on; None: nobody says."""
    if isinstance(sae, Checkpoint):
        place = sae.place
        name = next((one for one in FILES if (place.folder / one).is_file()), None)
        try:
            return None if name is None else _origin(place.config(name), name)
        except InputError:  # a file of that name that has nothing to do with the SAE, or it would have been refused
            return None
    settings = getattr(sae, "cfg", None)
    return None if settings is None else _origin(_as_dict(settings), "its cfg")


def _origin(settings: Mapping[str, Any], said: str) -> Origin | None:
    every = [settings, *(_as_dict(settings.get(part)) for part in ("metadata", "trainer"))]

    def first(keys: tuple[str, ...], kind: type) -> Any:
        return next((held[key] for key in keys for held in every if isinstance(held.get(key), kind)), None)

    hook, layer = first(HOOK, str) or "", first(("layer",), int)
    if hook in ("resid_pre", "resid_post", "resid_mid", "mlp_out", "attn_out") and layer is not None:
        hook = f"{hook}_layer_{layer}"
    model, loaded = first(MODEL, str) or "", first(LOADED, dict)
    return Origin(said, hook, model, loaded or {}) if hook or model or loaded else None


def _as_dict(held: Any) -> Mapping[str, Any]:
    """Settings by name, of a dict or of an object that keeps them as its attributes."""
    return held if isinstance(held, dict) else getattr(held, "__dict__", {})
