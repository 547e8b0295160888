"""Figure 6 as the first version computed it, and its error, which is second-order in γ − 1 (C9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sandbox.maths.compile import evaluate, moments_at, to_torch
from sandbox.maths.derived import derived
from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import ends_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.bias import KEY as GAMMA
from sandbox.plots.style import FAINT, INK, axes_or_current, message
from sandbox.report.estimates import Estimate
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEY = "equation_10_v1"
DASHED: Any = {"linewidth": 1, "linestyle": (0, (3, 2))}
LEAST = 0.05  # the least range of ε in view, so that SAEs that do not shrink still lie on a curve


def equation_10(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """The first version's equation 10 against L0, drawn like `bias`, with the lines of γ faintly behind."""
    from matplotlib.lines import Line2D

    ax, points = axes_or_current(ax), drawing.final(points)
    drawing.draw_against_l0(ax, points, KEY, origin)
    drawing.line(ax, points, drawing.of_l0, drawing.of_measure(GAMMA, origin), alpha=0.5, zorder=1.5, **DASHED)
    drawing.name_line_at_1(ax)
    corrected = Line2D([], [], color=FAINT, label=f"{_plain(GAMMA)}, corrected", **DASHED)
    drawing.legend(ax, points, (drawing.of_l0, drawing.of_measure(KEY, origin)), [corrected])
    return ax


def equation_10_error(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """The error of the first version's equation 10 against ε = γ − 1, with its exact curve (C8) and ε²/2 (C9).

    The error depends on γ alone, so every SAE lies on the exact curve; the horizontal bars are the intervals of γ.
    """
    from matplotlib.lines import Line2D

    ax, points = axes_or_current(ax), drawing.final(points)
    gamma, slip = drawing.of_measure(GAMMA, origin), drawing.of_measure(KEY, origin)

    def epsilon(point: Point) -> Estimate:
        of_gamma = gamma(point)
        parts = of_gamma.value, of_gamma.low, of_gamma.high
        value, low, high = (None if part is None else part - 1 for part in parts)
        return Estimate(value, low, high, of_gamma.reason)

    def error(point: Point) -> Estimate:
        right, wrong = gamma(point).value, slip(point).value
        difference = None if right is None or wrong is None else wrong - right
        return Estimate(difference, None, None, slip(point).reason)

    drawing.draw(ax, points, epsilon, error, joined=False)
    ends = [end for point in drawing.shown(points, epsilon, error) for end in ends_of(epsilon(point))]
    least, greatest = min([*ends, 0.0]), max([*ends, 0.0])
    margin = 0.08 * max(greatest - least, LEAST)
    left, right = least - margin, greatest + margin
    eps = torch.linspace(left, right, 201, dtype=torch.float64)
    curves = []
    for of_eps, dash, label in ((exact_error, "-", "exact (C8)"), (error_near_1, "--", "ε²/2 (C9)")):
        style: Any = {"color": INK, "linewidth": 0.9, "linestyle": dash, "label": label}
        ax.plot(eps.numpy(), of_eps(eps).numpy(), zorder=1, **style)
        curves.append(Line2D([], [], **style))
    ax.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    drawing.round_ticks(ax.xaxis)
    drawing.round_ticks(ax.yaxis)
    ax.set(xlim=(left, right), xlabel=f"ε = {_plain(GAMMA)} − 1", ylabel=f"{_plain(KEY)} − {_plain(GAMMA)}")
    if not ends:
        message(ax, drawing.NOTHING)
    drawing.legend(ax, points, (epsilon, error), curves)
    return ax


def exact_error(epsilon: Tensor) -> Tensor:
    """The first version's error where γ = 1 + ε, evaluated at x̂ = γ·x, since it depends on γ alone (C8)."""
    gamma = 1 + epsilon
    moments = moments_at(1.0, gamma)
    return evaluate(REGISTRY[KEY], *moments) - evaluate(REGISTRY[GAMMA], *moments)


def error_near_1(epsilon: Tensor) -> Tensor:
    """The first term of its series in ε, as C9 derives it."""
    series = derived("C9")["error_near_1"].removeO()
    (variable,) = series.free_symbols
    return to_torch(series, (variable,))(epsilon)


def _plain(key: str) -> str:
    return REGISTRY[key].plain
