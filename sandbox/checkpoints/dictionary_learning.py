"""dictionary_learning's layout: ae.pt, a state dict, beside the config.json of its training (often in trainer_0/).

Written by training.py, trainSAE: trainer_N/ae.pt at the end, trainer_N/checkpoints/ae_STEP.pt on the way. The class is
the one that config.json names, and exactly its tensors must be there; classes that compute differently share tensors,
so the tensors alone decide only where they leave no doubt.

x is never normalised at inference: with normalize_activations, trainSAE multiplies biases and thresholds by the norm
(each class's scale_biases) before it saves. Only the backups of an unfinished training (backup_steps, since May 2025)
keep them unscaled, with the factor beside them, and are scaled here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.checkpoints.activation_functions import Gate, JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.dictionary_learning_classes import (
    CLASSES,
    EARLIER_NAMES,
    LINEAR,
    ROLES,
    SCALED,
    SINCE_2024_12_22,
)
from sandbox.checkpoints.folder import PICKLED, Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.errors import InputError

WEIGHTS, CONFIG = "ae.pt", "config.json"

OUTSIDE = ("normalize_activations", "norm_factor", "apply_b_dec_to_input")
"""Settings that trainSAE never stores: where one is set, something outside the weights may change x̂."""

COMPILED = "_orig_mod."
"""What torch.compile puts before every name."""


@dataclass(frozen=True)
class Held:
    """What lies in a file of weights, and what its configuration says of it.

    Attributes:
        weights:     the state dict, by the names of the library
        prefix:      what stood before each name
        trainer:     the settings of its training
        norm_factor: by which a backup's biases have yet to be multiplied
    """

    place: Place
    file: str
    weights: Mapping[str, Any]
    prefix: str
    trainer: Mapping[str, Any]
    norm_factor: float | None

    @property
    def path(self) -> Path:
        return self.place.folder / self.file


def fits(place: Place) -> bool:
    """Whether ae.pt, or a .pt that was named, has a trainer's configuration or tensors of the library's names."""
    found = _files(place)
    if len(found) != 1:
        return bool(found)
    where, file = found[0]
    if isinstance(_config(where).get("trainer"), dict):
        return True
    names = set(_state(where.tensors(file))[0])
    known = {name for one in CLASSES.values() for name in one.tensors}
    return names <= known and ({*LINEAR} <= names or {"W_enc", "W_dec"} <= names)


def read(place: Place) -> Checkpoint:
    """The SAE, if its class is known and its tensors are exactly that class's."""
    found = _files(place)
    if len(found) > 1:
        folders = ", ".join(where.folder.name for where, _ in found)
        raise InputError(f"--sae {place.given}: holds several SAEs ({folders}); name one of these folders")
    held = _held(*found[0])
    name = _class(held)
    weights, notes = _weights(held, name)
    tensors = {ROLES.get(key, key): weight.mT if key in LINEAR else weight for key, weight in weights.items()}
    if held.norm_factor is not None:
        tensors |= {role: tensors[role] * held.norm_factor for role in SCALED & set(tensors)}
        notes.append(f"backup of an unfinished training, its biases times norm_factor {held.norm_factor:.6g}")
    sae = SAE(
        tensors["W_enc"],
        tensors["W_dec"],
        tensors["b_dec"],
        tensors.get("b_enc"),
        activation=_activation(held, name, tensors),
        subtract_b_dec=CLASSES[name].subtracts,
    )
    return Checkpoint(sae, "dictionary_learning", held.place, lambda sae: _stored(held, weights, sae), tuple(notes))


def _files(place: Place) -> list[tuple[Place, str]]:
    """The file of weights, with its place; several where the folder of a run holds several trainers."""
    if place.file is not None:
        return [(place, place.file.name)] if place.file.suffix in PICKLED else []
    if place.has(WEIGHTS):
        return [(place, WEIGHTS)]
    folders = sorted(path.parent for path in place.folder.glob(f"trainer_*/{WEIGHTS}"))
    return [(Place(f"{place.given}/{folder.name}", folder), WEIGHTS) for folder in folders]


