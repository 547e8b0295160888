"""A candidate ► a checkpoint. Checks settings and tensors against the layout, folds scales, and can write it back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.layout import INSTEAD, Candidate, Contents, Conventions, Layout, Option, Variant, Weight
from sandbox.errors import InputError

AXES = {"W_enc": "is", "W_dec": "si"}
"""The orientation of an SAE's matrices."""


def read(layout: Layout, candidate: Candidate, k: int | None = None) -> Checkpoint:
    """The checkpoint.

    Args:   k: active latents per token, for a layout that asks for it
    Raises: InputError for a setting or a tensor that the layout does not list, for a k that is missing, or for one that
            the layout does not ask for
    """
    contents = layout.open(candidate)
    if layout.asks_for_k:
        if k is None:
            raise InputError(f"{candidate.path}: this is {layout.name}, {layout.asks_for_k}: give --k")
        contents = replace(contents, settings={**contents.settings, "k": k})
    elif k is not None:
        raise InputError(f"{candidate.path}: this is {layout.name}, which does not need --k; leave it out")
    check_settings(contents.settings_path, contents.settings, layout.settings, layout.unlisted)
    tensors = layout.tensors
    variant = tensors(contents) if callable(tensors) else Variant(f"an SAE of {layout.name}", tensors)
    check_names(contents.path, contents.stored, variant, layout.unused)
    sizes = sizes_of(contents.stored, variant.tensors)
    check_sizes(contents.settings_path, contents.settings, layout.settings, sizes)
    tensors = by_role(contents.path, contents.stored, variant.tensors, sizes)
    contents = replace(contents, tensors=tensors, d_in=sizes.get("i", 0), d_sae=sizes.get("s", 0))
    conventions = layout.conventions(contents)
    sae = _sae(contents, conventions)
    return Checkpoint(
        sae,
        layout.name,
        candidate.files,
        lambda changed: _rewritten(layout, candidate, variant, conventions, changed),
        conventions.notes,
        candidate.settings_file,
    )


def check_settings(
    path: Path, settings: Mapping[str, Any], options: Mapping[str, Option], unlisted: bool = False
) -> None:
    """Refuse unsupported values, missing settings and, unless `unlisted`, settings that are not in `options`."""
    for name, option in options.items():
        value = settings.get(name)
        if option.required and value is None:
            needed = f": one of {', '.join(map(repr, option.values))} is needed" if option.values else ""
            raise InputError(f"{path}: {name} is not set{needed}; nothing is guessed")
        if option.same_as and value is not None and value != settings.get(option.same_as):
            other = f"{option.same_as} is {settings.get(option.same_as)!r}"
            raise InputError(f"{path}: {name} is {value!r}, but {other}, {option.reason}; {INSTEAD}")
        if option.values and not option.size and name in settings and not _is_one_of(value, option.values):
            only = ", ".join(map(repr, option.values))
            raise InputError(f"{path}: {name} is {value!r}, {option.reason} (supported: {only}); {INSTEAD}")
    if not unlisted and (unknown := sorted(set(settings) - set(options))):
        raise InputError(f"{path}: {', '.join(unknown)} may change x̂; unknown settings are refused")


def _is_one_of(value: Any, values: tuple[Any, ...]) -> bool:
    """Whether a value equals one of these, with the same type: neither 1 nor 1.0 is True."""
    return any(type(value) is type(known) and value == known for known in values)


def check_sizes(
    path: Path, settings: Mapping[str, Any], options: Mapping[str, Option], sizes: Mapping[str, int]
) -> None:
    """Refuse settings that contradict the sizes of the weights."""
    for name, option in options.items():
        if option.size and name in settings and not _is_one_of(settings[name], option.values):
            size = sizes.get(option.size, 0)
            if settings[name] != size:
                raise InputError(f"{path}: {name} is {settings[name]!r}, but {size} in the weights")


def check_names(path: Path, stored: Mapping[str, Any], variant: Variant, unused: tuple[str, ...] = ()) -> None:
    """Refuse missing tensors, and tensors that are neither the variant's nor `unused`."""
    exactly = f"{variant.kind} has exactly {', '.join(sorted(variant.tensors))}"
    if missing := sorted(set(variant.tensors) - set(stored)):
        names = ", ".join(sorted(map(str, stored)))
        raise InputError(f"{path}: holds {names}, but no {', '.join(missing)}; {exactly}; nothing is guessed")
    if unknown := sorted(map(str, set(stored) - set(variant.tensors) - set(unused))):
        raise InputError(f"{path}: {', '.join(unknown)} may change x̂: {exactly}; {INSTEAD}")


