"""The map: every pair of cosine and norm ratio, with the level curves of one measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sandbox.maths.compile import evaluate, moments_at, to_torch
from sandbox.maths.measures import Measure, measure_named
from sandbox.plots.style import FAINT, INK, LOCI, axes_or_current, legend_below, plain_name, sae_looks
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet

TOP = 2.0  # the greatest r, unless a report lies higher
RATIOS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
LOSSES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
NEGATIVE = (-3.0, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0)  # far from perfect reconstructions: no need to be fine
GREY = "#EFEFEF"
NUDGE = 1e-6  # of the range in view: a contour at the least or greatest value would not be found


def levels(measure: str) -> list[float]:
    """The values whose level curves the map of (ρ, r) shows: round numbers that the measure takes there.

    They are dense near the value of a perfect reconstruction (1, or 0 for a loss) and coarser from 0 downwards.

    Args:    measure: a key of the registry
    Returns: levels in rising order, between the least and the greatest value for −1 ≤ ρ ≤ 1, 0 < r ≤ 2
    Raises:  InputError for a key that is not in the registry

    >>> levels("angle_loss")
    [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0]
    """
    known = measure_named(measure)
    perfect = evaluate(known, 1.0, 1.0, 1.0).item()
    ladder = LOSSES if abs(perfect) < 0.5 else RATIOS
    value = evaluate(known, *moments_at(*_grid(TOP, 81)))
    value = value[value.isfinite()]
    if not len(value):
        return []
    least, greatest = value.min().item(), value.max().item()
    if least < 0:
        ladder = (*NEGATIVE, *ladder)
    slack = 1e-9 * (greatest - least)  # keep a level that only rounding puts outside, such as 1 for the cosine
    return [level for level in ladder if least - slack <= level <= greatest + slack]


def rho_r_map(reports: Sequence[Report], measure: str = "relative_reconstruction_bias", ax: Axes | None = None) -> Axes:
    """Where each SAE lies in the half-plane of cosine ρ and norm ratio r, and what one measure says there.

    Every measure is homogeneous of degree 0 in a, b, c, hence a function of ρ and r alone, so this half-plane shows all
    of it: level curves, with level 1 in bold, and grey areas with the reason where it is undefined. Three thin lines
    mark where γ, c/a and r are 1; they meet only at ρ = r = 1, where x̂ = x (C13).

    Args:    reports: those whose ρ or r is undefined are left out; measure: a key of the registry
    Returns: the Axes
    Raises:  InputError for a key that is not in the registry
    """
    shown = measure_named(measure)
    ax = axes_or_current(ax)
    points = []
    for report, (colour, marker) in zip(reports, sae_looks(), strict=False):
        rho, r = report.raw["cosine"].value, report.raw["norm_ratio"].value
        if rho is not None and r is not None:
            points.append((rho, r))
            style = {"color": colour, "markersize": 7, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
            ax.plot(rho, r, marker, label=_label(report, shown, rho, r), **style)
    top = max([TOP, *(1.08 * r for _, r in points)])
    grid = _grid(top, 401)
    _shade_undefined(ax, shown, *grid)
    lines = []
    for key, colour in LOCI.items():
        locus = measure_named(key)
        value = evaluate(locus, *moments_at(*grid))
        drawn = ax.contour(*grid, value, levels=[1.0], colors=[colour], linewidths=1.3, zorder=3)
        lines.append(_vertices(drawn))
        ax.plot([], [], color=colour, linewidth=1.3, label=f"{locus.plain} = 1")
    points = torch.tensor([*points, (1.0, 1.0)], dtype=torch.float64)  # and x itself, where many curves meet
    _label_levels(ax, _draw_levels(ax, shown, *grid), points, torch.cat(lines), top)
    ax.set(xlim=(-1, 1), ylim=(0, top), xlabel="cosine ρ", ylabel="norm ratio r")
    legend_below(ax, 0.12)
    ax.set_title(fill(f"{shown.plain}: {shown.question}", 58), pad=9)
    return ax


def _label(report: Report, shown: Measure, rho: float, r: float) -> str:
    label = f"{plain_name(report.name)}: ρ = {_number(rho)}, r = {_number(r)}"
    if shown.key in ("cosine", "norm_ratio"):
        return label
    value = report.raw[shown.key].value
    return label + (f", {shown.plain} undefined" if value is None else f", {shown.plain} = {_number(value)}")


def _grid(top: float, points: int) -> tuple[Tensor, Tensor]:
    """ρ and r of a grid with an odd number of points, so that it has ρ = 0; r starts just above 0, where x̂ is zero."""
    rho = torch.linspace(-1, 1, points, dtype=torch.float64)
    rho[points // 2] = 0
    r = torch.linspace(0, top, points, dtype=torch.float64).clamp(min=1e-6)
    along, length = torch.meshgrid(rho, r, indexing="xy")
    return along, length


def _draw_levels(ax: Axes, measure: Measure, rho: Tensor, r: Tensor) -> dict[float, Tensor]:
    """Draw the level curves; return points along each, by level."""
    value = evaluate(measure, *moments_at(rho, r))
    finite = value[value.isfinite()]
    curves = {}
    for level in levels(measure.key):
        least, greatest = finite.min().item(), finite.max().item()
        nudge = NUDGE * (greatest - least)
        at = min(max(level, least + nudge), greatest - nudge)
        ink, width = (INK, 2.6) if level == 1 else (FAINT, 0.9)
        curves[level] = _vertices(ax.contour(rho, r, value, levels=[at], colors=[ink], linewidths=width))
        # matplotlib dashes the negative levels of a single colour; here the numbers tell them apart
        ax.collections[-1].set_linestyle("solid")
    return {level: curve for level, curve in curves.items() if len(curve)}


def _label_levels(ax: Axes, curves: Mapping[float, Tensor], points: Tensor, lines: Tensor, top: float) -> None:
    """Write each level's number where its curve has most room: away from points, lines and earlier numbers."""
    size = torch.tensor([1, 2 / top], dtype=torch.float64)  # both axes span two units, as on the page
    curves = {level: curve * size for level, curve in curves.items()}
    taken, lines = points * size, lines * size
    for level, curve in sorted(curves.items(), key=lambda item: item[0] != 1):  # the bold level chooses first
        from_middle = torch.stack((curve[:, 0], curve[:, 1] - 1)).abs()
        inside = curve[from_middle.amax(0) < 0.92]
        if not len(inside):
            inside = curve[from_middle.amin(0) < 0.7]  # the curve runs along the frame: avoid the corners
        if not len(inside):
            continue
        others = [other for key, other in curves.items() if key != level]
        others = torch.cat([*others, taken] if level == 1 else [*others, taken, lines])  # 1 may lie on a line
        room = torch.cdist(inside, others).amin(1).clamp(max=0.12)  # a number needs no more
        spread = torch.cdist(inside, taken).amin(1)
        best = inside[(room + 0.03 * spread + spread.clamp(max=0.14)).argmax()]  # above all, no two numbers may touch
        taken = torch.cat([taken, best[None]])
        rho, r = (best / size).tolist()
        ax.text(
            rho,
            r,
            f"{level:g}".replace("-", "−"),
            color=INK,
            fontsize=8,
            fontweight="bold" if level == 1 else "normal",
            ha="center",
            va="center",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )


