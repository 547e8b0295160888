"""Pictures with matplotlib: one function a figure; each takes an Axes (or makes one) and returns it.

Curves are drawn by evaluating what the derivations gave; no formula is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sandbox.compile import MOMENTS, evaluate, to_torch
from sandbox.derivations import prove
from sandbox.derivations.symbols import s
from sandbox.errors import InputError
from sandbox.files import written_whole
from sandbox.measures import REGISTRY
from sandbox.moments import Moments
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#333333", "#999999"
OF_X, OF_X_HAT = "#0072B2", "#D55E00"  # Okabe and Ito's colours: told apart without red and green
LOCI = {"relative_reconstruction_bias": "#009E73", "scale_x": "#CC79A7", "norm_ratio": "#56B4E9"}
SAES = ("#D55E00", "#0072B2", "#E69F00", "#000000")
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "font.size": 9.5,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.dpi": 160,
}


@contextmanager
def figure(width: float, height: float, columns: int = 1) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure in the house style and its axes, closed afterwards; needs no screen."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        made = Figure((width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made, list(made.subplots(1, columns, squeeze=False)[0])


def check_format(path: str | Path) -> None:
    """Raise InputError for a file that is no .png, .svg or .pdf."""
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path}: a plot is written as .png, .svg or .pdf, not {path.suffix or 'without an ending'}")


def save(made: Figure, path: str | Path) -> None:
    """Write a figure as the file's ending says (.png, .svg, .pdf), whole or not at all."""
    check_format(path)
    with written_whole(path) as beside:
        made.savefig(beside)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.gca()


def parabolas(
    moments: Moments, ax: Axes | None = None, title: str = "Neither minimum is the reciprocal of the other"
) -> Axes:
    """The losses E‖x̂ − s·x‖² and E‖s·x̂ − x‖² over s, both minima, and the reciprocal of each, which is no minimum.

    Args:    moments: without batch axes; both curves are divided by a = E‖x‖²
    Returns: the Axes
    """
    ax = _axes(ax)
    means = moments.means.tolist()
    scales = {key: evaluate(REGISTRY[key], *means).item() for key in ("scale_x", "scale_x_hat")}
    reciprocals = {key: 1 / value for key, value in scales.items() if value}
    furthest = max(1.3, *scales.values(), *(value for value in reciprocals.values() if value < 2.5)) * 1.12
    at = torch.linspace(0, furthest, 400, dtype=torch.float64)
    curves = {"scale_x": ("C1", "‖x̂ − s·x‖²", OF_X), "scale_x_hat": ("C2", "‖s·x̂ − x‖²", OF_X_HAT)}
    top = 0.0
    for key, (number, label, colour) in curves.items():
        loss = to_torch(prove(number).results["loss"], (*MOMENTS, s))
        height = loss(*means, at) / means[0]
        best = scales[key]
        lowest = (loss(*means, best) / means[0]).item()
        width = 1.6 if key == "scale_x_hat" else 3.5  # where both curves are one, both are seen
        ax.plot(
            at,
            height,
            color=colour,
            linewidth=width,
            alpha=1 if width < 2 else 0.55,
            label=f"E{label} / a,  least at s = {REGISTRY[key].plain} = {best:.3f}",
        )
        ax.plot(best, lowest, "o", color=colour, markersize=7)
        ax.vlines(best, 0, lowest, color=colour, linewidth=0.8, linestyle=":")
        top = max(top, height[0].item(), lowest)
    for key, value in reciprocals.items():
        if value <= furthest:
            colour = curves[key][2]
            ax.axvline(value, color=colour, linestyle="--", linewidth=0.9, alpha=0.7)
            ax.annotate(
                f"1 / ({REGISTRY[key].plain}) = {value:.3f}",
                (value, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -4),
                textcoords="offset points",
                color=colour,
                rotation=90,
                va="top",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
    ax.plot([], [], "--", color=FAINT, label="where each minimum would be, were it the other's reciprocal")
    ax.set(xlim=(0, furthest), ylim=(0, 1.25 * top), xlabel="scale s", ylabel="loss, relative to E‖x‖²")
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0)
    ax.set_title(_plain(title))
    return ax


