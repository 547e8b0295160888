"""`Layout`: how a library stores its SAEs, as one specification that recognises, checks, reads and writes them.

To add a layout, write a module with one `Layout` and enter it in `sandbox.checkpoints.LAYOUTS`. A library that stores
its weights as `sae.safetensors`, with `encoder.weight` in the orientation of torch.nn.Linear, needs no more than this:

    def conventions(contents: Contents) -> Conventions:
        return Conventions(TopK(contents.count("k")), subtract_b_dec=True)

    NEWLIB = Layout(
        name="newlib",
        weights=("sae.safetensors",),
        settings_file="newlib.json",
        tensors={
            "encoder.weight": Weight("W_enc", "si"),
            "encoder.bias": Weight("b_enc", "s"),
            "W_dec": Weight("W_dec", "si"),
            "b_dec": Weight("b_dec", "i"),
        },
        settings={
            "d_in": Option(size="i"),
            "k": Option(required=True),
            "signed": Option((False,), reason="which gives latents both signs"),
            **free("seed learning_rate"),
        },
        conventions=conventions,
    )

- `tensors` gives each stored tensor a role, which is the name of an SAE's weight (`W_enc`, `W_dec`, `b_enc`, `b_dec`,
  `threshold`, `b_gate`, `b_mag`, `r_mag`), and a letter for each axis: i for d_in, s for d_sae. Here W_enc is "is" and
  W_dec "si"; a matrix stored the other way round is transposed when it is read, and back when it is written.
- `settings` lists every key. One that changes x̂ gets the values that are read; `free` keys do not change x̂, or are
  interpreted by `conventions`. Whatever is not listed is refused.
- `conventions` says what the files leave unsaid or put into settings: the activation function, whether b_dec is
  subtracted from the input, the normalisation. It gets checked tensors, in float32, by role.

From these follow recognition by file names, a refusal of every other tensor, shape, dtype, setting and value with a
message that names file and key, and `Checkpoint.write`. The other fields of `Layout` are for formats with more than one
set of tensors, with settings inside the weights, and the like; each has an example in the layout that its docstring
names. `tests/checkpoints/test_new_layout.py` adds the layout above and reads and writes it: copy it for your own.
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
"""Weights in a folder of this name may have their settings in the folder above (dictionary_learning, Llama Scope)."""


class Weight(NamedTuple):
    """A stored tensor.

    Attributes:
        role:  the SAE's name for it, or a name that `conventions` asks for; "" for a tensor that does not affect x̂
        axes:  a letter for each axis: i for d_in, s for d_sae, any other for another length; "" for a single number
        whole: whether it holds whole numbers instead of floats
    """

    role: str
    axes: str
    whole: bool = False


class Variant(NamedTuple):
    """The tensors of one of several kinds of SAE in a layout; `kind` names it in messages, such as "a gated SAE"."""

    kind: str
    tensors: Mapping[str, Weight]


@dataclass(frozen=True)
class Option:
    """What a setting may be. Without arguments: anything.

    Attributes:
        values:   those that are read
        size:     the letter of the axis whose length it repeats; `values` then lists what else it may be
        same_as:  the setting whose value it repeats, if it is set
        required: whether it has to be set
        reason:   what another value does
    """

    values: tuple[Any, ...] = ()
    size: str = ""
    same_as: str = ""
    required: bool = False
    reason: str = "which changes x̂ and is not read here"


FLAG = Option((True, False), required=True)
TRANSCODER = "which makes it a transcoder, whose output is no reconstruction of its input"


def free(names: str) -> dict[str, Option]:
    """Settings that do not change x̂, or that `conventions` interprets: their names, separated by white space."""
    return dict.fromkeys(names.split(), Option())


@dataclass(frozen=True)
class Candidate:
    """A file that may hold the weights of an SAE, with the settings that belong to it; opened when it is looked at.

    Attributes:
        files:    of its folder
        weights:  name of the file, seen from that folder
        settings_file: name of the settings beside it, or None
    """

    files: Files
    weights: str
    settings_file: str | None

    @property
    def path(self) -> Path:
        """That of the weights."""
        return self.files.folder / self.weights

    @property
    def tensors(self) -> Mapping[str, Any]:
        """What the file of weights holds."""
        return self.files.tensors(self.weights)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the file of settings holds; nothing if there is none."""
        return self.files.settings(self.settings_file) if self.settings_file else {}


