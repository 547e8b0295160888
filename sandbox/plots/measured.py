"""The figure of `sandbox measure`: one SAE, or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING

from sandbox.plots.against_l0 import against_l0
from sandbox.plots.differences import differences
from sandbox.plots.directions import directions
from sandbox.plots.intervals import intervals
from sandbox.plots.latents import latents
from sandbox.plots.plane import plane
from sandbox.plots.predicted_latents import predicted_latents
from sandbox.plots.style import figure
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
"""The most SAEs whose differences can be told apart in one panel."""


@contextmanager
def measured(reports: Sequence[Report]) -> Iterator[Figure]:
    """Every measure with its interval (for several SAEs, against L0), the tips of x̂ in the plane of x, the differences
    of two to MOST SAEs, and what else was measured: γ by direction, a histogram of the latents and, where the L1
    coefficient is known, their factors against those predicted.
    """
    counted = {report.name: report.latents for report in reports if report.latents is not None}
    explained = {report.name: (report.latents, report.l1) for report in reports if report.latents and report.l1}
    against = len(reports) > 1 and all(report.l0 for report in reports)
    panels: list[Callable[[Axes], object]] = [
        lambda ax: against_l0(reports, ax=ax) if against else intervals(reports, ax),
        lambda ax: plane(reports, ax),
    ]
    if 1 < len(reports) <= MOST:
        panels.append(lambda ax: differences(reports, ax))
    if any(report.directions for report in reports):
        panels.append(lambda ax: directions(reports, ax))
    if counted:
        panels.append(lambda ax: latents(counted, ax))
    if explained:
        panels.append(lambda ax: predicted_latents(explained, ax))
    rows = 1 if len(panels) <= 3 else 2
    columns, height = ceil(len(panels) / rows), 5.2 + 0.2 * len(reports)
    with figure(5.75 * columns, rows * height, columns, (1,) * rows) as (made, axes):
        for draw, ax in zip(panels, axes, strict=False):
            draw(ax)
        for unused in axes[len(panels) :]:
            unused.set_axis_off()
        yield made
