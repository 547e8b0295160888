"""Whether the activations are those that the SAE was trained on: place, model, and how the model was loaded.

SAEs read any activations of their width, and those of the next layer give a γ that looks as good as the right one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sandbox.activations.origin import Origin
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.hooks import STREAM, spot

ALIASES = {"gpt2-small": "gpt2"}
"""TransformerLens's names of models that the hub has under others, where it is no matter of capitals or a prefix."""

HARMLESS = {
    *("device", "device_map", "n_devices", "move_to_device", "low_cpu_mem_usage", "attn_implementation"),
    *("dtype", "torch_dtype", "cache_dir", "local_files_only", "token", "use_safetensors", "trust_remote_code"),
    *("default_padding_side", "default_prepend_bos", "first_n_layers", "hf_model", "tokenizer", "center_unembed"),
    *("fold_ln", "model_class_name"),
}
"""Settings of loading a model that leave the numbers at its hooks as they are, rounding apart. (fold_ln moves weights
of norms into the layers behind them.)"""


def provenance(trained: Origin | None, given: Origin | None, *, of_targets: bool = False) -> list[Finding]:
    """What an SAE's settings say of the activations that it was trained on, against where those to measure come from.

    Args:    trained: of the SAE's settings; given: of the source of the activations; None where nothing is known
             of_targets: whether both are of what a transcoder reconstructs: then only the hook is looked at
    Returns: findings "hook", "model", "model_loaded", each naming both; none where one of the two says nothing

    >>> sae, live = Origin("cfg.json", "blocks.2.hook_resid_pre"), Origin("layer 2", "model.layers.2")
    >>> [finding.key for finding in provenance(sae, live)]
    ['hook']
    """
    if trained is None or given is None:
        return []
    if of_targets:
        return _look_at_hook(trained, given, "a transcoder of", "targets")
    return [*_look_at_hook(trained, given), *_look_at_model(trained, given), *_look_at_loading(trained, given)]


def _look_at_hook(trained: Origin, given: Origin, how: str = "trained on", what: str = "activations") -> list[Finding]:
    if not (trained.hook and given.hook) or trained.hook == given.hook:
        return []
    wanted, found = spot(trained.hook), spot(given.hook)
    if wanted is None or found is None or not wanted.differs(found):
        return []
    remedy = f"read the {what} that the SAE was trained on"
    if what == "activations" and wanted.part == STREAM and wanted.layer and given.loaded is not None:
        remedy += f", here with --layer {wanted.layer - 1}"
    message = (
        f"the SAE was {how} {wanted}, as {trained.stated_in} says ({trained.hook}), but the {what} are "
        f"{found} ({given.stated_in}): {remedy}"
    )
    return [Finding("hook", message)]


def _look_at_model(trained: Origin, given: Origin) -> list[Finding]:
    if not (trained.model and given.model) or is_same_model(trained.model, given.model):
        return []
    message = (
        f"the SAE was trained on activations of {trained.model}, as {trained.stated_in} says, but these are of "
        f"{given.model}: give the model that it was trained on (if this is it, name its folder so)"
    )
    return [Finding("model", message)]


def _look_at_loading(trained: Origin, given: Origin) -> list[Finding]:
    if trained.loaded is None or given.loaded is None:
        return []
    wanted, found = _changing(trained.loaded), _changing(given.loaded)
    if wanted == found:
        return []
    message = (
        f"the SAE was trained on a model loaded with {_listed(wanted)} (model_from_pretrained_kwargs in "
        f"{trained.stated_in}), but this one was loaded with {_listed(found)}: give activations of a model loaded alike"
    )
    return [Finding("model_loaded", message)]


def _changing(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings that may change what the model computes; what is off is as good as not there."""
    return {key: value for key, value in loaded.items() if key not in HARMLESS and value not in (None, False)}


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in sorted(settings.items())) or "nothing of the kind"


def is_same_model(name: str, other: str) -> bool:
    """Whether a model's name on the hub is another's, or is in the path of a folder, owners and capitals apart.

    >>> is_same_model("google/gemma-2-2b", "/models/Gemma-2-2B"), is_same_model("google/gemma-2-2b", "gemma-2-2b-it")
    (True, False)
    """
    wanted = _words(PurePath(name).name)
    held = [_words(part) for one in PurePath(other).parts for part in one.split("--")]
    return any(part and _ends_with(*sorted((wanted, part), key=len, reverse=True)) for part in held)


def _ends_with(longer: list[str], shorter: list[str]) -> bool:
    return longer[len(longer) - len(shorter) :] == shorter


def _words(name: str) -> list[str]:
    name = name.lower()
    return re.findall(r"[a-z0-9]+", ALIASES.get(name, name))
