"""Does the SAE shrink? A verdict that holds from every origin, and the sentence that states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.report.estimates import ORIGINS, Estimate

WITHIN = 0.01
"""δ: if γ is within 1 ± δ, the verdict is that the SAE does not shrink.

The length loss is then (r − ρ)² = ρ²·(γ − 1)² ≤ δ² of the energy of x (C12). This is all that a common factor could
recover: at most one ten-thousandth."""

SHRINKS, STRETCHES, DOES_NOT = "shrinks", "stretches", "does not shrink"
CANNOT_TELL, DEPENDS, UNDEFINED = "cannot tell", "depends on the origin", "undefined"
"""`DEPENDS`: every origin has a verdict, but they differ."""


SAID = {
    "undefined": "{name}: shrinkage is undefined, because {reason}",
    "cannot_tell": "{name}: cannot tell whether it shrinks: {seen}{why} ({figures})",
    "wide": "the interval of γ contains 1 and extends more than {within} away from it",
    "depends": "{name}: whether it shrinks depends on the origin: {contrast} ({figures})",
    "from_origin": "{origin}, it {does}",
    "does_not_near": "does not ({near})",
    "does_not": "{name} does not shrink ({near}: {figures}{but})",
    "near": "γ is within {within} of 1",
    "but": "; {origins}, γ differs from 1, but by less than {within}",
    "changes": "{name} {change}{beside} ({figures})",
    "beside": " {first}, but {change} {origin}",
    "too_long": "is {times} times too long",
    "shrinks": "shrinks by {percent}",
    "stretches": "stretches by {percent}",
    "length": "{judgement}; its reconstructions are {compared} (r = {r}).",
    "as_long": "as long as {x}",
    "shorter": "{percent} shorter than {x}",
    "longer": "{percent} longer than {x}",
}
"""The verdict's words, which the site's page says, too (sandbox/site/js/data/verdict.js)."""


@dataclass(frozen=True)
class Verdict:
    """What γ from every origin says about shrinkage.

    Attributes:
        word:   one of the six words above
        origin: for "depends on the origin", the first origin that disagrees with the first of all; for "cannot tell",
                the first origin that leaves it open; None for a verdict that all origins share
        reason: why there is no verdict, if an estimate has a reason
    """

    word: str
    origin: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON; `within` is δ."""
        fields = {"word": self.word, "origin": self.origin, "within": WITHIN}
        return fields | {"reason": self.reason} if self.reason else fields


def verdict(gammas: Mapping[str, Estimate]) -> Verdict:
    """The verdict from the γ of every origin; the first origin is raw.

    SHRINKS (STRETCHES): every interval lies below (above) 1, and at least one reaches outside 1 ± WITHIN. DOES_NOT:
    every interval lies within 1 ± WITHIN, whether or not it contains 1. An origin where γ is undefined is ignored,
    unless it is the first.

    >>> verdict({"raw": Estimate(0.73, 0.46, 1.0)})
    Verdict(word='cannot tell', origin='raw', reason=None)
    >>> verdict({"raw": Estimate(0.93, 0.92, 0.94), "centred": Estimate(0.9, 0.8, 0.99)}).word
    'shrinks'
    """
    (first, raw), *_ = gammas.items()
    if raw.value is None:
        return Verdict(UNDEFINED, first, raw.reason)
    defined = {origin: gamma for origin, gamma in gammas.items() if gamma.value is not None}
    for origin, gamma in defined.items():
        if gamma.low is None:
            return Verdict(CANNOT_TELL, origin, gamma.reason)
    words = {origin: word_for(gamma) for origin, gamma in defined.items()}
    if set(words.values()) == {DOES_NOT}:
        return Verdict(DOES_NOT)
    sides = {origin: side(gamma) for origin, gamma in defined.items()}
    if len(set(sides.values())) == 1 and sides[first]:
        return Verdict(SHRINKS if sides[first] < 0 else STRETCHES)
    unsure = [origin for origin, word in words.items() if word == CANNOT_TELL]
    if unsure:
        return Verdict(CANNOT_TELL, unsure[0])
    return Verdict(DEPENDS, next(origin for origin, word in words.items() if word != words[first]))


def word_for(gamma: Estimate) -> str:
    """The word for a single interval."""
    assert gamma.low is not None
    assert gamma.high is not None
    if gamma.low >= 1 - WITHIN and gamma.high <= 1 + WITHIN:
        return DOES_NOT
    return {-1: SHRINKS, 0: CANNOT_TELL, 1: STRETCHES}[side(gamma)]


