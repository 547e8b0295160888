"""From the log of one drag to its figures: pure arithmetic, the same for every variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

NEAR = 0.3
"""Degrees: a picture shows a value when it is this near; values of one drag lie about 2° apart, explorers may round."""


class NotShown(Exception):
    """The picture never came to show what the drag asked for: nothing was measured."""


@dataclass(frozen=True)
class Figures:
    """One drag: milliseconds from a change of the value to the end of the paint that shows it, and frames a second."""

    median: float
    p95: float
    rate: float
    """Distinct values painted a second, from the first to the last of them."""
    lag: float
    """Milliseconds from the last change to the end of the paint that shows it."""
    values: int
    painted: int
    noise: float = 0.0
    """Share of one core that other processes took meanwhile."""

    @property
    def skipped(self) -> int:
        """Values that no frame showed: a later one came first."""
        return self.values - self.painted


def figures(
    inputs: Sequence[tuple[float, float]], frames: Sequence[tuple[float, float | None]], noise: float = 0.0
) -> Figures:
    """Find, for each change of the value, the first painted frame that shows it or a later one.

    Args:
        inputs: (milliseconds, degrees) of each change, in order.
        frames: (milliseconds at the end of its paint, degrees that it shows or None) of each frame, in order.

    >>> seen = figures([(0, 10), (16, 12), (20, 14)], [(5, 10), (25, 14), (41, 14)])
    >>> seen.median, seen.lag, seen.painted, seen.skipped
    (5, 5, 2, 1)
    """
    if len(inputs) < 2:
        raise NotShown(f"the drag changed the value {len(inputs)} times: nothing listened to it")
    first_shown: list[float | None] = [None] * len(inputs)
    distinct: dict[int, float] = {}
    for time, shown in frames:
        index = _input_shown(inputs, time, shown)
        if index is None:
            continue
        distinct.setdefault(index, time)
        for earlier in range(index, -1, -1):
            if first_shown[earlier] is not None:
                break
            first_shown[earlier] = time
    if first_shown[-1] is None:
        shown = frames[-1][1] if frames else None
        raise NotShown(f"the last value was {inputs[-1][1]:.2f}°, the last frame showed {shown}")
    waits = [shown - time for (time, _), shown in zip(inputs, first_shown, strict=True) if shown is not None]
    times = sorted(distinct.values())
    return Figures(
        median=median(waits),
        p95=quantiles(waits, n=20, method="inclusive")[-1],
        rate=1000 * (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0,
        lag=waits[-1],
        values=len(inputs),
        painted=len(times),
        noise=noise,
    )


def _input_shown(inputs: Sequence[tuple[float, float]], time: float, shown: float | None) -> int | None:
    """Which input a frame shows: the nearest of those that had been made by then, if any is near."""
    if shown is None:
        return None
    made = [(abs(value - shown), -index) for index, (when, value) in enumerate(inputs) if when <= time]
    gap, latest = min(made, default=(NEAR + 1, 0))
    return -latest if gap <= NEAR else None
