"""How much of an SAE's shrinkage its training penalty explains: the law of C19, from the totals of one pass.

At the end of training no rescaling of the latents helps. About b_dec, therefore, γ = 1 − λ·P/(2c), with the L1
coefficient λ and the mean penalty P = E Σ_j f_j‖d_j‖. If λ is known, the law predicts γ; if not, the moments imply λ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float64
from torch import Tensor

from sandbox.maths.derived import derived
from sandbox.maths.measures import ANY, NOT_NEGATIVE, REGISTRY
from sandbox.maths.symbols import c, lam, penalty
from sandbox.moments.moments import Moments
from sandbox.report.estimates import Estimate
from sandbox.report.joint import Joint
from sandbox.report.verdict import WITHIN

EXPLAINED, SCALED, NOT_EXPLAINED = "explained", "explained by scaled activations", "not explained"
CANNOT_TELL, NO_COEFFICIENT = "cannot tell", "no coefficient"

NO_DIRECTION = "it is undefined: x̂ does not point along x, or no latent is active"


class Training(NamedTuple):
    """What is known of an SAE's training penalty, and what was measured of it.

    Attributes:
        penalties:  Float64[Tensor, "groups"], sums of Σ_j f_j‖d_j‖ over the tokens of each group, activation units
        mean_norm:  of x, activation units
        l1, source: the L1 coefficient, and where it is stated; None if it is not known
    """

    penalties: Float64[Tensor, "groups"]
    mean_norm: float
    l1: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Law:
    """γ about b_dec beside what the training penalty predicts.

    Attributes:
        word:       one of the five above
        penalty:    P = E Σ_j f_j‖d_j‖, activation units
        inner:      c = E[x·x̂], squared activation units
        implied:    the L1 coefficient that the moments imply, in units of the activations
        gamma:      γ about b_dec, measured
        l1, source: the coefficient known from training, and where from; None and "" if it is not known
        scale:      k: the law takes λ/k, as for an SAE trained on activations multiplied by k. It is 1, or
                    mean_norm_scale if that predicts γ better and 1 does not
        predicted:  γ by the law; None without a coefficient
        difference: measured less predicted
        mean_norm_scale: √d/E‖x‖, the k that brings the mean norm to √d, as SAELens and others do for training
    """

    word: str
    penalty: Estimate
    inner: Estimate
    implied: Estimate
    gamma: Estimate
    mean_norm_scale: float
    l1: float | None = None
    source: str = ""
    scale: float = 1.0
    predicted: Estimate | None = None
    difference: Estimate | None = None

    def rows(self) -> dict[str, tuple[str, Estimate]]:
        """Each number in words, by the key that JSON and CSV have for it."""
        numbers = {
            "penalty": ("P, mean of Σ f_j‖d_j‖ over tokens", self.penalty),
            "c": ("E[x·x̂]", self.inner),
            "implied_l1": ("λ that would give this γ, in units of x", self.implied),
            "gamma": ("γ, measured", self.gamma),
        }
        if self.predicted and self.difference:
            numbers |= {
                "predicted": ("γ = 1 − λ·P/(2c), from training", self.predicted),
                "difference": ("measured less predicted", self.difference),
            }
        return numbers

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        return {
            "word": self.word,
            "l1": self.l1,
            "source": self.source,
            "scale": self.scale,
            "mean_norm_scale": self.mean_norm_scale,
            **{key: estimate.to_dict() for key, (_, estimate) in self.rows().items()},
        }

    def in_words(self) -> str:
        """What the comparison says, in a sentence or two."""
        if self.l1 is None:
            return (
                "The L1 coefficient is not known: give it with --l1 to compare. If the penalty of training does not "
                "grow with the latents, γ should be 1."
            )
        law = f"The law predicts γ {self._inputs()}"
        if self.word == CANNOT_TELL:
            assert self.difference
            return f"{law}. Cannot tell whether it holds: {self.difference.reason or 'the interval is too wide'}."
        if self.word == NOT_EXPLAINED:
            return f"{law}. It does not hold. Possible causes: {', '.join(self._causes())}."
        shrinks = self.gamma.high is not None and self.gamma.high < 1
        return f"{law}. It holds{': the penalty explains the shrinkage' if self.l1 and shrinks else ''}."

    def _inputs(self) -> str:
        if not self.l1:
            return f"= 1: {self.source}"
        if self.scale == 1:
            return f"from P, c and λ = {self.l1:g} ({self.source})"
        coefficient = f"λ = {self.l1:g}/{self.scale:.4g} = {self.l1 / self.scale:.4g}"
        return f"from P, c and {coefficient} ({self.source}, on activations scaled to a mean norm of √d)"

    def _causes(self) -> Iterator[str]:
        if self.l1 and self.implied.value and self.implied.low and self.implied.low > 0:
            yield f"training saw activations multiplied by {self.l1 / self.implied.value:.3g}"
        yield "training had not converged"
        yield "the penalty was another"
        yield "these are other activations"
        yield "the weights were changed afterwards"


def law(moments: Moments, training: Training) -> Law:
    """Compare γ with the law's prediction.

    Args:   moments: about b_dec, without batch axes, in the groups of `training.penalties`
    Source: C19
    """
    totals, l1, source = Joint(moments, penalty, training.penalties), training.l1, training.source
    mean_norm_scale = math.sqrt(moments.sums.shape[-1]) / training.mean_norm
    predicted, implied = derived("C19")["predicted"], derived("C19")["implied"]
    gamma = REGISTRY["relative_reconstruction_bias"].expression
    found: dict[str, Any] = {
        "penalty": totals.estimate(penalty, NOT_NEGATIVE),
        "inner": totals.estimate(c, ANY),
        "implied": totals.estimate(implied, ANY, (penalty,), NO_DIRECTION),
        "gamma": totals.estimate(gamma, NOT_NEGATIVE, (c,), NO_DIRECTION),
        "mean_norm_scale": mean_norm_scale,
    }
    if l1 is None:
        return Law(NO_COEFFICIENT, **found)
    tries: dict[str, Law] = {}
    for word, scale in ((EXPLAINED, 1.0), (SCALED, mean_norm_scale)):
        difference = totals.estimate((gamma - predicted).subs(lam, l1 / scale), ANY, (c,), NO_DIRECTION)
        tries[word] = Law(
            _judged(difference, word),
            **found,
            l1=l1,
            source=source,
            scale=scale,
            predicted=totals.estimate(predicted.subs(lam, l1 / scale), ANY, (c,), NO_DIRECTION),
            difference=difference,
        )
    plain, scaled = tries.values()
    return scaled if l1 and _distance(scaled) < _distance(plain) > WITHIN else plain


def _distance(law: Law) -> float:
    """How far the prediction is from γ; infinite where one of them is undefined."""
    return math.inf if law.difference is None or law.difference.value is None else abs(law.difference.value)


def _judged(difference: Estimate, word: str) -> str:
    """The word if the interval lies within ±WITHIN; NOT_EXPLAINED if it lies outside; otherwise CANNOT_TELL."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return CANNOT_TELL
    if max(-low, high) <= WITHIN:
        return word
    return NOT_EXPLAINED if low > WITHIN or high < -WITHIN else CANNOT_TELL
