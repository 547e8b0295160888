"""Measure along the principal components of x, in bands, on other documents than those the components come from (C25).

Two more passes over the activations: the first adds up the covariance of x on half of the documents; the second rotates
x and x̂ of the others into its eigenvectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import index

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.activations import Source
from sandbox.activations.split import Split
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.one_pass import Progress, counted_at_once
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.readings import Readings
from sandbox.moments.clusters import Runs, runs_of
from sandbox.moments.moments import GONE, GROUPS, Moments
from sandbox.moments.sums import Sums
from sandbox.report.directions import Band, Directions

EDGES = (5, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""The last component of each band but the last, by default: the variance falls fast at first, then slowly."""

SPLIT = Split(0.5, seed=0)
"""Which documents the components come from; the others are measured."""

PASSES = 2
"""Number of times that `directions` reads the activations."""


def edges_of(bands: bool | Iterable[int] | None) -> tuple[int, ...]:
    """The edges that a user asks for: the last component of each band but the last, or True for EDGES.

    Returns: none for False and None
    Raises:  InputError unless they are whole numbers from 1 that rise
    """
    if bands is None or isinstance(bands, bool):
        return EDGES if bands else ()
    try:
        edges = () if isinstance(bands, str) else tuple(index(edge) for edge in bands)
    except TypeError:
        edges = ()
    if not edges or edges[0] < 1 or any(low >= high for low, high in pairwise(edges)):
        raise InputError(f"bands of components are {bands!r}: give rising whole numbers from 1, such as 5, 20, 50")
    return edges


def refuse_once(source: Source) -> None:
    """Raise InputError, before any work, for activations that can be read only once, such as a generator."""
    if getattr(source, "once", False):
        raise InputError(
            f"{source.name} can be read only once, but directions need two more passes: "
            "pass a list, or a function that returns a new iterator"
        )


@dataclass(frozen=True)
class Setting:
    """How the activations are read for `directions`: as for the pass of `measure` before it.

    Attributes:
        batch: tokens per batch
        limit: norm of x above which a token is left out
    """

    batch: int
    limit: float
    ranks: Ranks
    share: Share
    progress: Progress | None = None


def directions(
    saes: Sequence[Forward | Pairs],
    source: Source,
    edges: Sequence[int],
    setting: Setting,
) -> list[Directions]:
    """γ and every other measure of each SAE along bands of the principal components of x.

    Tokens that are not finite are left out: the pass of `measure` has refused or counted them. Rotations are computed
    in float64 (in float32 on a device that has none).

    Args:    edges: last component of each band but the last; edges from d on are ignored, so EDGES fit any d
    Raises:  InputError if half of the documents cannot be set apart, if no token of either half is left, or if the
             tokens change between passes
    Source:  C25
    """
    first = saes[0]
    readings = Readings(source, SPLIT, setting.batch, True, setting.ranks, setting.share, setting.progress)
    at_once = counted_at_once(setting.batch, 4 * source.width, first.device)  # rotations are in float64

    def count_products(x: Tensor, cluster: np.ndarray) -> list[Covariance]:
        return [Covariance.of(first.compared(x), setting.limit)]

    (covariance,) = readings.totals(saes[:1], count_products, fitting=True, batch=at_once)
    # From the first process: eigenvectors that another computes may differ in sign, and where variances are close.
    components = setting.ranks.broadcast(covariance.components() if setting.ranks.first else None).to(first.device)
    d = len(components)
    cuts = [0, *(edge for edge in edges if edge < d), d]

    def count_bands(x: Tensor, cluster: np.ndarray) -> list[Rotated]:
        compared = first.compared(x)
        kept = _kept(compared.to(components.dtype), setting.limit)[:, None]

        def rotate(rows: Tensor) -> Tensor:
            # `Moments` leaves out a token with a nan, which the rotation spreads to every band.
            return torch.where(kept, rows.to(components.dtype), torch.nan) @ components

        u, runs = rotate(compared), runs_of(cluster, x.shape[:1], GROUPS)
        return [Rotated.of(u, rotate(sae(x).x_hat), runs, cuts) for sae in saes]

    left_out = int(covariance.left_out)
    rotated = readings.totals(saes, count_bands, fitting=False, batch=at_once)
    return [
        Directions(
            tuple(part.band(i, low, high, readings.blocks) for i, (low, high) in enumerate(pairwise(cuts))),
            readings.fitted,
            readings.held_out,
            readings.blocks,
            left_out + int(part.left_out),
            SPLIT.share,
            SPLIT.seed,
        )
        for part in (total.to("cpu") for total in rotated)
    ]