def _config(place: Place) -> dict[str, Any]:
    """config.json: beside the weights, or above those on the way in checkpoints/; nothing if there is none."""
    if place.has(CONFIG):
        return place.config(CONFIG)
    above = place.folder.name == "checkpoints" and (place.folder.parent / CONFIG).is_file()
    return place.config(f"../{CONFIG}") if above else {}


def _state(stored: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The state dict, out of a backup's wrapping and without a prefix; and that prefix."""
    state = stored["ae"] if isinstance(stored.get("ae"), dict) else stored
    prefix = COMPILED if state and all(str(name).startswith(COMPILED) for name in state) else ""
    return {str(name).removeprefix(prefix): tensor for name, tensor in state.items()}, prefix


def _held(place: Place, file: str) -> Held:
    stored, path, config = place.tensors(file), place.folder / file, _config(place)
    weights, prefix = _state(stored)
    trainer = config["trainer"] if isinstance(config.get("trainer"), dict) else {}
    buffer = config["buffer"] if isinstance(config.get("buffer"), dict) else {}
    if buffer.get("io", "out") not in ("in", "out"):  # buffer.py: in_and_out, earlier in_to_out
        raise InputError(
            f"{path}: a transcoder (io is {buffer['io']!r}): its output is no x̂; measure two files instead"
        )
    factor: Any = None
    if "ae" in stored:
        own, factor = stored.get("config"), stored.get("norm_factor")
        if not isinstance(own, dict) or not isinstance(factor, float) or not 0 < factor < math.inf:
            raise InputError(
                f"{path}: a backup of a training has its config and a norm_factor, which is {factor!r} here"
            )
        if trainer and trainer.get("dict_class") != own.get("dict_class"):
            named = f"{own.get('dict_class')!r} in the backup but {trainer.get('dict_class')!r} in {CONFIG}"
            raise InputError(f"{path}: dict_class is {named}; keep together what one training wrote")
        trainer = own
    return Held(place, file, weights, prefix, trainer, factor)


def _class(held: Held) -> str:
    """The class by its name in the configuration; by its tensors only where they leave no doubt."""
    for option in OUTSIDE:
        if held.trainer.get(option) not in (None, False):
            raise InputError(
                f"{held.path}: {option} is {held.trainer[option]!r} in {CONFIG}, which may change x̂ and is not known "
                "here; fold it into the weights, or measure the SAE as a Python object, or x and x̂ as files"
            )
    found, given = _listed(held.weights), held.trainer.get("dict_class")
    of_these = [name for name, one in CLASSES.items() if set(one.tensors) == set(held.weights)]
    if given is None:
        if len(of_these) == 1 and CLASSES[of_these[0]].alone:
            return of_these[0]
        raise InputError(
            f"{held.path}: nothing names its class, and its tensors ({found}) are "
            f"{'not beyond doubt those of ' + ' or '.join(of_these) if of_these else 'not those of any'}; "
            f"put the {CONFIG} of its training, with trainer.dict_class, beside it"
        )
    name = EARLIER_NAMES.get(str(given), str(given))
    if name not in CLASSES:
        raise InputError(f"{held.path}: dict_class is {given!r}; those that are read: {', '.join(CLASSES)}")
    needed = set(CLASSES[name].tensors)
    if name == "AutoEncoderTopK" and not SINCE_2024_12_22 & set(held.weights):
        needed -= SINCE_2024_12_22
    if set(held.weights) != needed:
        hint = f", which are those of {' or '.join(of_these)}" if of_these else ""
        raise InputError(f"{held.path}: its class, {given}, has exactly {_listed(needed)}; found {found}{hint}")
    trained = str(held.trainer.get("trainer_class"))
    if "TopK" in trained and ("BatchTopK" in trained) != ("BatchTopK" in name):
        raise InputError(f"{held.path}: {CONFIG} contradicts itself: dict_class {given}, trainer_class {trained}")
    return name


def _weights(held: Held, name: str) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors in float32, of shapes that fit each other and the configuration; and what is worth a line."""
    codes = {key: code for key, code in CLASSES[name].tensors.items() if key in held.weights}
    encoder = "encoder.weight" if "encoder.weight" in codes else "W_enc"
    shape = getattr(held.weights[encoder], "shape", ())
    if len(shape) != 2:
        raise InputError(f"{held.path}: {encoder} has the shape {tuple(shape)}; a matrix is needed")
    sizes = dict(zip(codes[encoder], shape, strict=True))
    counts = {key: _counts(held, key, codes.pop(key)) for key in ("k", "group_sizes") if key in codes}
    if name == "AutoEncoderTopK":
        codes.pop("threshold", None)  # not used, and infinite where training met a token without any latent
    shapes = {key: tuple(sizes[letter] for letter in code) for key, code in codes.items()}
    weights = checked(held.path, held.weights, shapes)
    for setting, found in {"activation_dim": sizes["i"], "dict_size": sizes["s"], **counts}.items():
        if setting in held.trainer and held.trainer[setting] != found:
            said = held.trainer[setting]
            raise InputError(f"{held.path}: {setting} is {found} in the weights but {said!r} in {CONFIG}")
    notes = [name]
    if "BatchTopK" in name:
        notes[0] += (
            f" (threshold {held.weights['threshold'].item():.6g} for all latents, k = {counts['k']} in training)"
        )
    if (groups := counts.get("group_sizes")) is not None:
        if min(groups) < 1 or sum(groups) != sizes["s"]:
            raise InputError(f"{held.path}: group_sizes are {groups}, but must be above 0 and add up to {sizes['s']}")
        notes.append(f"all {len(groups)} groups active")
    return weights, notes


def _counts(held: Held, name: str, code: str) -> Any:
    """A stored whole number, or several."""
    tensor = held.weights[name]
    whole = isinstance(tensor, Tensor) and tensor.dtype in (torch.int32, torch.int64)
    if not whole or tensor.ndim != len(code) or not tensor.numel():
        raise InputError(f"{held.path}: {name} is {tensor!r}, not {'whole numbers' if code else 'a whole number'}")
    return tensor.tolist()


def _activation(held: Held, name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    if name == "GatedAutoEncoder":
        return Gate(tensors["b_gate"], tensors["b_mag"], tensors["r_mag"])
    if name == "AutoEncoderTopK":
        k = held.weights["k"].item() if "k" in held.weights else held.trainer.get("k")
        d_sae = len(held.weights["encoder.weight"])
        if type(k) is not int or not 0 < k <= d_sae:
            raise InputError(f"{held.path}: k is {k!r}; a whole number from 1 to d_sae = {d_sae} is needed")
        return TopK(k)
    if "threshold" not in tensors:
        return ReLU()
    if "BatchTopK" in name and tensors["threshold"] < 0:
        raise InputError(
            f"{held.path}: threshold is {held.weights['threshold'].item():g}: training ended before it was set (after "
            f"threshold_start_step), and without it a {name} knows only whole batches; train on, or measure two files"
        )
    return JumpReLU(tensors["threshold"])


def _stored(held: Held, weights: Mapping[str, Tensor], sae: SAE) -> Stored:
    """The tensors that change with the decoder. Classes that subtract their bias have an encoder's to make up."""
    if held.norm_factor is not None:
        raise InputError(f"{held.path}: a backup of an unfinished training can be read, but not written anew")
    if held.place.folder.name == "checkpoints" and not held.place.has(CONFIG):
        raise InputError(f"{held.path}: its {CONFIG} is in the folder above; copy it beside the weights, to write both")
    new: dict[str, Tensor | None] = {"W_dec": sae.W_dec, "b_dec": sae.b_dec}
    if sae.subtract_b_dec:
        new["b_enc"] = sae.b_enc
        if isinstance(sae.activation, Gate):
            new |= {"b_gate": sae.activation.b_gate, "b_mag": sae.activation.b_mag}
    changed = {name: new[ROLES.get(name, name)] for name in weights if ROLES.get(name, name) in new}
    oriented = {name: tensor.mT if name in LINEAR else tensor for name, tensor in changed.items() if tensor is not None}
    return Stored(held.file, {held.prefix + name: tensor for name, tensor in oriented.items()})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


DICTIONARY_LEARNING = Layout("dictionary_learning", f"{WEIGHTS} and {CONFIG}, also in trainer_0", fits, read)
