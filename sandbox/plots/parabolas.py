"""The two losses over the scale, with their minima, neither of which is the reciprocal of the other."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sandbox.maths.compile import MOMENTS, evaluate, scale_losses, to_torch, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.maths.symbols import s
from sandbox.moments.moments import Moments
from sandbox.plots.style import FAINT, OF_X, OF_X_HAT, axes_or_current, legend_below, message, plain_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = {"scale_x": ("‖x̂ − s·x‖²", OF_X), "scale_x_hat": ("‖s·x̂ − x‖²", OF_X_HAT)}


def parabolas(
    moments: Moments, ax: Axes | None = None, title: str = "Neither minimum is the reciprocal of the other"
) -> Axes:
    """The losses E‖x̂ − s·x‖² and E‖s·x̂ − x‖² over s, their minima, and the reciprocal of each minimum.

    Args:    moments: without batch axes; both curves are divided by a = E‖x‖²
    Returns: the Axes
    """
    ax = axes_or_current(ax)
    means = moments.means.tolist()
    ax.set_title(plain_name(title))
    if reason := why_undefined(REGISTRY["scale_x"], *means):
        message(ax, reason)
        return ax
    scales = {key: evaluate(REGISTRY[key], *means).item() for key in ("scale_x", "scale_x_hat")}
    known = {key: value for key, value in scales.items() if not isnan(value)}
    reciprocals = {key: 1 / value for key, value in known.items() if value}
    furthest = max(1.3, *known.values(), *(value for value in reciprocals.values() if value < 2.5)) * 1.12
    at = torch.linspace(0, furthest, 400, dtype=torch.float64)
    top = 0.0
    for key, (label, colour) in CURVES.items():
        loss = _loss(key)
        height = loss(*means, at) / means[0]
        best = scales[key]
        lowest = (loss(*means, best) / means[0]).item()
        width = 1.6 if key == "scale_x_hat" else 3.5  # so that both show where they coincide
        ax.plot(
            at,
            height,
            color=colour,
            linewidth=width,
            alpha=1 if width < 2 else 0.55,
            label=f"E{label} / a, minimum at s = {REGISTRY[key].plain} = {best:.3f}",
        )
        ax.plot(best, lowest, "o", color=colour, markersize=7)
        ax.vlines(best, 0, lowest, color=colour, linewidth=0.8, linestyle=":")
        top = max(top, height[0].item(), lowest)
    for key, value in reciprocals.items():
        if value <= furthest:
            colour = CURVES[key][1]
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
    ax.plot([], [], "--", color=FAINT, label="where each minimum would be if it were the other's reciprocal")
    ax.set(xlim=(0, furthest), ylim=(0, 1.25 * top), xlabel="scale s", ylabel="loss, relative to E‖x‖²")
    legend_below(ax)
    return ax


def _loss(key: str) -> Callable[..., Tensor]:
    """The loss that a scale minimises, as a function of a, b, c and the scale s."""
    return to_torch(scale_losses()[key], (*MOMENTS, s))
