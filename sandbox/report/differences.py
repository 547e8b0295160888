"""Two SAEs on the same tokens: the difference of every measure, and which of the two shrinks less (C27).

On the same tokens the errors of two SAEs partly cancel, so the interval of their difference is usually much narrower
than either SAE's own intervals suggest. It is the jackknife of the difference itself: both SAEs lose the same group of
clusters in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from sandbox.errors import InputError
from sandbox.maths.measures import ANY, REGISTRY
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.jackknife import LeftOut, effective_clusters, ends, left_out, student
from sandbox.report.verdict import DOES_NOT, SHRINKS, STRETCHES, WITHIN, in_figures, percent

if TYPE_CHECKING:
    from sandbox.report.report import Report

GAMMA, LOSS = "relative_reconstruction_bias", "relative_loss"

SHRINKAGE = "distance_from_1"
"""The key of |γ − 1|, beside the measures' own keys: how far an SAE is from leaving the length alone."""

WITHOUT_OUTLIERS = "without_outliers "
"""Precedes the origin of a difference on the tokens that are not outliers."""

SAME = 1e-6
"""Largest relative difference of two totals of the same x that were added up in another order."""


@dataclass(frozen=True)
class Difference:
    """The value of a measure for one SAE minus its value for another, on the same tokens.

    Attributes:
        of, reference: names of the SAEs: the value is that of `of` minus that of `reference`
        origin:        a key of ORIGINS, behind WITHOUT_OUTLIERS where both SAEs were also measured without outliers
        measure:       a key of the registry, or SHRINKAGE
        estimate:      the difference, with its interval; its unit is the measure's (all are pure numbers)
    """

    of: str
    reference: str
    origin: str
    measure: str
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """One entry of `differences` in the JSON; `reason` is None for a value with an interval."""
        names = {"of": self.of, "reference": self.reference, "origin": self.origin, "measure": self.measure}
        return names | {"reason": None} | self.estimate.to_dict()


def differences(reports: Sequence[Report]) -> list[Difference]:
    """The difference of every SAE from the first, for every measure from every origin, with 95 % intervals.

    The jackknife leaves the same group of clusters out of both SAEs. A difference may have either sign, so its interval
    is computed on the measure's own scale; the degrees of freedom come from the smaller effective number of clusters.
    Where the interval of a γ contains 1, the sign of γ − 1 is unknown: the interval of the difference of |γ − 1|
    (SHRINKAGE) then spans both.

    It is the difference of pooled measures. Their order may differ from the order in every part of the data (C24).

    Args:    reports: two or more, of the same tokens in the same clusters
    Returns: for each SAE but the first, by origin and then by measure; "decoder_bias" only if both have that origin
    Raises:  InputError for fewer than two reports, and for reports of different tokens
    Source:  C24, C27

    >>> from sandbox.moments.moments import Moments
    >>> from sandbox.report import Report
    >>> x = torch.tensor([[1.0], [2.0], [3.0]])
    >>> first, second = (Report(f"{s}", Moments.from_pairs(x, s * x, torch.arange(3))) for s in (0.5, 0.75))
    >>> differences([first, second])[2]  # doctest: +NORMALIZE_WHITESPACE
    Difference(of='0.75', reference='0.5', origin='raw', measure='relative_reconstruction_bias',
               estimate=Estimate(value=0.25, low=0.25, high=0.25, reason=None))
    """
    if len(reports) < 2:
        raise InputError(f"differences compares two or more reports, not {len(reports)}: measure more SAEs")
    for report in reports[1:]:
        if reason := why_not_paired(report, reports[0]):
            raise InputError(reason)
    return known_differences(reports)


def known_differences(reports: Sequence[Report]) -> list[Difference]:
    """As `differences`, for any reports: where tokens differ, every value is None, with the reason."""
    side = cache(_Side)  # the reference's serves every other SAE
    found = []
    for other in reports[1:]:
        for prefix, report, reference in _parts(other, reports[0]):
            reason = why_not_paired(report, reference)
            for origin in _shared_origins(report, reference):
                estimates = (
                    dict.fromkeys((*REGISTRY, SHRINKAGE), Estimate(None, None, None, reason))
                    if reason
                    else _estimates(side(report, origin), side(reference, origin))
                )
                names = (report.name, reference.name, prefix + origin)
                found += [Difference(*names, key, estimate) for key, estimate in estimates.items()]
    return found