def side(gamma: Estimate) -> int:
    """−1 for an interval below 1, 1 for an interval above 1, 0 for an interval that contains 1."""
    assert gamma.low is not None
    assert gamma.high is not None
    return int(gamma.low > 1) - int(gamma.high < 1)


def sentence(name: str, gammas: Mapping[str, Estimate]) -> str:
    """The verdict on an SAE as a sentence, with every γ that it rests on; without a full stop."""
    overall = verdict(gammas)
    (first, raw), *_ = gammas.items()
    if raw.value is None:
        return said("undefined", name=name, reason=raw.reason)
    by_origin = [f"{ORIGINS[origin]} {in_figures(gamma)}" for origin, gamma in gammas.items() if len(gammas) > 1]
    figures = f"γ: {', '.join(by_origin)}" if by_origin else f"γ = {in_figures(raw)}"
    if overall.word == CANNOT_TELL:
        seen = f"{ORIGINS[overall.origin]}, " if overall.origin and len(gammas) > 1 else ""
        return said("cannot_tell", name=name, seen=seen, why=overall.reason or said("wide"), figures=figures)
    if overall.word == DEPENDS:
        assert overall.origin is not None
        contrast = ", but ".join(
            said("from_origin", origin=ORIGINS[origin], does=_does(gamma))
            for origin, gamma in gammas.items()
            if origin in (first, overall.origin)
        )
        return said("depends", name=name, contrast=contrast, figures=figures)
    if overall.word == DOES_NOT:
        resolved = [ORIGINS[origin] for origin, gamma in gammas.items() if gamma.value is not None and side(gamma)]
        but = said("but", origins=" and ".join(resolved)) if resolved else ""
        figures = ", ".join(by_origin) or in_figures(raw)
        return said("does_not", name=name, near=said("near"), figures=figures, but=but)
    # If raw it hardly shrinks, name an origin from which it does.
    seen = next(origin for origin, gamma in gammas.items() if gamma.value is not None and word_for(gamma) != DOES_NOT)
    beside = said("beside", first=ORIGINS[first], change=change(gammas[seen]), origin=ORIGINS[seen])
    return said("changes", name=name, change=change(raw), beside=beside if seen != first else "", figures=figures)


def with_length(judgement: str, length: Estimate, x: str) -> str:
    """The sentence continued by how long the reconstructions are; `length` is the norm ratio, x what they are of."""
    assert length.value is not None
    difference = percent(abs(1 - length.value))
    key = "as_long" if difference == percent(0) else "shorter" if length.value < 1 else "longer"
    return said("length", judgement=judgement, compared=said(key, percent=difference, x=x), r=f"{length.value:.3f}")


def said(key: str, **words: object) -> str:
    """The words of SAID, with their blanks filled in; `within` is δ."""
    return SAID[key].format(within=percent(WITHIN), **words)


def _does(gamma: Estimate) -> str:
    return said("does_not_near", near=said("near")) if word_for(gamma) == DOES_NOT else change(gamma)


def change(gamma: Estimate) -> str:
    """The direction and the amount of the change of length, such as "shrinks by 7.0 %"."""
    assert gamma.value is not None
    if gamma.value > 2:
        return said("too_long", times=f"{gamma.value:.1f}")
    return said("shrinks" if gamma.value < 1 else "stretches", percent=percent(abs(1 - gamma.value)))


def in_figures(gamma: Estimate, digits: int = 3) -> str:
    """The value and its interval: as ± half its width if it is symmetric to the digits shown, else as its two ends."""
    if gamma.value is None:
        return "undefined"
    shown = f"{gamma.value:.{digits}f}"
    if gamma.low is None or gamma.high is None:
        return shown
    below, above = gamma.value - gamma.low, gamma.high - gamma.value
    if abs(above - below) < 10**-digits:
        return f"{shown} ± {(gamma.high - gamma.low) / 2:.{digits}f}"
    return f"{shown}, {gamma.low:.{digits}f} … {gamma.high:.{digits}f}"


def percent(share: float) -> str:
    """As a percentage, with one decimal below 10 %; δ itself has none."""
    digits = 0 if share >= 0.095 or share == WITHIN else 1
    return f"{share:.{digits}%}".replace("%", " %")
