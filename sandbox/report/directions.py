"""γ by direction: the principal components of x in bands, each with its own moments (C25).

γ over all directions is the mean of the bands' γ, weighted by their c. So γ = 1 does not mean that nothing shrinks
anywhere: directions that are too short and directions that are too long can cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import torch

from sandbox.maths.compile import MOMENTS, to_torch
from sandbox.maths.measures import ANY, REGISTRY
from sandbox.maths.symbols import a, c
from sandbox.moments.moments import Moments
from sandbox.report.estimates import Estimate, estimate
from sandbox.report.jackknife import LEVEL, LeftOut, effective_clusters, ends, left_out, student

GAMMA = "relative_reconstruction_bias"

PARTS = {"energy": a, "c": c, "loss": a * REGISTRY["relative_loss"].expression}
"""What a band has a share of, by the key of the share in JSON and CSV."""

SHARES = {"energy": "energy of x", "c": "share of c", "loss": "share of the loss"}
"""The same in words."""

STILL = "x does not vary along these components"


@dataclass(frozen=True, eq=False)
class Band:
    """Some neighbouring principal components of x.

    Attributes:
        first, last: their ranks, from 1 for the component of the largest variance
        moments:     of x and x̂ along them, about their means, by independent clusters
        varies:      whether x varies along them by more than rounding
    """

    first: int
    last: int
    moments: Moments
    varies: bool = True

    @property
    def name(self) -> str:
        """Such as 6-20, or 3 for a single component."""
        return f"{self.first}-{self.last}" if self.last > self.first else f"{self.first}"

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """Every measure, by key, with its interval."""
        if not self.varies:
            return dict.fromkeys(REGISTRY, Estimate(None, None, None, STILL))
        return {key: estimate(self.moments, measure) for key, measure in REGISTRY.items()}

    @cached_property
    def gamma(self) -> LeftOut:
        """γ, and γ without each group of clusters in turn."""
        return left_out(self.moments, replace(REGISTRY[GAMMA], root=None))


class Apart(NamedTuple):
    """Two bands whose γ differ: the higher one, the lower one, and the difference with its interval."""

    higher: Band
    lower: Band
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Directions:
    """What an SAE does along the principal components of x.

    The components come from other documents than those that are measured. Otherwise a component would be, in part, a
    direction in which these very tokens vary by chance.

    Attributes:
        bands:       in order; together they are all directions
        fitted:      number of documents (or blocks) that the components come from
        measured:    number of the others, which are measured
        blocks:      whether both are blocks of tokens, because there are no documents
        left_out:    number of tokens of both halves left out: those of extreme norm, which would be components of their
                     own, and those that are not finite
        share, seed: of the split (`sandbox.activations.split.Split`)
    """

    bands: tuple[Band, ...]
    fitted: int
    measured: int
    blocks: bool
    left_out: int
    share: float
    seed: int | None

    @cached_property
    def whole(self) -> Band:
        """All directions together: the centred measures of the measured documents."""
        parts = [band.moments for band in self.bands]
        totals = torch.stack([part.totals for part in parts]).sum(0)
        sums = torch.cat([part.sums for part in parts], -1)
        moments = type(parts[0])(totals, parts[0].count, sums, parts[0].nonfinite)
        return Band(self.bands[0].first, self.bands[-1].last, moments)

    def shares(self, band: Band) -> dict[str, float | None]:
        """Its shares of a = E‖x‖², of c = E[x·x̂] and of the loss, by the keys of PARTS; None where the whole is 0."""
        parts = {key: to_torch(part, MOMENTS) for key, part in PARTS.items()}
        every = {key: [part(*of.moments.means).item() for of in (band, self.whole)] for key, part in parts.items()}
        return {key: own / whole if whole else None for key, (own, whole) in every.items()}

    @cached_property
    def apart(self) -> Apart | None:
        """The two bands whose γ differ most clearly; None if no two can be told apart.

        All pairs are compared, so each interval has the level 1 − 0.05/pairs (Bonferroni). It is the jackknife of the
        difference itself, because both bands are measured on the same documents.
        """
        known = [band for band in self.bands if band.estimates[GAMMA].value is not None]
        pairs = list(combinations(known, 2))
        clearest, found = 0.0, None
        for one, other in pairs:
            count = one.moments.count
            clusters = effective_clusters(one.moments).minimum(effective_clusters(other.moments))
            difference = LeftOut(one.gamma.value - other.gamma.value, one.gamma.without - other.gamma.without)
            quantile = student(clusters, 1 - (1 - LEVEL) / len(pairs))
            low, high = (end.item() for end in ends(difference, ANY, count > 0, quantile))
            clear = abs(difference.value.item()) / (high - low) if high > low else 0.0
            if (low > 0 or high < 0) and clear > clearest:
                clearest = clear
                found = Apart(one, other, low, high) if low > 0 else Apart(other, one, -high, -low)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""

        def entry(band: Band) -> dict[str, Any]:
            return {key: estimate.to_dict() for key, estimate in band.estimates.items()}

        return {
            "fitted": self.fitted,
            "measured": self.measured,
            "blocks": self.blocks,
            "left_out": self.left_out,
            "share": self.share,
            "seed": self.seed,
            "bands": [
                {"first": band.first, "last": band.last, "shares": self.shares(band), **entry(band)}
                for band in self.bands
            ],
            "whole": entry(self.whole),
        }

    def origin_in_words(self) -> str:
        """Where the components come from, what is measured, and what is left out."""
        noun = "blocks of tokens" if self.blocks else "documents"
        left_out = f"; {self.left_out:,} outliers or non-finite tokens left out" if self.left_out else ""
        return f"components from {self.fitted:,} {noun}, measured on {self.measured:,} others{left_out}"

    def in_words(self) -> str:
        """Whether γ differs between directions, in a sentence or two."""
        if self.apart is None:
            return "Cannot tell whether γ differs between directions: every interval of a difference contains 0."
        gamma = self.whole.estimates[GAMMA].value
        pooled = "undefined" if gamma is None else f"{gamma:.3f}"
        return (
            f"γ differs between directions: it is {self._in_figures(self.apart.higher)} and "
            f"{self._in_figures(self.apart.lower)}. Of all pairs of bands, these differ most clearly, by "
            f"{self.apart.low:.3f} to {self.apart.high:.3f}. Over all, γ is {pooled}: the mean of the bands' γ, "
            "weighted by c (C25)."
        )

    def _in_figures(self, band: Band) -> str:
        loss = self.shares(band)["loss"]
        share = "" if loss is None else f" ({100 * loss:.1f} % of the loss)"
        return f"{band.estimates[GAMMA].value:.3f} on components {band.name}{share}"