@dataclass(frozen=True)
class Contents:
    """What a checkpoint's files hold.

    Attributes:
        path, stored:            the file of weights, and what it holds under the library's names
        settings_path, settings: the same of the settings
        tensors:                 the checked weights by role, in float32 and in the SAE's orientation
        d_in, d_sae:             their sizes; like `tensors`, known to `conventions` only
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
        """Those of the files as they are."""
        settings_path = candidate.files.folder / candidate.settings_file if candidate.settings_file else candidate.path
        return cls(candidate.path, candidate.tensors, settings_path, candidate.settings)

    def refused(self, name: str, why: str) -> InputError:
        """The error that a setting is what it is; `why` says what is wrong with that and what to do."""
        return InputError(f"{self.settings_path}: {name} is {self.settings.get(name)!r}{why}")

    def count(self, name: str, settings: Mapping[str, Any] | None = None) -> int:
        """A number of latents, from 1 to d_sae: the setting of that name, or that of other settings."""
        k = (self.settings if settings is None else settings).get(name)
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self.d_sae:
            needed = f"a whole number from 1 to d_sae = {self.d_sae} is needed"
            raise InputError(f"{self.settings_path}: {name} is {k!r}; {needed}")
        return k


@dataclass(frozen=True)
class Conventions:
    """What makes an SAE of the tensors.

    Attributes:
        activation:      from pre-activations to latents (`sandbox.checkpoints.activation_functions`)
        subtract_b_dec:  whether b_dec is subtracted from the input
        normalisation:   of each token (`sandbox.checkpoints.normalisation`), or None
        notes:           what else the description of the checkpoint should say
        tensors:         by role, in place of those that were read; `tensors` of a `Layout` that does so must be written
                         as a whole (`rewrites`)
        units:           by role, the factor by which a stored tensor is larger than the SAE's (Llama Scope)
        decoder_norms:   whether pre-activations are multiplied by the norm of their decoder row before the activation
                         function, and latents divided by it after; this is folded into the weights (SAELens)
        written_tensors: the tensors of the file that is written, if not those of the file that was read (SAELens)
        written_settings: settings that differ in the files that are written
        unwritable:      why the files cannot hold a certain SAE, or "" (OpenAI)
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
    """How a library stores its SAEs. The module's docstring shows how to write one.

    Attributes:
        name:          the library, or the family of SAEs
        weights:       names of the file of weights, as glob patterns; none: the only file of weights in the folder
        tensors:       its tensors by stored name, or a function that picks a `Variant` (SAELens)
        conventions:   what the SAE does with them; raises InputError for what it does not know
        settings_file: name of the settings' JSON file, if there is one
        settings_optional: whether that file may be missing (Gemma Scope)
        settings:      what each setting may be
        unlisted:      whether settings that are not listed are known not to change x̂ (dictionary_learning)
        suffixes:      of files of weights that may have another name, if the user names the file
        signature:     tensors by which such a file is recognised (OpenAI)
        recognise:     a further condition (dictionary_learning)
        open:          gets tensors and settings out of files that nest them (OpenAI)
        unused:        tensors that may be there and do not affect x̂ (OpenAI)
        rewrites:      whether every tensor is written, in float32; else those that change with the decoder, and the
                       others stay as they are stored
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
    rewrites: bool = False

    @property
    def expects(self) -> str:
        """The files, in words."""
        weights = " or ".join(self.weights) or f"one {self.suffixes[0]} file with {', '.join(self.signature)}"
        return weights if self.settings_file is None else f"{weights} with {self.settings_file}"

    def candidates(self, files: Files) -> list[Candidate]:
        """The files of weights that look like this layout by names of files, tensors and settings."""
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
        return self._names(name) or Path(name).suffix in self.suffixes

    def _names(self, name: str) -> bool:
        return any(fnmatch(Path(name).name, Path(pattern).name) for pattern in self.weights)

    def _candidate(self, files: Files, name: str) -> Candidate | None:
        """With the settings beside the weights, or above; None if they are needed and in neither folder."""
        path = files.folder / name
        for folder in (path.parent, path.parent.parent) if path.parent.name == SUBFOLDER else (path.parent,):
            if self.settings_file and (folder / self.settings_file).is_file():
                own = files if folder == files.folder else Files(files.named, folder)
                return Candidate(own, path.relative_to(folder).as_posix(), self.settings_file)
        if self.settings_file and not self.settings_optional:
            return None
        own = files if path.parent == files.folder else Files(files.named, path.parent)
        return Candidate(own, path.name, None)

    def _recognises(self, candidate: Candidate) -> bool:
        by_name = self._names(candidate.weights) or set(self.signature) <= set(candidate.tensors)
        return by_name and self.recognise(candidate)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
