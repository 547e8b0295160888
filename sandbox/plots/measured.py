"""The figure of `sandbox measure`: one SAE, or several side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandbox.plots.against_l0 import against_l0
from sandbox.plots.differences import differences
from sandbox.plots.intervals import intervals
from sandbox.plots.latents import latents
from sandbox.plots.plane import plane
from sandbox.plots.style import figure
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 6
"""The most SAEs whose differences can be told apart in one panel."""


@contextmanager
def measured(reports: Sequence[Report]) -> Iterator[Figure]:
    """Every measure with its interval (for several SAEs, against L0), the tips of x̂ in the plane of x, the differences
    of two to MOST SAEs, and a histogram of the latents if they were measured.
    """
    counted = {report.name: report.latents for report in reports if report.latents is not None}
    compared = 1 < len(reports) <= MOST
    columns = 2 + compared + bool(counted)
    with figure(5.75 * columns, 5.2 + 0.2 * len(reports), columns) as (made, axes):
        if len(reports) > 1 and all(report.l0 for report in reports):
            against_l0(reports, ax=axes[0])
        else:
            intervals(reports, axes[0])
        plane(reports, axes[1])
        if compared:
            differences(reports, axes[2])
        if counted:
            latents(counted, axes[-1])
        yield made
