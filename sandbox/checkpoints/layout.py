"""`Layout`: how a library stores its SAEs, as one specification that recognises, checks, reads and writes them.

To add a layout, write a module with one `Layout` and add it to `sandbox.checkpoints.LAYOUTS`. CONTRIBUTING.md has a
worked example, newlib, and `tests/checkpoints/test_new_layout.py` tests it: copy both for your own. A layout has

- `tensors`, which gives each stored tensor a role, that is, the name of an SAE's weight (`W_enc`, `W_dec`, `b_enc`,
  `b_dec`, `threshold`, `b_gate`, `b_mag`, `r_mag`), and a letter for each axis: i for d_in, s for d_sae. An SAE's W_enc
  is "is" and its W_dec "si"; a matrix stored the other way round is transposed on reading, and back on writing.
- `settings`, which lists every key. A key that changes x̂ lists its supported values; `free` keys do not change x̂, or
  are interpreted by `conventions`. A key that is not listed is refused.
- `conventions`, which supplies what the files leave out or put into settings: the activation function, whether b_dec is
  subtracted from the input, the normalisation. Its tensors are checked, in float32, by role.

This suffices to recognise files by name, to refuse every other tensor, shape, dtype, setting and value with a message
that names file and key, and to write checkpoints. The other fields of `Layout` are for formats with several sets of
tensors, with settings inside the weights, and so on; for each, the docstring names a layout that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from torch import Tensor, nn

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import WEIGHTS, Files
from sandbox.errors import InputError

INSTEAD = "measure the SAE as a Python object, or x and x̂ as files, instead"
SUBFOLDER = "checkpoints"
"""Weights in a folder of this name may have their settings one folder up (dictionary_learning, Llama Scope)."""


class Weight(NamedTuple):
    """A stored tensor.

    Attributes:
        role:  the SAE's name for it, or a name that `conventions` looks up; "" for a tensor that does not affect x̂
        axes:  a letter for each axis: i for d_in, s for d_sae, any other for another length; "" for a single number
        whole: whether it holds whole numbers instead of floats
    """

    role: str
    axes: str
    whole: bool = False


B_ENC = {"b_enc": Weight("b_enc", "s")}
MATRICES = {"W_enc": Weight("W_enc", "is"), "W_dec": Weight("W_dec", "si"), "b_dec": Weight("b_dec", "i")}
"""Tensors stored under the SAE's own names and in its orientation."""

ENCODER = {"encoder.weight": Weight("W_enc", "si"), "encoder.bias": Weight("b_enc", "s")}
DECODER = {"decoder.weight": Weight("W_dec", "is")}
"""Tensors stored as the layers `encoder` and `decoder`, each a torch.nn.Linear."""


class Variant(NamedTuple):
    """The tensors of one kind of SAE in a layout that has several. Messages call it `kind`, such as "a gated SAE"."""

    kind: str
    tensors: Mapping[str, Weight]


@dataclass(frozen=True)
class Option:
    """The permitted values of a setting: without arguments, any.

    Attributes:
        values:   the supported values
        size:     letter of the axis whose length the setting must equal, unless it is one of `values`
        same_as:  name of the setting that it must equal, if it is set
        required: whether it must be set
        reason:   what any other value does
    """

    values: tuple[Any, ...] = ()
    size: str = ""
    same_as: str = ""
    required: bool = False
    reason: str = "which changes x̂ and is not supported"


FLAG = Option((True, False), required=True)
TRANSCODER = "which makes it a transcoder, whose output does not reconstruct its input"


def free(names: str) -> dict[str, Option]:
    """Options for settings that do not change x̂, or that `conventions` interprets, from names separated by spaces."""
    return dict.fromkeys(names.split(), Option())


@dataclass(frozen=True)
class Candidate:
    """A file that may hold the weights of an SAE, with its settings. Both are read on first use.

    Attributes:
        files:         of its folder
        weights:       path of the file, relative to that folder
        settings_file: name of the settings' file in that folder, or None
    """

    files: Files
    weights: str
    settings_file: str | None

    @property
    def path(self) -> Path:
        """Path of the weights."""
        return self.files.folder / self.weights

    @property
    def tensors(self) -> Mapping[str, Any]:
        """Contents of the file of weights."""
        return self.files.tensors(self.weights)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Contents of the settings' file; empty if there is none."""
        return self.files.settings(self.settings_file) if self.settings_file else {}


@dataclass(frozen=True)
class Contents:
    """Contents of a checkpoint's files.

    Attributes:
        path, stored:            the file of weights, and its contents under the library's names
        settings_path, settings: the file of settings, and its contents
        tensors:                 the checked weights by role, in float32 and in the SAE's orientation
        d_in, d_sae:             their sizes; like `tensors`, set only for `conventions`
    """

    path: Path
    stored: Mapping[str, Any]
    settings_path: Path
    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    d_in: int = 0
    d_sae: int = 0

    @classmethod
    def of(cls, candidate: Candidate) -> Contents:
        """The contents of a candidate's files."""
        settings_path = candidate.files.folder / candidate.settings_file if candidate.settings_file else candidate.path
        return cls(candidate.path, candidate.tensors, settings_path, candidate.settings)

    def refused(self, name: str, why: str) -> InputError:
        """The error for an invalid setting. `why` completes the sentence "name is value" and says what to do."""
        return InputError(f"{self.settings_path}: {name} is {self.settings.get(name)!r}{why}")

    def count(self, name: str, settings: Mapping[str, Any] | None = None) -> int:
        """A number of latents, from 1 to d_sae: the setting of this name, in `settings` or else in the checkpoint's."""
        k = (self.settings if settings is None else settings).get(name)
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self.d_sae:
            needed = f"a whole number from 1 to d_sae = {self.d_sae} is needed"
            raise InputError(f"{self.settings_path}: {name} is {k!r}; {needed}")
        return k


