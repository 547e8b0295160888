"""The options of `measure` and `measure_pairs`, checked, and those that `loss` shares with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from sandbox.activations import PathOrArray
from sandbox.errors import InputError
from sandbox.measuring.forward import BATCH
from sandbox.measuring.one_pass import Progress
from sandbox.measuring.preflight import OUTLIER


@dataclass(frozen=True)
class RunOptions:
    """Options of every run over activations.

    Attributes:
        name:           name of the SAE in the report (a list for several SAEs)
        outliers_above: the norm from which a token is an outlier, as a multiple of the median norm
        look:           check a sample first; report the findings
        strict:         raise InputError for any finding
        warn:           called with a message for each finding
        checkpoint:     file for the run's state: the same call resumes from it
        every:          seconds between saves of it
        tell:           called with a message when a run resumes
    """

    name: str | Sequence[str] | None = None
    outliers_above: float = OUTLIER
    look: bool = True
    strict: bool = False
    warn: Callable[[str], None] | None = None
    checkpoint: str | Path | None = None
    every: float = 30.0
    tell: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Options(RunOptions):
    """Options of `measure` and `measure_pairs`, besides those of every run (`RunOptions`).

    Attributes:
        documents:        one ID per token: the clusters of the standard error
        batch_size:       tokens per batch
        drop_nonfinite:   leave out tokens with a NaN or an infinity instead of refusing them
        exclude_outliers: leave out tokens of extreme norm instead of reporting both ways
        published:        tokens per batch of the libraries' evaluations, shown beside our values; 0: not shown
        latents:          measure each latent separately
        directions:       measure along bands of the principal components of x, too, in two more passes: True, or the
                          last component of each band but the last, such as (5, 20, 50)
        k:                active latents per token of an SAE whose files do not state it (Qwen-Scope): one for all SAEs,
                          or a list; None or 0 for an SAE that does not need it
        l1:               the L1 coefficient of training (a list for several SAEs), instead of the one that a checkpoint
                          states; in the units of the activations that training saw
        look, strict:     as for every run; after the run, norms and errors of the whole pass are checked, too
        progress:         called with the number of tokens after each chunk
    """

    documents: PathOrArray | None = None
    batch_size: int = BATCH
    drop_nonfinite: bool = False
    exclude_outliers: bool = False
    published: int = 0
    latents: bool = False
    directions: bool | Sequence[int] | None = False
    k: int | Sequence[int | None] | None = None
    l1: float | Sequence[float] | None = None
    progress: Progress | None = None


T = TypeVar("T", bound=RunOptions)


def options_of(kind: type[T], given: dict[str, Any], **tokens: int) -> T:
    """The options as a dataclass of this kind.

    Args:
        tokens: options that are numbers of tokens, each with the least that it may be
    Raises: InputError for an option that there is not, or a value that makes no sense
    """
    try:
        chosen = kind(**given)
    except TypeError as error:
        names = ", ".join(field.name for field in fields(kind))
        raise InputError(f"{str(error).split('__init__() ')[-1]}; there are {names}") from error
    if not chosen.outliers_above > 1:
        value = repr(chosen.outliers_above)
        raise InputError(f"outliers_above is {value}: a multiple of the median norm, above 1, is needed")
    if chosen.strict and not chosen.look:
        raise InputError("strict needs look=True: it refuses what the preflight check finds")
    for key, least in tokens.items():
        value = getattr(chosen, key)
        if value != getattr(kind, key) and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} is {value!r}: a whole number of tokens, {least} or more, is needed")
    return chosen


def checked(options: dict[str, Any]) -> Options:
    """Options of `measure`. Raises: InputError for one that there is not, or a value that makes no sense"""
    return options_of(Options, options, batch_size=1, published=0)
