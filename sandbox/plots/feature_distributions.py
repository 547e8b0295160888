"""Beyond exponential features: how γ behaves behind a soft and a hard threshold for other distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from sandbox.maths.measures import measure_named
from sandbox.plots.closed_form import Curve, Simulated, legend_under, over_shares, points
from sandbox.plots.style import INK, MARKERS, SAES, axes_or_current, cycled, plain_name
from sandbox.simulate.theory import at_shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def feature_distributions(
    simulated: Mapping[str, Mapping[str, Simulated]],
    key: str = "relative_reconstruction_bias",
    least: float = 1e-3,
    ax: Axes | None = None,
) -> Axes:
    """One measure over the share of active features, for several distributions of their strengths.

    Hollow points joined by a thin line are simulated behind a soft threshold, filled points behind a hard one, each
    with its 95 % interval. Grey lines are the closed forms for exponential strengths.

    Args:   simulated: `stream_features` of a grid of thresholds, by name of the distribution and then by gate ("soft",
            "hard"); key: of the measure; least: where the axis of shares begins
    Raises: InputError for a key that is not in the registry
    Source: C17, C18 for exponential strengths; the others are only simulated
    """
    ax = axes_or_current(ax)
    measure = measure_named(key)
    share = torch.logspace(math.log10(least), 0, 400, dtype=torch.float64)
    for gate in ("soft", "hard"):
        label = "closed form" if gate == "soft" else None
        ax.plot(share, at_shares(share, gate).values[key], color="#BBBBBB", linewidth=3.5, zorder=1, label=label)
    for i, ((name, of_gate), colour) in enumerate(zip(simulated.items(), cycled(SAES), strict=False)):
        curve = Curve(key, colour, MARKERS[i % len(MARKERS)])
        for gate, by_threshold in of_gate.items():
            soft = {"linestyle": "-", "markersize": 4.5, "markerfacecolor": "white", "label": plain_name(name)}
            points(ax, curve, by_threshold, linewidth=0.8, zorder=3, **soft if gate == "soft" else {"markersize": 3.5})
    over_shares(ax, least)
    ax.plot([], [], "o", color=INK, markersize=4.5, markerfacecolor="white", label="soft")
    ax.plot([], [], "o", color=INK, markersize=3.5, label="hard")
    ax.set_ylabel(f"{measure.plain}, 95 % interval")
    ax.set_title("Other distributions of strength")
    legend_under(ax, columns=2)
    return ax
