"""dictionary_learning's layout: ae.pt, a state dict, beside the config.json of its training (often in trainer_0/).

Written by training.py, trainSAE: trainer_N/ae.pt at the end, trainer_N/checkpoints/ae_STEP.pt during training.
config.json names the class, and the file must hold exactly its tensors. Classes that compute differently have the same
tensors, so tensors identify a class only if they are unique to it.

x is never normalised at inference: with normalize_activations, trainSAE multiplies biases and thresholds by the norm
(each class's scale_biases) before it saves. Only backups of unfinished training runs (backup_steps, since May 2025)
store them unscaled, with the factor, and are scaled here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from sandbox.checkpoints.activation_functions import Gate, JumpReLU, ReLU, TopK
from sandbox.checkpoints.dictionary_learning_classes import (
    CLASSES,
    EARLIER_NAMES,
    ENCODER_WEIGHT,
    SCALED,
    SINCE_2024_12_22,
)
from sandbox.checkpoints.files import PICKLED
from sandbox.checkpoints.layout import DECODER, TRANSCODER, Candidate, Contents, Conventions, Layout, Option, Variant
from sandbox.errors import InputError

COMPILED = "_orig_mod."
"""torch.compile's prefix of every name."""

BACKUP = "norm_factor of the backup"
"""The key of a backup's factor among its settings. No setting of the library has this name."""


def _recognise(candidate: Candidate) -> bool:
    """Whether there is a configuration of a trainer, or the tensors have the library's names."""
    if isinstance(candidate.settings.get("trainer"), dict):
        return True
    names = set(_plain(_state(candidate.tensors)))
    known = {name for dictionary in CLASSES.values() for name in dictionary.tensors}
    return names <= known and ({*ENCODER_WEIGHT, *DECODER} <= names or {"W_enc", "W_dec", "threshold"} <= names)


