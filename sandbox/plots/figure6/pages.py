"""All figures of a sweep, each as wide as a column or a page of a paper, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sandbox.errors import InputError
from sandbox.plots.closed_form import closed_form
from sandbox.plots.error_bars import ends_of, value_of
from sandbox.plots.figure6.angle import KEYS, angle
from sandbox.plots.figure6.bias import KEY, bias
from sandbox.plots.figure6.convergence import convergence
from sandbox.plots.figure6.drawing import final, of_measure, shown
from sandbox.plots.figure6.equation_10 import equation_10, equation_10_error
from sandbox.plots.figure6.law import law, law_convergence, of_law
from sandbox.plots.figure6.looks import looks
from sandbox.plots.figure6.loss_split import loss_split
from sandbox.plots.figure6.rho_r import rho_r
from sandbox.plots.style import COLUMN, check_format, figure, save
from sandbox.report.estimates import ORIGINS
from sandbox.report.points import Point
from sandbox.simulate.distributions import threshold_at
from sandbox.simulate.features import GATES, stream_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE, TWO = 3.45, 7.0  # inches: one column of a paper, and both with the gap between them
NEAR, LEAST = 0.03, 0.008  # from 1: SAEs in the close-up below figure 1, and the least range that it shows
DPI = 300


def figures(points: Sequence[Point]) -> Iterator[tuple[str, Figure]]:
    """Every figure with its name, in turn; write or show each before asking for the next."""
    with figure(TWO, 3.2, 2) as (made, axes):
        shares = torch.logspace(-3, 0, 10, dtype=torch.float64)
        for i, (gate, ax) in enumerate(zip(GATES, axes, strict=True)):
            closed_form(gate, stream_features(threshold_at(shares), gate, 64, 2000, seed=i), ax=ax)
        yield "0-closed-form", made
    gammas = [of_measure(KEY)(point) for point in shown(final(points), of_measure(KEY))]
    near_1 = [gamma for gamma in gammas if abs(value_of(gamma) - 1) < NEAR]
    with figure(ONE, 4.1 if near_1 else 2.9, heights=(2, 1.2) if near_1 else (1,), style=COLUMN) as (made, axes):
        bias(points, axes[0])
        if near_1:
            ends = [abs(end - 1) for gamma in near_1 for end in ends_of(gamma)]
            bias(points, axes[1], near=max(LEAST, *(1.15 * end for end in ends)))
            axes[0].set(xlabel="")
            one_legend(made, axes, 2)
        yield "1-bias", made
    with figure(TWO, 2.7, 3, style=COLUMN) as (made, axes):
        for ax, origin in zip(axes, ORIGINS, strict=True):
            bias(points, ax, origin)
            ax.set(title=ORIGINS[origin], ylabel=ax.get_ylabel().rpartition(",")[0] if ax is axes[0] else "")
        same_height(axes)
        one_legend(made, axes, 4)
        yield "1-bias-origins", made
    with figure(TWO, 3.0, 2, style=COLUMN) as (made, axes):
        equation_10(points, axes[0])
        equation_10_error(points, axes[1])
        one_legend(made, axes, 4)
        yield "2-equation-10", made
    with figure(TWO, 3.0, 2, style=COLUMN) as (made, axes):
        for key, ax in zip(KEYS, axes, strict=True):
            angle(points, key, ax)
        same_height(axes)
        one_legend(made, axes, 4)
        yield "3-angle", made
    with figure(ONE, 3.3 + 0.14 * len(looks(points)), style=COLUMN) as (made, (ax,)):
        rho_r(points, ax)
        yield "4-rho-r", made
    with figure(TWO, 3.0, style=COLUMN) as (made, (ax,)):
        loss_split(points, ax)
        yield "5-loss-split", made
    with figure(ONE, 2.9 + 0.16 * len(looks(points)), style=COLUMN) as (made, (ax,)):
        convergence(points, ax)
        yield "6-convergence", made
    if shown(points, of_law("predicted")):
        with figure(TWO, 3.6, 2, style=COLUMN) as (made, axes):
            law(points, axes[0])
            law_convergence(points, axes[1])
            one_legend(made, axes, 4)
            yield "7-law", made


def save_figures(points: Sequence[Point], folder: str | Path, endings: Sequence[str] = (".png", ".svg")) -> list[Path]:
    """Write every figure into an existing folder, once for each ending (.png, .svg, .pdf).

    Returns: the files, in order; the same points give the same bytes
    Raises:  InputError for another ending, or a folder that cannot be written to
    """
    folder, written = Path(folder), []
    for ending in endings:
        check_format(f"figure{ending}")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: create it before writing the figures")
    for name, made in figures(points):
        for ending in endings:
            written.append(folder / f"{name}{ending}")
            save(made, written[-1], DPI)
    return written


def one_legend(made: Figure, axes: Sequence[Axes], columns: int) -> None:
    """One legend below the figure instead of one for each of its axes, with each entry once."""
    entries = {}
    for ax in axes:
        legend = ax.get_legend()
        if legend is not None:
            entries |= dict(zip((text.get_text() for text in legend.texts), legend.legend_handles, strict=True))
            legend.remove()
    if entries:
        made.legend(list(entries.values()), list(entries), loc="outside lower left", ncols=columns)


def same_height(axes: Sequence[Axes]) -> None:
    """The same vertical range for all axes, so that they can be compared."""
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
