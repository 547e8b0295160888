"""The options of `loss`, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.measuring.options import RunOptions, options_of

FIT_TOKENS = 100_000
SEARCH_TOKENS = 8192

Bars = Callable[[str, int], Callable[[int], None]]
"""A label and a total (0: unknown) ► a function that is called with the amount just done."""


@dataclass(frozen=True)
class Options(RunOptions):
    """Options of `loss`, besides those of every run (`RunOptions`).

    Attributes:
        hook:             instead of a layer, the name of a module whose output is replaced
        context:          tokens per context; by default, as many as the model takes, at most 1024
        whole_files:      treat each .txt file as one document
        model_dtype:      dtype that the model computes in
        dtype:            dtype that checkpoints compute in
        share, seed:      share of the documents to fit on, and random seed of the split (`Split`)
        tokens:           about how many tokens, at most, to measure the loss on; all by default
        fit_tokens:       the same, to fit corrections on
        search_tokens:    the same, to search the factor of the least loss on; 0: no search
        exclude_outliers: leave the activations of tokens of extreme norm as they are
        ceilings:         also replace by x̂ with the best factors of all latents together, and with the best decoder
        libraries:        reproduce the loss recovered of SAELens, SAEBench and dictionary_learning
        bars:             makes progress bars
    """

    hook: str | None = None
    context: int | None = None
    whole_files: bool = False
    model_dtype: str = "float32"
    dtype: str = "float32"
    share: float = 0.5
    seed: int = 0
    tokens: int | None = None
    fit_tokens: int = FIT_TOKENS
    search_tokens: int = SEARCH_TOKENS
    exclude_outliers: bool = False
    ceilings: bool = False
    libraries: bool = True
    bars: Bars = lambda label, total: lambda done: None


def checked(options: dict[str, Any]) -> Options:
    """The options of these names. Raises: InputError for an unknown name or a value that makes no sense"""
    return options_of(Options, options, fit_tokens=1, search_tokens=0, tokens=1)