def sizes_of(stored: Mapping[str, Any], tensors: Mapping[str, Weight]) -> dict[str, int]:
    """The length of each axis by its letter: the one in most tensors, so that a message names the odd one out."""
    lengths: dict[str, Counter[int]] = defaultdict(Counter)
    for name, weight in tensors.items():
        shape = getattr(stored[name], "shape", ())
        for letter, length in zip(weight.axes, shape, strict=True) if len(shape) == len(weight.axes) else ():
            lengths[letter][length] += 1
    return {letter: counter.most_common(1)[0][0] for letter, counter in lengths.items()}


def by_role(
    path: Path, stored: Mapping[str, Any], tensors: Mapping[str, Weight], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """The tensors by role, floats in float32, all in the SAE's orientation.

    Raises: InputError for another shape, another kind of numbers, a NaN or an infinity
    """
    roles = {}
    for name, weight in tensors.items():
        if not weight.role:
            continue
        tensor, shape = stored[name], tuple(sizes.get(letter, 0) for letter in weight.axes)
        is_tensor = isinstance(tensor, Tensor)
        kind = is_tensor and (
            tensor.dtype in (torch.int32, torch.int64) if weight.whole else tensor.is_floating_point()
        )
        if not kind or tuple(tensor.shape) != shape:
            actual = f"{tensor.dtype} of shape {tuple(tensor.shape)}" if is_tensor else repr(tensor)
            numbers = "whole numbers" if weight.whole else "floats"
            raise InputError(f"{path}: {name} is {actual}, but the other weights require {numbers} of shape {shape}")
        if not weight.whole:
            tensor = tensor.float()
            if not tensor.isfinite().all():
                raise InputError(f"{path}: {name} holds a NaN or an infinity; the checkpoint is damaged")
        roles[weight.role] = _oriented(tensor, weight)
    return roles


def _oriented(tensor: Tensor, weight: Weight) -> Tensor:
    """From the file's orientation to the SAE's, or back."""
    return tensor if AXES.get(weight.role, weight.axes) == weight.axes else tensor.mT


def _sae(contents: Contents, conventions: Conventions) -> SAE:
    tensors = {**contents.tensors, **conventions.tensors}
    tensors |= {role: tensors[role] / unit for role, unit in conventions.units.items() if role in tensors}
    if conventions.decoder_norms:
        norms = tensors["W_dec"].norm(dim=-1)
        if count := int((norms == 0).sum()):
            raise InputError(
                f"{contents.path}: {count} latents have a decoder row of norm 0, but this layout divides by the norms"
            )
        tensors["W_enc"], tensors["b_enc"] = tensors["W_enc"] * norms, tensors["b_enc"] * norms
        tensors["W_dec"] = tensors["W_dec"] / norms[:, None]
    sae = SAE(
        tensors["W_enc"],
        tensors["W_dec"],
        tensors["b_dec"] if "b_dec" in tensors else torch.zeros(contents.d_in, dtype=torch.float32),
        tensors.get("b_enc"),
        activation=conventions.activation,
        normalisation=conventions.normalisation,
        subtract_b_dec=conventions.subtract_b_dec and "b_dec" in tensors,
    )
    for name, tensor in sae.state_dict().items():  # folding may overflow float32
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(
                f"{contents.path}: {name} holds a NaN or an infinity after folding; the checkpoint may be damaged"
            )
    return sae


def _rewritten(
    layout: Layout, candidate: Candidate, variant: Variant, conventions: Conventions, sae: SAE
) -> dict[str, Mapping[str, Any]]:
    """The files that change for this SAE: contents by file name."""
    if reason := conventions.unwritable(sae):
        raise InputError(f"{candidate.path}: {reason}")
    tensors = {name: tensor for name, tensor in sae.state_dict().items() if "." not in name}
    tensors |= dict(sae.activation.named_buffers())
    moved = {"W_dec", "b_dec"} | ({"b_enc", "b_gate", "b_mag"} if sae.subtract_b_dec else set())
    stored = conventions.written_tensors or variant.tensors
    for role in moved & set(tensors) - {weight.role for weight in stored.values()}:
        if tensors[role].any():
            raise InputError(f"{candidate.path}: has no {role}, which would no longer be 0; rescale it without a shift")
    written = {
        name: _oriented(tensors[weight.role] * conventions.units.get(weight.role, 1), weight)
        for name, weight in stored.items()
        if weight.role in tensors and (layout.rewrites or weight.role in moved)
    }
    copied = {} if conventions.written_tensors else candidate.tensors
    files: dict[str, Mapping[str, Any]] = {candidate.weights: {**copied, **written}}
    if candidate.settings_file and conventions.written_settings:
        files[candidate.settings_file] = {**candidate.settings, **conventions.written_settings}
    return files
