"""A training step of each architecture on the GPU against the CPU, and how long figure 6 would take at that rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from benchmarks.gpu.steps import plain_steps, saelens_steps
from benchmarks.timing import in_turn
from sandbox.training.architectures import ARCHITECTURES

FIGURE_6 = {"relu": 14, "gated": 12, "gated_saelens": 12}
"""How many SAEs of each there are in results/figure-6."""

STEPS, BATCH = 4000, 256
SIZE, SMALL = (384, 1536), (16, 64)


def rows(place: Place) -> Iterator[Row]:
    """Plain steps, and SAELens' own where it is installed."""
    ways = {"plain torch": plain_steps}
    with suppress(ImportError):  # it is not there, or does not go with what is
        import sae_lens  # noqa: F401 (only to learn whether it can be)

        ways["SAELens"] = saelens_steps
    for way, steps in ways.items():
        hours = 0.0
        for key in ARCHITECTURES:
            here, there = (_seconds(place, steps, key, device) for device in ("cpu", place.device))
            hours += FIGURE_6.get(key, 0) * STEPS * there / 3600
            words = "times as fast as on this machine's CPU"
            more = {"seconds": there, "cpu_seconds": here}
            yield Row("training", f"{key}, {way}", here / there, words=words, more=more)
        if not place.small:
            words = "its 38 SAEs of 4,000 steps, one after another"
            yield Row("training", f"figure 6, {way}", hours, "hours", words=words)


def _seconds(place: Place, steps: Callable[..., Callable[[], None]], key: str, device: str) -> float:
    """Of one step."""
    step, often = steps(key, *place.sized(SIZE, SMALL), BATCH, device), place.sized(20, 2)

    def run() -> None:
        for _ in range(often):
            step()

    return min(one for (one,) in in_turn(run, device=device, repeats=3)) / often
