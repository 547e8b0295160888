"""A training step of the paper's gated SAE, as a sweep runs it, against a step of SAELens' own gated SAE."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.gpu.steps import saelens_steps
from benchmarks.timing import claim, ratio

D, D_SAE, BATCH = 384, 1536, 256


def ten_steps(key: str) -> Callable[[], object]:
    """Ten steps of SAELens' trainer on that architecture."""
    step = saelens_steps(key, D, D_SAE, BATCH, "cpu")
    return lambda: [step() for _ in range(10)]


def claims() -> Iterator[bool]:
    """Print and yield each claim."""
    value = ratio(ten_steps("gated"), ten_steps("gated_saelens"), repeats=5)
    yield claim("training: a step of the paper's gated SAE, times SAELens' gated SAE", value, 0.85)