def _state(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict, which a backup wraps."""
    return stored["ae"] if isinstance(stored.get("ae"), dict) else stored


def _prefix(state: Iterable[str]) -> str:
    return COMPILED if state and all(str(name).startswith(COMPILED) for name in state) else ""


def _plain(state: Iterable[str]) -> list[str]:
    return [str(name).removeprefix(_prefix(state)) for name in state]


def _open(candidate: Candidate) -> Contents:
    """The state dict, and the settings of its training run: `trainer` in config.json, or `config` in a backup."""
    contents, stored = Contents.of(candidate), candidate.tensors
    sections = (contents.settings.get(name) for name in ("trainer", "buffer"))
    trainer, buffer = (section if isinstance(section, dict) else {} for section in sections)
    if buffer.get("io", "out") not in ("in", "out"):  # buffer.py: in_and_out, earlier in_to_out
        raise InputError(
            f"{contents.settings_path}: io is {buffer['io']!r}, {TRANSCODER}; measure x and x̂ as files instead"
        )
    if "ae" in stored:
        own, factor = stored.get("config"), stored.get("norm_factor")
        if not isinstance(own, dict) or not isinstance(factor, float) or not 0 < factor < math.inf:
            raise InputError(
                f"{candidate.path}: a backup needs its config and a positive norm_factor; norm_factor is {factor!r}"
            )
        if trainer and trainer.get("dict_class") != own.get("dict_class"):
            both = f"{own.get('dict_class')!r} in the backup but {trainer.get('dict_class')!r} in config.json"
            raise InputError(f"{candidate.path}: dict_class is {both}; keep the files of a training run together")
        return Contents(candidate.path, _state(stored), candidate.path, {**own, BACKUP: factor})
    return Contents(candidate.path, stored, contents.settings_path, trainer)


def _class(contents: Contents) -> str:
    """The class that the configuration names; without one, the only class with these tensors."""
    names, dict_class = set(_plain(contents.stored)), contents.settings.get("dict_class")
    matching = [name for name, dictionary in CLASSES.items() if set(dictionary.tensors) == names]
    if dict_class is None:
        if len(matching) == 1 and CLASSES[matching[0]].unique:
            return matching[0]
        fit = f"may be those of {' or '.join(matching)}, or of another library" if matching else "fit no class"
        raise InputError(
            f"{contents.path}: no configuration names its class, and its tensors ({', '.join(sorted(names)) or 'none'})"
            f" {fit}; put the config.json of its training run, which has trainer.dict_class, next to it"
        )
    name = EARLIER_NAMES.get(str(dict_class), str(dict_class))
    if name not in CLASSES:
        raise contents.refused("dict_class", f"; supported: {', '.join(CLASSES)}")
    if matching and name not in matching:
        raise contents.refused("dict_class", f", but the tensors are those of {' or '.join(matching)}; one is wrong")
    trained = str(contents.settings.get("trainer_class"))
    if "TopK" in trained and ("BatchTopK" in trained) != ("BatchTopK" in name):
        raise contents.refused("dict_class", f", but trainer_class is {trained}: the settings contradict each other")
    return name


def _tensors(contents: Contents) -> Variant:
    name, prefix = _class(contents), _prefix(contents.stored)
    tensors = CLASSES[name].tensors
    if name == "AutoEncoderTopK" and not SINCE_2024_12_22 & set(_plain(contents.stored)):
        tensors = {key: weight for key, weight in tensors.items() if key not in SINCE_2024_12_22}
    return Variant(f"its class, {name},", {prefix + key: weight for key, weight in tensors.items()})


def _conventions(contents: Contents) -> Conventions:
    name, settings, tensors, notes = _class(contents), contents.settings, dict(contents.tensors), []
    counts = {key: tensors[key].tolist() for key in ("k", "group_sizes") if key in tensors}
    for key, value in counts.items():
        if key in settings and settings[key] != value:
            raise contents.refused(key, f", but {value} in the weights")
    if (groups := counts.get("group_sizes")) is not None:
        if min(groups, default=0) < 1 or sum(groups) != contents.d_sae:
            needed = f"must be positive and add up to {contents.d_sae}"
            raise InputError(f"{contents.path}: group_sizes are {groups}, but {needed}")
        notes.append(f"all {len(groups)} groups active")
    in_training = ""
    if "BatchTopK" in name:
        in_training = f" (threshold {tensors['threshold'].item():.6g} for all latents, k = {counts['k']} in training)"
    factor = settings.get(BACKUP)
    if factor is not None:
        tensors |= {role: tensors[role] * factor for role in SCALED & set(tensors)}
        notes.append(f"backup of an unfinished training run, biases multiplied by norm_factor {factor:.6g}")
    return Conventions(
        _activation(contents, name, tensors, {**settings, **counts}),
        subtract_b_dec=CLASSES[name].subtracts,
        notes=(name + in_training, *notes),
        tensors=tensors,
        unwritable=lambda _: _unwritable(contents),
    )


def _activation(contents: Contents, name: str, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> nn.Module:
    if name == "GatedAutoEncoder":
        return Gate(tensors["b_gate"], tensors["b_mag"], tensors["r_mag"])
    if name == "AutoEncoderTopK":
        return TopK(contents.count("k", settings))
    if "threshold" not in tensors:
        return ReLU()
    if "BatchTopK" in name and (threshold := contents.tensors["threshold"]) < 0:
        raise InputError(
            f"{contents.path}: threshold is {threshold.item():g}: training ended before it was set (after "
            f"threshold_start_step), and without it a {name} can encode only whole batches; continue the training, or "
            "measure x and x̂ as files"
        )
    return JumpReLU(tensors["threshold"])


def _unwritable(contents: Contents) -> str:
    if BACKUP in contents.settings:
        return "a backup of an unfinished training run can be read, but not written"
    if contents.settings_path.parent != contents.path.parent:
        return "its config.json is one folder up; copy it next to the weights, so that both can be written"
    return ""


_OUTSIDE = Option((None, False), reason="which may change x̂ and is not in the weights: fold it into them")

DICTIONARY_LEARNING = Layout(
    name="dictionary_learning",
    weights=("ae.pt", "trainer_*/ae.pt"),
    suffixes=PICKLED,
    settings_file="config.json",
    settings_optional=True,
    tensors=_tensors,
    settings={
        "activation_dim": Option(size="i"),
        "dict_size": Option(size="s"),
        # trainSAE never stores them
        **dict.fromkeys(("normalize_activations", "norm_factor", "apply_b_dec_to_input"), _OUTSIDE),
    },
    unlisted=True,  # each trainer stores its own
    recognise=_recognise,
    open=_open,
    conventions=_conventions,
)
"""The library's classes, by name: standard, gated, JumpReLU, top k, batch top k and Matryoshka."""
