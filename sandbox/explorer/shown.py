"""What the explorer shows, as numbers: the `Moments` and the pairs that a state describes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.polynomial import Chebyshev
from scipy.special import stdtrit

from sandbox.explorer.state import BLOCKS, POINTS
from sandbox.moments.moments import Moments
from sandbox.report import LEVEL
from sandbox.simulate.theory import at_an_angle
from sandbox.simulate.vectors import Pairs, pairs


def quantiles(degree: int = 22) -> dict[str, list[float]]:
    """Student's quantile for the browser: a Chebyshev series of its logarithm in 1/(degrees of freedom).

    It holds for 1 to BLOCKS − 1 degrees, whole or not, to thirteen digits.
    """
    domain = [1 / (BLOCKS - 1), 1.0]
    series = Chebyshev.interpolate(lambda turned: np.log(stdtrit(1 / turned, 0.5 + LEVEL / 2)), degree, domain)
    return {"domain": domain, "series": series.coef.tolist()}


def moments_of(state: Mapping[str, Any]) -> Moments:
    """The `Moments` of a state: of its single pair, of its merged points, or of its population in `BLOCKS` clusters."""
    if state["merged"]:  # one cluster, hence no interval: each x̂ depends on several points
        return Moments.from_pairs(*merged(state), np.zeros(POINTS, dtype=int), groups=1)
    if state["population"]:
        return _pooled(state)
    norm, ratio, theta = state["norm_x"], state["norm_ratio"], math.radians(state["angle"])
    # Totals straight from the angle: vectors would round cos 60° off ½, which decides whether γ₁₀ is defined.
    totals = torch.tensor([at_an_angle(theta, ratio, norm**2)], dtype=torch.float64)
    tip = [ratio * norm * math.cos(theta), ratio * norm * math.sin(theta)]
    vectors = torch.tensor([[[norm, 0.0], tip]], dtype=torch.float64)
    return Moments(totals, torch.ones(1, dtype=torch.float64), vectors, torch.zeros((), dtype=torch.float64))


def _pooled(state: Mapping[str, Any]) -> Moments:
    """The moments of the simulated pairs, with blocks as clusters."""
    block = np.arange(state["n"]) // (state["n"] // BLOCKS)
    moments = Moments.from_pairs(*population(state), block, groups=BLOCKS)
    if not state["spread"]:  # all at one angle: as for a single pair, cos 90° must stay 0, which vectors would round
        shared = moments.count * state["offset"] ** 2
        _, _, along = at_an_angle(math.radians(state["angle"]), state["norm_ratio"])
        moments.totals[:, 2] = along * (moments.totals[:, 0] - shared) + shared
    return moments


def population(state: Mapping[str, Any], d: int = 64) -> Pairs:
    """The simulated pairs of a population: angles and log norms are normal, and all vectors share one offset.

    The offset is perpendicular to everything else, as it is on average in many dimensions.

    Returns: x and x̂, Float64[Tensor, "n d"]; the last coordinate holds the offset
    Source:  C14, C15
    """
    angle_scores, norm_scores = scores(state["n"], state["seed"])
    degrees = state["angle"] + state["spread"] * angle_scores
    folded = (degrees + 180).remainder(360).sub(180).abs()  # an angle between two vectors lies in 0° to 180°
    x, x_hat = pairs(folded.deg2rad(), state["norm_ratio"], d - 1, 1, dtype=torch.float64, seed=state["seed"])
    length = state["norm_x"] * (state["norm_spread"] * norm_scores).exp()
    offset = torch.full((state["n"], 1), float(state["offset"]), dtype=torch.float64)
    return Pairs(*(torch.cat((length[:, None] * vectors[:, 0], offset), 1) for vectors in (x, x_hat)))


def merged(state: Mapping[str, Any]) -> Pairs:
    """Points x of the plane, merged into cells, and x̂: the mean of x's cell, times `factor`.

    The points lie evenly on a disk, with ‖x‖² = `norm_x`² on average. Two cells merge at a time, those
    whose merging adds the least to the loss (Ward), so fewer cells are unions of more cells.

    Returns: x and x̂, Float64[Tensor, "n 2"]
    Source:  C21
    """
    from scipy.cluster.hierarchy import fcluster, ward

    normal = torch.stack(scores(POINTS, state["seed"]), 1)
    square = normal.square().sum(1, keepdim=True)
    x = normal * (-2 * torch.expm1(-square / 2) / square).sqrt()
    cell = torch.from_numpy(fcluster(ward(x.numpy()), state["cells"], "maxclust").astype(np.int64)) - 1
    same = (cell[:, None] == cell).to(x)
    means = same @ x / same.sum(1, keepdim=True)
    return Pairs(state["norm_x"] * x, state["factor"] * state["norm_x"] * means)


def scores(n: int, seed: int) -> tuple[Float64[torch.Tensor, "n"], Float64[torch.Tensor, "n"]]:
    """Two independent standard normal numbers for each pair, the same here and in the browser (population.js).

    They come from a hash of the pair's index and the Box–Muller transform, since a page without Python has neither
    torch's generator nor NumPy's.
    """
    number = np.arange(2 * n, dtype=np.uint32) + np.uint32(seed * 20_000)
    uniform = (_hash(number).astype(np.float64) + 0.5) / 2**32
    length, turn = np.sqrt(-2 * np.log(uniform[::2])), 2 * np.pi * uniform[1::2]
    return torch.from_numpy(length * np.cos(turn)), torch.from_numpy(length * np.sin(turn))


def _hash(number: np.ndarray) -> np.ndarray:
    """A 32-bit integer hash (Wellons' lowbias32)."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        number = (number ^ (number >> np.uint32(shift))) * np.uint32(factor)
    return number ^ (number >> np.uint32(15))