@dataclass(frozen=True, eq=False)
class Covariance(Sums):
    """Sums over tokens behind the covariance of x.

    Attributes:
        products: Float64[Tensor, "d d"], of x xᵀ, squared activation units
        sum:      Float64[Tensor, "d"], of x
        count:    Float64[Tensor, ""], tokens
        left_out: Float64[Tensor, ""], other tokens: not finite, or of a norm above the limit
    """

    products: Float64[Tensor, "d d"]
    sum: Float64[Tensor, "d"]
    count: Float64[Tensor, ""]
    left_out: Float64[Tensor, ""]

    @classmethod
    def of(cls, x: Tensor, limit: float) -> Covariance:
        """The sums of a batch; tokens that are not finite, or whose norm exceeds `limit`, add zeros."""
        wide = x.to(_wide(x.device))
        kept = _kept(wide, limit)
        rows = torch.where(kept[:, None], wide, 0)
        count = kept.sum().to(rows.dtype)
        return cls(rows.mT @ rows, rows.sum(0), count, len(rows) - count)

    def components(self) -> Tensor:
        """The orthonormal eigenvectors of the covariance as columns, by falling variance."""
        if not self.count:
            raise InputError(
                "every token of the documents that principal components come from is an outlier or not finite"
            )
        mean = self.sum / self.count
        _, vectors = torch.linalg.eigh(self.products / self.count - torch.outer(mean, mean))
        return vectors.flip(-1).cpu()


@dataclass(frozen=True, eq=False)
class Rotated(Sums):
    """Totals of x and x̂ along bands of components, by group of clusters.

    Attributes:
        totals:   Float64[Tensor, "bands groups 3"], as those of `Moments`
        count:    Float64[Tensor, "groups"], tokens
        sums:     Float64[Tensor, "groups 2 d"], of the coordinates of x and of x̂ along all components
        left_out: Float64[Tensor, ""], tokens that are not finite, or whose norm exceeds the limit
    """

    totals: Float64[Tensor, "bands groups 3"]
    count: Float64[Tensor, "groups"]
    sums: Float64[Tensor, "groups 2 d"]
    left_out: Float64[Tensor, ""]

    @classmethod
    def of(cls, u: Tensor, v: Tensor, runs: Runs, cuts: Sequence[int]) -> Rotated:
        """The totals of a batch: coordinates of x and of x̂, (n, d), the groups of its tokens, the ends of the bands."""
        bands = [Moments.with_dots(u[:, low:high], v[:, low:high], runs)[0] for low, high in pairwise(cuts)]
        return cls(
            torch.stack([band.totals for band in bands]),
            bands[0].count,
            torch.cat([band.sums for band in bands], -1),
            bands[0].nonfinite,
        )

    def band(self, i: int, low: int, high: int, blocks: bool) -> Band:
        """The i-th band, about its means; `blocks`: the clusters are blocks of tokens, not documents."""
        raw = Moments(self.totals[i], self.count, self.sums[:, :, low:high], self.left_out)
        centred = (raw.in_stretches() if blocks else raw).centred()
        energy = self.totals[..., 0].sum() / self.count.sum()  # of all bands, which is what rounding is relative to
        return Band(low + 1, high, centred, varies=bool(centred.a > GONE * energy))


def _kept(x: Tensor, limit: float) -> Tensor:
    """Whether each token is finite and no outlier."""
    norms = x.norm(dim=-1)
    return norms.isfinite() & (norms <= limit)


def _wide(device: torch.device) -> torch.dtype:
    """float64, or float32 on a device without it."""
    return torch.float32 if device.type == "mps" else torch.float64