def plane(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """The plane of x and x̂, x being (1, 0): the tip of each SAE's x̂, and the three loci of C13.

    Each measure calls its own locus "no shrinkage": γ = 1 is Thales' circle over x, c/a = 1 the line across the tip
    of x, r = 1 the circle about the origin. They meet only in x.
    """
    ax = _axes(ax)
    tips = [_tips(report) for report in reports]
    along, across = zip((0, 0), (1.08, 1), *(tip for pair in tips for tip in pair), strict=True)  # what has to be seen
    margin = 0.05 * (max(along) - min(along)) + 0.06
    left, right, top = min(along) - margin, max(along) + margin, max(across) + margin
    u, v = torch.meshgrid(
        torch.linspace(left, right, 500, dtype=torch.float64),
        torch.linspace(0, top, 450, dtype=torch.float64),
        indexing="xy",
    )
    names = {
        "relative_reconstruction_bias": ("γ = 1", (0.18, 0.42), "right"),
        "scale_x": ("c/a = 1", (1.015, 0.97), "left"),
        "norm_ratio": ("r = 1", (0.5, 0.91), "left"),
    }
    for key, colour in LOCI.items():
        # γ is 1 where its reciprocal (C6) is, and that is defined for c ≤ 0 as well: its curve reaches the origin
        drawn = "scale_x_hat" if key == "relative_reconstruction_bias" else key
        value = evaluate(REGISTRY[drawn], torch.ones_like(u), u**2 + v**2, u)
        ax.contour(u, v, value, levels=[1.0], colors=[colour], linewidths=1.6)
        text, place, side = names[key]
        ax.annotate(text, place, color=colour, fontweight="bold", ha=side)
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "linewidth": 2}
    ax.annotate("", (1, 0), (0, 0), arrowprops=arrow | {"color": INK})
    ax.annotate("x", (0.5, 0), (0, -11), textcoords="offset points", color=INK, ha="center")
    for report, tip, colour in zip(reports, tips, _cycle(SAES), strict=False):
        if not tip:
            continue
        raw = {key: "undefined" if one.value is None else f"{one.value:.3f}" for key, one in report.raw.items()}
        shown = f"γ = {raw['relative_reconstruction_bias']}, c/a = {raw['scale_x']}, r = {raw['norm_ratio']}"
        label = f"{_plain(report.name)}: {shown}"
        ax.annotate("", tip[0], (0, 0), arrowprops=arrow | {"color": colour})
        ax.plot(*tip[0], "o", color=colour, markersize=5, label=label)
        if len(tip) > 1:
            ax.plot(*tip[1], "o", color=colour, markersize=7, fillstyle="none")
            ax.plot(*zip(*tip, strict=True), color=colour, linestyle=":", linewidth=1.2)
    ax.set(xlim=(left, right), ylim=(-margin, top), aspect="equal", xlabel="along x", ylabel="across x")
    if any(len(tip) > 1 for tip in tips):
        ax.plot([], [], "o:", color=INK, markersize=7, fillstyle="none", label="rescaled by 1/γ, the best factor")
    if any(tips):
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0)
    ax.set_title("Where each measure says “no shrinkage”")
    return ax


def _tips(report: Report) -> list[tuple[float, float]]:
    """Where x̂ ends, x being (1, 0), and where its best rescaling does, on Thales' circle; those that are defined."""
    raw = {key: one.value for key, one in report.raw.items()}
    along, length = raw["scale_x"], raw["norm_ratio"]
    if along is None or length is None:
        return []
    tip = along, max(length**2 - along**2, 0) ** 0.5
    best = raw["scale_x_hat"] if raw["relative_reconstruction_bias"] else None
    return [tip] if best is None else [tip, (best * tip[0], best * tip[1])]


def intervals(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """Every measure that compares with 1, for each SAE, with its 95 % interval; raw filled, centred hollow."""
    ax = _axes(ax)
    keys = [key for key in REGISTRY if not key.endswith("_loss")]
    rows = len(reports) * 2 + 1
    named = set()  # one legend entry for each SAE and origin
    for i, (report, colour) in enumerate(zip(reports, _cycle(SAES), strict=False)):
        for j, (origin, estimates) in enumerate((("raw", report.raw), ("centred", report.centred))):
            for k, key in enumerate(keys):
                one = estimates[key]
                if one.value is None:
                    continue
                low, high = (one.value if end is None else end for end in (one.low, one.high))
                ax.errorbar(
                    one.value,
                    k + (2 * i + j + 1) / rows - 0.5,
                    xerr=[[max(one.value - low, 0)], [max(high - one.value, 0)]],
                    fmt="o",
                    color=colour,
                    fillstyle="none" if j else "full",
                    markersize=5,
                    capsize=2.5,
                    label=None if (i, j) in named else f"{_plain(report.name)}, {origin}",
                )
                named.add((i, j))
    if not ax.containers:
        ax.text(0.5, 0.5, "every measure is undefined", transform=ax.transAxes, ha="center", color=INK)
    ax.axvline(1, color=FAINT, linewidth=1)
    for k in range(1, len(keys)):
        ax.axhline(k - 0.5, color=FAINT, linewidth=0.4, alpha=0.6)
    ax.set_yticks(range(len(keys)), [f"{key} ({REGISTRY[key].plain})" for key in keys])
    ax.set(ylim=(len(keys) - 0.5, -0.5), xlabel="value, 95 % interval")
    if ax.containers:
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0, ncols=2)
    ax.set_title("Every measure against 1")
    return ax


def _plain(name: str) -> str:
    """The name without matplotlib's mathematics: a folder may be called anything."""
    return name.replace("$", r"\$")


def _cycle(colours: Sequence[str]) -> Iterator[str]:
    while True:
        yield from colours