def difference(report: Report, reference: Report, measure: str = GAMMA, origin: str = "raw") -> Estimate:
    """A measure of one SAE minus that of another, as in `differences`; undefined if the tokens differ."""
    if reason := why_not_paired(report, reference):
        return Estimate(None, None, None, reason)
    return _difference(_Side(report, origin), _Side(reference, origin), measure)


def won_back(report: Report, reference: Report) -> Estimate:
    """The share of one SAE's loss E‖x − x̂‖² that another does not have, on the same tokens: 1 − L/L_reference.

    1: no loss is left; 0: as much as before; below 0: more. Its interval is paired, as in `differences`.
    """
    if reason := why_not_paired(report, reference):
        return Estimate(None, None, None, reason)
    mine, theirs = _Side(report, "raw"), _Side(reference, "raw")
    value, other = mine.estimates[LOSS].value, theirs.estimates[LOSS].value
    if value is None or other is None:
        return _undefined(mine, theirs, LOSS)
    if not other > 0:
        return Estimate(None, None, None, f"{reference.name} has no loss to win back")
    after, before = mine.statistic(LOSS), theirs.statistic(LOSS)
    share = LeftOut(1 - after.value / before.value, 1 - after.without / before.without)
    return _estimate(mine, theirs, 1 - value / other, [share])


def why_not_paired(report: Report, reference: Report) -> str | None:
    """Why two reports are not of the same tokens in the same clusters, in a line; None if they are."""
    both = f"{report.name} and {reference.name}"
    advice = "their difference needs the same tokens and clusters, so measure both SAEs in one run"
    if report.tokens != reference.tokens:
        return f"{both} were measured on {report.tokens:,} and {reference.tokens:,} tokens: {advice}"
    mine, theirs = report.moments.to("cpu"), reference.moments.to("cpu")
    if report.blocks != reference.blocks or not torch.equal(mine.count, theirs.count):
        return f"{both} were measured on tokens in different clusters: {advice}"
    x, other_x = mine.sums[:, 0], theirs.sums[:, 0]
    energy, other_energy = mine.totals[:, 0], theirs.totals[:, 0]
    apart = torch.linalg.vector_norm(x - other_x, dim=-1) if x.shape == other_x.shape else torch.inf
    if ((energy - other_energy).abs() > SAME * energy).any() or (apart > SAME * (mine.count * energy).sqrt()).any():
        return f"{both} were measured on different activations: {advice}"
    return None


def in_words(report: Report, reference: Report) -> str:
    """One sentence: which of two SAEs shrinks less, judged from every origin by the interval of the difference."""
    either = f"whether {report.name} or {reference.name} shrinks less"
    if reason := why_not_paired(report, reference):
        return f"Cannot tell {either}: {reason}."
    shrinkages = {
        origin: _shrinkage(_Side(report, origin), _Side(reference, origin))
        for origin in _shared_origins(report, reference)
    }
    (first, raw), *_ = shrinkages.items()
    if raw.value is None:
        return f"Cannot tell {either}: {raw.reason}."
    defined = {origin: estimate for origin, estimate in shrinkages.items() if estimate.value is not None}
    minus = f"|γ − 1| of {report.name} minus that of {reference.name}: {_figures(defined)}"
    sides = {origin: _side_of_0(estimate) for origin, estimate in defined.items()}
    for origin, side in sides.items():
        if not side:
            why = defined[origin].reason or "the interval of the difference of |γ − 1| contains 0"
            return f"Cannot tell {either}: {ORIGINS[origin]}, {why} ({minus})."
    less, more = (report, reference) if sides[first] < 0 else (reference, report)
    if other := next((origin for origin, side in sides.items() if side != sides[first]), None):
        by_origin = f"{ORIGINS[first]}, {less.name} does, but {ORIGINS[other]}, {more.name} does"
        return f"W{either[1:]} depends on the origin: {by_origin} ({minus})."
    if sides[first] < 0:  # as a positive number
        defined = {origin: _negative(estimate) for origin, estimate in defined.items()}
    differs = f"|γ − 1| differs by {_figures(defined)}"
    if less.verdict.word == more.verdict.word == DOES_NOT:
        neither = f"Neither {less.name} nor {more.name} shrinks or stretches by more than {percent(WITHIN)}"
        return f"{neither}, {less.name} by less: {differs}."
    gamma = more.raw[GAMMA].value
    assert gamma is not None  # otherwise the raw difference would be undefined
    theirs = "stretches" if gamma > 1 else "shrinks"
    mine = less.verdict.word if less.verdict.word in (SHRINKS, STRETCHES) else theirs
    return f"{less.name} {mine} less than {more.name}{'' if mine == theirs else f' {theirs}'}: {differs}."


