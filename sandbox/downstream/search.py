"""The factor of the decoder that is best for the model's loss, found by a search between bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sandbox.errors import InputError
from sandbox.report.losses import LossCurve

GRID = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0)
"""Factors tried first: the bounds are the first and the last."""

BETWEEN = 3
"""Factors tried on either side of the best of them."""


def search(
    losses: Callable[[Sequence[Sequence[float]]], Sequence[tuple[Tensor, Tensor]]], starts: Sequence[Sequence[float]]
) -> list[LossCurve]:
    """The curves of several SAEs: the grid and the starts, then factors around the best of them.

    The best factor is the lowest point of the parabola through the best one and its neighbours, to three decimals.

    Args:
        losses: the sums and the tokens, as in `LossCurve`, for the factors of each SAE
        starts: factors of each SAE to try as well, such as that of the least error
    """
    first = [sorted({*GRID, *(factor for factor in more if GRID[0] < factor < GRID[-1])}) for more in starts]
    known = [(factors, *of_sae) for factors, of_sae in zip(first, losses(first), strict=True)]
    second = [_between(factors, sums.sum(0)) for factors, sums, _ in known]
    curves = []
    for (factors, sums, tokens), more, (more_sums, _) in zip(known, second, losses(second), strict=True):
        every = torch.tensor([*factors, *more], dtype=torch.float64)
        order = every.argsort()
        total = torch.cat((sums, more_sums), 1)[:, order]
        if not total.isfinite().all():
            raise InputError("the loss is nan or infinite for some factor: compute the model in float32")
        ascending = every[order].tolist()
        best = _lowest(ascending, total.sum(0).tolist())
        curves.append(LossCurve(ascending, total, tokens, best, best in (GRID[0], GRID[-1])))
    return curves


def _between(factors: Sequence[float], losses: Tensor) -> list[float]:
    """Factors evenly between the best one and its neighbours."""
    best = int(losses.argmin())
    sides = [(factors[i], factors[i + 1]) for i in (best - 1, best) if 0 <= i < len(factors) - 1]
    steps = [(k + 1) / (BETWEEN + 1) for k in range(BETWEEN)]
    return [low + step * (high - low) for low, high in sides for step in steps]


def _lowest(factors: Sequence[float], losses: Sequence[float]) -> float:
    best = min(range(len(losses)), key=losses.__getitem__)
    if not 0 < best < len(losses) - 1:
        return factors[best]
    (x0, x1, x2), (y0, y1, y2) = factors[best - 1 : best + 2], losses[best - 1 : best + 2]
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    if not bend > 0:
        return x1
    return round(min(max((x0 + x1) / 2 - left / (2 * bend), x0), x2), 3)
