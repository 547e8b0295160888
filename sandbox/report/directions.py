"""γ by direction: the principal components of x in bands, each with its own moments (C25).

γ over all directions is the mean of the bands' γ, weighted by their c. So γ = 1 does not mean that nothing shrinks
anywhere: directions that are too short and directions that are too long can cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.report.estimates import Estimate, estimate

GAMMA = "relative_reconstruction_bias"

SHARES = {"energy": "energy of x", "inner": "share of c", "loss": "share of the loss"}
"""The shares of a band, by the key that JSON and CSV have for each, in words."""


@dataclass(frozen=True, eq=False)
class Band:
    """Some neighbouring principal components of x.

    Attributes:
        first, last: their ranks, from 1 for the component of the largest variance
        moments:     of x and x̂ along them, about their means, by independent clusters
    """

    first: int
    last: int
    moments: Moments

    @property
    def name(self) -> str:
        """Such as 6-20, or 3 for a single component."""
        return f"{self.first}-{self.last}" if self.last > self.first else f"{self.first}"

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """Every measure, by key, with its interval."""
        return {key: estimate(self.moments, measure) for key, measure in REGISTRY.items()}


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
        left_out:    number of tokens left out: those of extreme norm, which would be components of their own, and those
                     that are not finite
        share, seed: of the split (`sandbox.activations.split.Split`)
    """

    bands: tuple[Band, ...]
    fitted: int
    measured: int
    blocks: bool
    left_out: int
    share: float
    seed: int

    @cached_property
    def whole(self) -> Band:
        """All directions together: the centred measures of the measured documents."""
        parts = [band.moments for band in self.bands]
        totals = torch.stack([part.totals for part in parts]).sum(0)
        sums = torch.cat([part.sums for part in parts], -1)
        moments = type(parts[0])(totals, parts[0].count, sums, parts[0].nonfinite)
        return Band(self.bands[0].first, self.bands[-1].last, moments)

    def shares(self, band: Band) -> dict[str, float | None]:
        """Its shares of a = E‖x‖², of c = E[x·x̂] and of the loss, by the keys of SHARES; None where the whole is 0."""
        whole = self.whole

        def loss(part: Band) -> float:
            relative = part.estimates["relative_loss"].value
            return 0.0 if relative is None else relative * part.moments.a.item()

        parts = {
            "energy": (band.moments.a.item(), whole.moments.a.item()),
            "inner": (band.moments.c.item(), whole.moments.c.item()),
            "loss": (loss(band), loss(whole)),
        }
        return {key: part / total if total else None for key, (part, total) in parts.items()}

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
        known = [band for band in self.bands if _ends(band) is not None]
        if len(known) < 2:
            return "Fewer than two bands have an interval of γ: directions cannot be compared."
        lowest, highest = (choose(known, key=_gamma) for choose in (min, max))
        low, high = _ends(highest), _ends(lowest)
        assert low is not None
        assert high is not None
        if low[0] <= high[1]:
            return "The intervals of the lowest and the highest γ overlap: no difference between directions is seen."
        whole = self.whole.estimates[GAMMA].value
        pooled = "undefined" if whole is None else f"{whole:.3f}"
        return (
            f"γ differs between directions: it is {_gamma(highest):.3f} on components {highest.name} and "
            f"{_gamma(lowest):.3f} on {lowest.name}. Over all, γ is {pooled}: the mean of the bands' γ, weighted by c "
            "(C25). A band with a small share of the loss matters little, whatever its γ."
        )


def _gamma(band: Band) -> float:
    value = band.estimates[GAMMA].value
    assert value is not None
    return value


def _ends(band: Band) -> tuple[float, float] | None:
    """The interval of its γ, if there is one."""
    gamma = band.estimates[GAMMA]
    return None if gamma.low is None or gamma.high is None else (gamma.low, gamma.high)