@dataclass(frozen=True)
class Conventions:
    """What turns tensors into an SAE.

    Attributes:
        activation:       from pre-activations to latents (`sandbox.checkpoints.activation_functions`)
        subtract_b_dec:   whether b_dec is subtracted from the input
        normalisation:    of each token (`sandbox.checkpoints.normalisation`), or None
        notes:            additions to the checkpoint's description
        tensors:          by role, replacements for tensors of the file; a layout that uses them must have `rewrites`
        units:            by role, the factor by which a stored tensor is larger than the SAE's (Llama Scope)
        decoder_norms:    whether pre-activations are multiplied by the norm of their decoder row before the activation
                          function, and latents divided by it afterwards; folded into the weights (SAELens)
        written_tensors:  the tensors to write, if they differ from those of the file that was read (SAELens)
        written_settings: settings that change when the checkpoint is written
        unwritable:       the reason why the files cannot hold a given SAE, or "" (OpenAI)
    """

    activation: nn.Module
    subtract_b_dec: bool
    normalisation: nn.Module | None = None
    notes: tuple[str, ...] = ()
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    decoder_norms: bool = False
    written_tensors: Mapping[str, Weight] | None = None
    written_settings: Mapping[str, Any] = field(default_factory=dict)
    unwritable: Callable[[SAE], str] = lambda _: ""


@dataclass(frozen=True)
class Layout:
    """How a library stores its SAEs. The module's docstring explains how to write one.

    Attributes:
        name:          the library, or the family of SAEs
        weights:       names of the file of weights, as glob patterns; if empty, the only file of weights in the folder
        tensors:       the tensors by stored name, or a function that chooses a `Variant` (SAELens)
        conventions:   how the SAE uses them; raises InputError for unknown settings
        settings_file: name of the settings' JSON file, or None; {stem} stands for the name of the weights without its
                       suffix (Kissane and Krzyzanowski)
        settings_optional: whether that file may be missing (Gemma Scope)
        settings:      the permitted values of each setting
        unlisted:      whether no unlisted setting changes x̂ (dictionary_learning)
        suffixes:      suffixes of files of weights with other names, which the user must name
        signature:     tensors by which such a file is recognised (OpenAI)
        recognise:     a further condition (dictionary_learning)
        open:          extracts tensors and settings from files that nest them (OpenAI)
        unused:        optional tensors that do not affect x̂ (OpenAI)
        asks_for_k:    if no file states k, where the user finds it; the setting k is then the user's (Qwen-Scope)
        rewrites:      whether every tensor is written, in float32; otherwise only those that change with the decoder
                       are, and the others are copied
    """

    name: str
    weights: tuple[str, ...]
    tensors: Mapping[str, Weight] | Callable[[Contents], Variant]
    conventions: Callable[[Contents], Conventions]
    settings_file: str | None = None
    settings_optional: bool = False
    settings: Mapping[str, Option] = field(default_factory=dict)
    unlisted: bool = False
    suffixes: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    recognise: Callable[[Candidate], bool] = lambda _: True
    open: Callable[[Candidate], Contents] = Contents.of
    unused: tuple[str, ...] = ()
    asks_for_k: str = ""
    rewrites: bool = False

    @property
    def expects(self) -> str:
        """The layout's files, in words."""
        weights = " or ".join(self.weights) or f"one {self.suffixes[0]} file with {', '.join(self.signature)}"
        return weights if self.settings_file is None else f"{weights} with {self.settings_pattern}"

    @property
    def settings_pattern(self) -> str:
        """A glob pattern for the name of the settings' file; "" for none."""
        return (self.settings_file or "").replace("{stem}", "*")

    def candidates(self, files: Files) -> list[Candidate]:
        """The files of weights that match this layout by names of files, tensors and settings."""
        if files.file is not None:
            names = [files.file] if self._takes(files.file) else []
        elif self.weights:
            paths = [path for pattern in self.weights for path in sorted(files.folder.glob(pattern)) if path.is_file()]
            names = [path.relative_to(files.folder).as_posix() for path in paths]
        else:
            names = [name for name in files.names if Path(name).suffix in WEIGHTS]
            names = names if len(names) == 1 and self._takes(names[0]) else []
        located = [self._candidate(files, name) for name in names]
        return [candidate for candidate in located if candidate is not None and self._recognises(candidate)]

    def _takes(self, name: str) -> bool:
        return self.names(name) or Path(name).suffix in self.suffixes

    def names(self, name: str) -> bool:
        """Whether the name of a file of weights is one that this layout names, not merely one with its suffix."""
        return any(fnmatch(Path(name).name, Path(pattern).name) for pattern in self.weights)

    def _candidate(self, files: Files, name: str) -> Candidate | None:
        """The weights with their settings, which may be one folder up; None if required settings are missing."""
        path = files.folder / name
        settings_file = (self.settings_file or "").replace("{stem}", path.stem)
        for folder in (path.parent, path.parent.parent) if path.parent.name == SUBFOLDER else (path.parent,):
            if settings_file and (folder / settings_file).is_file():
                own = files if folder == files.folder else Files(files.named, folder)
                return Candidate(own, path.relative_to(folder).as_posix(), settings_file)
        if self.settings_file and not self.settings_optional:
            return None
        own = files if path.parent == files.folder else Files(files.named, path.parent)
        return Candidate(own, path.name, None)

    def _recognises(self, candidate: Candidate) -> bool:
        by_name = self.names(candidate.weights) or set(self.signature) <= set(candidate.tensors)
        return by_name and self.recognise(candidate)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite number (not a bool)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
