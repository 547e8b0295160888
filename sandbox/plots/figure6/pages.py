"""All figures of a sweep, each at the size of a paper's column or page, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sandbox.errors import InputError
from sandbox.plots.closed_form import closed_form
from sandbox.plots.figure6.angle import KEYS, angle
from sandbox.plots.figure6.bias import KEY, bias
from sandbox.plots.figure6.convergence import convergence
from sandbox.plots.figure6.drawing import final, of_measure, shown, value_of
from sandbox.plots.figure6.equation_10 import equation_10, equation_10_error
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

ONE, TWO = 3.45, 7.0  # inches: a column of a paper, and two with what is between them
NEAR, LEAST = 0.03, 0.008  # of 1: SAEs for the magnifying glass below figure 1, and what it shows at least
DPI = 300


def figures(points: Sequence[Point]) -> Iterator[tuple[str, Figure]]:
    """Every figure with its name, in turn; each has to be written or shown before the next is asked for."""
    with figure(TWO, 3.2, 2) as (made, axes):
        shares = torch.logspace(-3, 0, 10, dtype=torch.float64)
        for i, (gate, ax) in enumerate(zip(GATES, axes, strict=True)):
            closed_form(gate, stream_features(threshold_at(shares), gate, 64, 2000, seed=i), ax=ax)
        yield "0-closed-form", made
    gammas = [of_measure(KEY)(one) for one in shown(final(points), of_measure(KEY))]
    near_1 = [one for one in gammas if abs(value_of(one) - 1) < NEAR]
    with figure(ONE, 4.1 if near_1 else 2.9, heights=(2, 1.2) if near_1 else (1,), style=COLUMN) as (made, axes):
        bias(points, axes[0])
        if near_1:
            ends = [abs(end - 1) for one in near_1 for end in (one.value, one.low, one.high) if end is not None]
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


def save_figures(points: Sequence[Point], folder: str | Path, endings: Sequence[str] = (".png", ".svg")) -> list[Path]:
    """Write every figure into a folder that is there, once for each ending (.png, .svg, .pdf).

    Returns: the files, in order; the same points give the same bytes
    Raises:  InputError for another ending, or a folder that cannot be written to
    """
    folder, written = Path(folder), []
    for ending in endings:
        check_format(f"figure{ending}")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: make it first, the figures are written into it")
    for name, made in figures(points):
        for ending in endings:
            written.append(folder / f"{name}{ending}")
            save(made, written[-1], DPI)
    return written


def one_legend(made: Figure, axes: Sequence[Axes], columns: int) -> None:
    """One legend below the figure in place of those of its axes, each entry once."""
    entries = {}
    for ax in axes:
        held = ax.get_legend()
        if held is not None:
            entries |= {text.get_text(): handle for text, handle in zip(held.texts, held.legend_handles, strict=True)}
            held.remove()
    if entries:
        made.legend(list(entries.values()), list(entries), loc="outside lower left", ncols=columns)


def same_height(axes: Sequence[Axes]) -> None:
    """The same range up for all axes, so that they can be read across."""
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