class _Side:
    """One SAE of a difference, measured from one origin."""

    def __init__(self, report: Report, origin: str) -> None:
        self.name = report.name
        self.estimates = report.origins[origin]
        self.moments = report.moments_from(origin).to("cpu")
        self.statistic = cache(self._statistic)

    @cached_property
    def clusters(self) -> torch.Tensor:
        """The effective number of clusters."""
        return effective_clusters(self.moments)

    def _statistic(self, key: str) -> LeftOut:
        """The measure, not its square root."""
        return left_out(self.moments, replace(REGISTRY[key], root=None))


def _parts(report: Report, reference: Report) -> Iterator[tuple[str, Report, Report]]:
    """Both reports, and both without outliers, with the prefix of the origin."""
    yield "", report, reference
    if report.without_outliers and reference.without_outliers:
        yield WITHOUT_OUTLIERS, report.without_outliers, reference.without_outliers


def _shared_origins(report: Report, reference: Report) -> list[str]:
    return [origin for origin in report.origins if origin in reference.origins]


def _estimates(mine: _Side, theirs: _Side) -> dict[str, Estimate]:
    """The difference of every measure, by key, and of SHRINKAGE."""
    return {key: _difference(mine, theirs, key) for key in REGISTRY} | {SHRINKAGE: _shrinkage(mine, theirs)}


def _difference(mine: _Side, theirs: _Side, key: str) -> Estimate:
    value, other = mine.estimates[key].value, theirs.estimates[key].value
    if value is None or other is None:
        return _undefined(mine, theirs, key)
    return _estimate(mine, theirs, value - other, [_minus(mine.statistic(key), theirs.statistic(key))])


def _shrinkage(mine: _Side, theirs: _Side) -> Estimate:
    """The difference of |γ − 1|; its interval spans every sign that γ − 1 may have.

    |γ − 1| has a kink at 1. Take two SAEs with γ = 1 ± 0.005 and an error of 0.01 that moves both γ together: a
    jackknife that trusted the side of 1 on which each γ happens to lie would often call one of them the better.
    """
    gamma, other = mine.estimates[GAMMA], theirs.estimates[GAMMA]
    if gamma.value is None or other.value is None:
        return _undefined(mine, theirs, GAMMA)
    distances = [_signed(mine.statistic(GAMMA), sign) for sign in _signs(gamma)]
    others = [_signed(theirs.statistic(GAMMA), sign) for sign in _signs(other)]
    value = abs(gamma.value - 1) - abs(other.value - 1)
    return _estimate(mine, theirs, value, [_minus(one, another) for one, another in product(distances, others)])


def _estimate(mine: _Side, theirs: _Side, value: float, statistics: Sequence[LeftOut]) -> Estimate:
    """A defined difference, with the smallest interval that contains those of all statistics."""
    count, clusters = mine.moments.count, mine.clusters.minimum(theirs.clusters)
    low, high = torch.stack([ends(one, ANY, count > 0, student(clusters)) for one in statistics], 1)
    return Estimate.within(value, (low.amin(), high.amax()), count, clusters)


def _undefined(mine: _Side, theirs: _Side, key: str) -> Estimate:
    side = next(side for side in (mine, theirs) if side.estimates[key].value is None)
    return Estimate(None, None, None, f"{side.name}: {side.estimates[key].reason}")


def _minus(one: LeftOut, another: LeftOut) -> LeftOut:
    return LeftOut(one.value - another.value, one.without - another.without)


def _signed(gamma: LeftOut, sign: int) -> LeftOut:
    """± (γ − 1)."""
    return LeftOut(sign * (gamma.value - 1), sign * (gamma.without - 1))


def _signs(gamma: Estimate) -> list[int]:
    """The signs that γ − 1 has in the interval of γ."""
    assert gamma.value is not None
    low, high = (gamma.value if end is None else end for end in (gamma.low, gamma.high))
    return [sign for sign, possible in ((-1, low <= 1), (1, high >= 1)) if possible]


def _side_of_0(difference: Estimate) -> int:
    """−1 for an interval below 0, 1 for one above, 0 for one that contains 0, or none."""
    if difference.low is None or difference.high is None:
        return 0
    return int(difference.low > 0) - int(difference.high < 0)


def _negative(estimate: Estimate) -> Estimate:
    value, low, high = (None if end is None else -end for end in (estimate.value, estimate.high, estimate.low))
    return Estimate(value, low, high, estimate.reason)


def _figures(estimates: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{in_figures(estimate, 4)} {ORIGINS[origin]}" for origin, estimate in estimates.items())
