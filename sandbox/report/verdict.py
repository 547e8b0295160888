"""Does it shrink? A verdict about every origin shown, each with its interval; and the sentence that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.report.estimates import ORIGINS, Estimate

WITHIN = 0.01
"""δ: a γ within 1 ± δ is called no shrinkage.

The length then loses (r − ρ)² = ρ²·(γ − 1)² ≤ δ² of the energy of x (C12): at most a ten-thousandth, all that any
rescaling could bring back."""

SHRINKS, STRETCHES, DOES_NOT = "shrinks", "stretches", "does not shrink"
CANNOT_TELL, DEPENDS, UNDEFINED = "cannot tell", "depends on the origin", "undefined"
"""`DEPENDS`: each origin has its verdict, but not all have the same."""


@dataclass(frozen=True)
class Verdict:
    """What γ, seen from every origin, allows to be said.

    Attributes:
        word:   one of the six above
        origin: the first origin that does not say what the first of all says: where all are resolved it disagrees, and
                where the word is "cannot tell" it is what keeps it from being told; None where all say the same
        reason: why there is no verdict, where an estimate says why
    """

    word: str
    origin: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON; `within` is δ."""
        held = {"word": self.word, "origin": self.origin, "within": WITHIN}
        return held | {"reason": self.reason} if self.reason else held


def verdict(gammas: Mapping[str, Estimate]) -> Verdict:
    """The verdict of γ from every origin, the first of which is raw.

    SHRINKS (STRETCHES): every interval lies below (above) 1, and not all of them within 1 ± WITHIN. DOES_NOT: every
    interval lies within that, also where it leaves 1 out. An origin from which γ is undefined has no say, unless it is
    the first.

    >>> verdict({"raw": Estimate(0.73, 0.46, 1.0)})
    Verdict(word='cannot tell', origin='raw', reason=None)
    >>> verdict({"raw": Estimate(0.93, 0.92, 0.94), "centred": Estimate(0.9, 0.8, 0.99)}).word
    'shrinks'
    """
    (first, raw), *_ = gammas.items()
    if raw.value is None:
        return Verdict(UNDEFINED, first, raw.reason)
    defined = {origin: one for origin, one in gammas.items() if one.value is not None}
    for origin, one in defined.items():
        if one.low is None:
            return Verdict(CANNOT_TELL, origin, one.reason)
    words = {origin: says(one) for origin, one in defined.items()}
    if set(words.values()) == {DOES_NOT}:
        return Verdict(DOES_NOT)
    sides = {origin: side(one) for origin, one in defined.items()}
    if len(set(sides.values())) == 1 and sides[first]:
        return Verdict(SHRINKS if sides[first] < 0 else STRETCHES)
    unsure = [origin for origin, word in words.items() if word == CANNOT_TELL]
    if unsure:
        return Verdict(CANNOT_TELL, unsure[0])
    return Verdict(DEPENDS, next(origin for origin, word in words.items() if word != words[first]))


def says(gamma: Estimate) -> str:
    """What one interval says by itself."""
    assert gamma.low is not None
    assert gamma.high is not None
    if gamma.low >= 1 - WITHIN and gamma.high <= 1 + WITHIN:
        return DOES_NOT
    return {-1: SHRINKS, 0: CANNOT_TELL, 1: STRETCHES}[side(gamma)]


def side(gamma: Estimate) -> int:
    """−1 for an interval below 1, 1 for one above, 0 for one that holds it."""
    assert gamma.low is not None
    assert gamma.high is not None
    return int(gamma.low > 1) - int(gamma.high < 1)


def sentence(name: str, gammas: Mapping[str, Estimate]) -> str:
    """The verdict about an SAE in words, with every γ that it rests on; without a full stop."""
    found = verdict(gammas)
    (first, raw), *_ = gammas.items()
    if raw.value is None:
        return f"{name}: shrinkage is undefined, because {raw.reason}"
    each = [f"{ORIGINS[origin]} {in_figures(one)}" for origin, one in gammas.items() if len(gammas) > 1]
    gamma = f"γ: {', '.join(each)}" if each else f"γ = {in_figures(raw)}"
    within = f"within ±{percent(WITHIN)}"
    if found.word == CANNOT_TELL:
        seen = f"{ORIGINS[found.origin]}, " if found.origin and len(gammas) > 1 else ""
        why = found.reason or f"the interval of γ holds 1 and reaches beyond ±{percent(WITHIN)}"
        return f"{name}: cannot tell whether it shrinks: {seen}{why} ({gamma})"
    if found.word == DEPENDS:
        assert found.origin is not None
        said = {
            origin: f"does not, {within}" if says(one) == DOES_NOT else by(one)
            for origin, one in gammas.items()
            if origin in (first, found.origin)
        }
        told = ", but ".join(f"{ORIGINS[origin]} it {does}" for origin, does in said.items())
        return f"{name}: whether it shrinks depends on the origin: {told} ({gamma})"
    if found.word == DOES_NOT:
        resolved = [ORIGINS[origin] for origin, one in gammas.items() if one.value is not None and side(one)]
        more = f"; {' and '.join(resolved)} it differs from 1, but by less" if resolved else ""
        return f"{name} does not shrink, {within} ({gamma}{more})"
    # Where raw it hardly does, an origin is named from which it does.
    seen = next(origin for origin, one in gammas.items() if one.value is not None and says(one) != DOES_NOT)
    beside = f" {ORIGINS[first]}, but {ORIGINS[seen]} {by(gammas[seen])}" if seen != first else ""
    return f"{name} {by(raw)}{beside} ({gamma})"


def by(gamma: Estimate) -> str:
    """By how much, and to which side."""
    assert gamma.value is not None
    if gamma.value > 2:
        return f"is {gamma.value:.1f} times too long"
    return f"{'shrinks' if gamma.value < 1 else 'stretches'} by {percent(abs(1 - gamma.value))}"


def in_figures(one: Estimate, digits: int = 3) -> str:
    """The value and its interval: ± half of it where it is as wide on either side, as far as the digits show."""
    if one.value is None:
        return "undefined"
    shown = f"{one.value:.{digits}f}"
    if one.low is None or one.high is None:
        return shown
    below, above = one.value - one.low, one.high - one.value
    if abs(above - below) < 10**-digits:
        return f"{shown} ± {(one.high - one.low) / 2:.{digits}f}"
    return f"{shown}, {one.low:.{digits}f} … {one.high:.{digits}f}"


def percent(share: float) -> str:
    """With a digit below 10 %; δ itself without."""
    digits = 0 if share >= 0.095 or share == WITHIN else 1
    return f"{share:.{digits}%}".replace("%", " %")
