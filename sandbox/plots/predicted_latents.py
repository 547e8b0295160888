"""Whether the L1 penalty explains how much each latent shrinks: its measured factor against the law's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sandbox.measuring.latents import OFTEN, Latents
from sandbox.plots.latents import OUTSIDE
from sandbox.plots.style import FAINT, INK, SAES, axes_or_current, cycled, legend_below, message, plain_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def predicted_latents(by_name: Mapping[str, tuple[Latents, float]], ax: Axes | None = None, often: int = OFTEN) -> Axes:
    """The measured factor s_j of each latent active on at least `often` tokens, against the one that L1 predicts (C20).

    Latents lie on the diagonal if the penalty explains their shrinkage. Without a penalty they lie around the level 1,
    whatever is predicted. At most a thousandth of the values at either end lies outside the range, and is drawn at its
    edge.

    Args: by_name: the latents of each SAE, and the L1 coefficient in units of x (`Report.l1`)
    """
    ax = axes_or_current(ax)
    named = {}
    for name, (of_sae, l1) in by_name.items():
        pairs = np.stack([t.cpu().numpy() for t in (of_sae.predicted(l1), of_sae.scale_factors())])
        named[name] = pairs[:, (of_sae.count.cpu().numpy() >= max(often, 1)) & ~np.isnan(pairs).any(0)]
    drawn = np.concatenate([*(pairs.ravel() for pairs in named.values()), np.ones(1)])
    low, high = np.quantile(drawn, (OUTSIDE, 1 - OUTSIDE))
    low, high = min(low, 0.95), max(high, 1.1)
    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    for (name, pairs), colour in zip(named.items(), cycled(SAES), strict=False):
        of_sae, l1 = by_name[name]
        _, correlation, slope = of_sae.agreement(l1, often)
        label = f"{plain_name(name)}: {pairs.shape[1]:,} latents"
        if correlation == correlation:
            label += f"\ncorrelation {correlation:.3f}, slope {slope:.3f}"
        style = {"s": 7, "color": colour, "alpha": 0.35, "linewidths": 0, "rasterized": True}
        ax.scatter(*pairs.clip(low, high), label=label, **style)
    if not any(pairs.size for pairs in named.values()):
        message(ax, f"no latent is active on {often:,} tokens or more")
    ax.plot((low, high), (low, high), color=INK, linewidth=1, label="law: measured = predicted")
    margin = 0.02 * (high - low)
    ends = low - margin, high + margin
    ax.set(xlim=ends, ylim=ends, xlabel="$s_j$ predicted from the L1 penalty", ylabel="$s_j$ measured")
    ax.set_title(f"Each latent active on {often:,} tokens or more")
    legend_below(ax, 0.2)
    return ax