def _vertices(drawn: ContourSet) -> Tensor:
    """About a hundred points along the curves of one level."""
    pieces = [torch.as_tensor(piece, dtype=torch.float64) for piece in drawn.allsegs[0]]
    points = torch.cat(pieces) if pieces else torch.zeros(0, 2, dtype=torch.float64)
    return points[:: max(1, len(points) // 100)]


def _shade_undefined(ax: Axes, measure: Measure, rho: Tensor, r: Tensor) -> None:
    """Shade where something that the measure needs is not positive, and write the first reason that applies."""
    left = torch.ones_like(r, dtype=torch.bool)  # where no earlier reason applies
    for positive, reason in measure.needs:
        gap = to_torch(positive)(*moments_at(rho, r))
        missing = left & (gap <= 0)
        if missing.any():
            gap_here = torch.where(left, gap, torch.nan)
            ax.contourf(rho, r, gap_here, levels=[gap.min().item() - 1, 0], colors=[GREY])
            upper = missing & (r > r[missing].mean())  # not on the line r = 1, which runs through the middle
            across, height = rho[upper].mean().item(), r[upper].mean().item()
            row = missing[(r[:, 0] - height).abs().argmin()]
            box = {"facecolor": GREY, "edgecolor": "none", "pad": 1}
            words = fill(_unbroken(reason), max(12, int(62 * row.double().mean().item())))
            ax.text(across, height, words, color="#666666", fontsize=8, ha="center", va="center", bbox=box, zorder=4)
        left &= gap > 0


def _unbroken(reason: str) -> str:
    """The reason with its comparisons unbreakable: "c ≤ 0" stays on one line."""
    for sign in "=≤≥":
        reason = reason.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return reason


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
