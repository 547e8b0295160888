"""The options of `loss`, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import InputError
from sandbox.measuring.measure import check_multiple, options_of
from sandbox.measuring.preflight import OUTLIER

FIT_TOKENS = 100_000
SEARCH_TOKENS = 8192

Bars = Callable[[str, int], Callable[[int], None]]
"""A label and a total (0: unknown) ► a function that is called with the amount just done."""


@dataclass(frozen=True)
class Options:
    """Options of `loss`.

    Attributes:
        hook:             instead of a layer, the name of a module whose output is replaced
        context:          tokens per context; by default, as many as the model takes, at most 1024
        whole_files:      treat each .txt file as one document
        model_dtype:      dtype that the model computes in
        dtype:            dtype that checkpoints compute in
        name:             name of the SAE in the report (a list for several SAEs)
        share, seed:      share of the documents to fit on, and random seed of the split (`Split`)
        tokens:           about how many tokens, at most, to measure the loss on; all by default
        fit_tokens:       the same, to fit corrections on
        search_tokens:    the same, to search the factor of the least loss on; 0: no search
        exclude_outliers: leave the activations of tokens of extreme norm as they are
        outliers_above:   the norm above which that is, as a multiple of the median norm
        ceilings:         also replace by x̂ with the best factors of all latents together, and with the best decoder
        libraries:        reproduce the loss recovered of SAELens, SAEBench and dictionary_learning
        look:             check a sample first; report the findings
        strict:           raise InputError for any finding
        warn:             called with a message for each finding
        checkpoint:       file for the run's state: the same call resumes from it
        every:            seconds between saves of it
        tell:             called with a message when a run resumes
        bars:             makes progress bars
    """

    hook: str | None = None
    context: int | None = None
    whole_files: bool = False
    model_dtype: str = "float32"
    dtype: str = "float32"
    name: str | Sequence[str] | None = None
    share: float = 0.5
    seed: int = 0
    tokens: int | None = None
    fit_tokens: int = FIT_TOKENS
    search_tokens: int = SEARCH_TOKENS
    exclude_outliers: bool = False
    outliers_above: float = OUTLIER
    ceilings: bool = False
    libraries: bool = True
    look: bool = True
    strict: bool = False
    warn: Callable[[str], None] | None = None
    checkpoint: str | Path | None = None
    every: float = 30.0
    tell: Callable[[str], None] | None = None
    bars: Bars = lambda label, total: lambda done: None


def checked(options: dict[str, Any]) -> Options:
    """The options of these names. Raises: InputError for an unknown name or a value that makes no sense"""
    chosen = options_of(Options, options)
    check_multiple(chosen.outliers_above)
    for key, least in (("fit_tokens", 1), ("search_tokens", 0), ("tokens", 1)):
        value = getattr(chosen, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} is {value!r}: a whole number of tokens, {least} or more, is needed")
    return chosen
