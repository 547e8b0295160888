"""How much of an SAE's shrinkage its training penalty explains: the law of C19, from the totals of one pass.

At the end of training no rescaling of the latents helps. About b_dec, therefore, γ = 1 − λ·P/(2c), with the coefficient
λ of the penalty and the slope λ·P with which it grows when the latents are scaled. For L1, P is E Σ_j f_j‖d_j‖. If λ is
known, the law predicts γ; if not, the moments imply λ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float64
from torch import Tensor

from sandbox.checkpoints.penalty import Penalty
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


ROWS = {
    "penalty": "P, mean of Σ f_j‖d_j‖ over tokens",
    "penalty_of_tanh": "P, mean slope of Σ tanh({scale}·f_j‖d_j‖) over tokens",
    "c": "E[x·x̂]",
    "implied_l1": "λ that would give this γ, in units of x",
    "implied_l0_coefficient": "λ that would give this γ",
    "gamma": "γ, measured",
    "predicted": "γ = 1 − λ·P/(2c), from training",
    "difference": "measured less predicted",
}
"""Each number of `Law.rows` in words."""

SAID = {
    "unknown": "The L1 coefficient is not known: give it with --l1 to compare. If the penalty of training does not "
    "grow with the latents, γ should be 1.",
    "predicts": "The law predicts γ {inputs}",
    "is_1": "= 1: {source}",
    "inputs": "from P, c and {coefficient} ({source})",
    "inputs_scaled": "from P, c and {coefficient} ({source}, on activations scaled to a mean norm of √d)",
    "cannot_tell": "{law}. Cannot tell whether it holds: {why}.",
    "wide": "the interval is too wide",
    "not_explained": "{law}. It does not hold. Possible causes: {causes}.",
    "holds": "{law}. It holds.",
    "explains": "{law}. It holds: the penalty explains the shrinkage.",
    "multiplied": "training saw activations multiplied by {times}",
    "causes": "training had not converged, the penalty was another, these are other activations, the weights were "
    "changed afterwards",
}
"""What the comparison says, here and on the site's page (sandbox/site/js/data/law.js)."""


class Training(NamedTuple):
    """What is known of an SAE's training penalty, and what was measured of it.

    Attributes:
        slopes:    Float64[Tensor, "2 groups"], sums over the tokens of each group of the penalty's slope divided by λ,
                   without and with `scale` (`sandbox.measuring.penalties.slopes`)
        mean_norm: of x, activation units
        penalty:   the kind of penalty, and its coefficient; None if it is not known
        scale:     k of the second of `slopes`
        scaled:    whether training is known to have scaled its activations to a mean norm of √d
    """

    slopes: Float64[Tensor, "2 groups"]
    mean_norm: float
    penalty: Penalty | None = None
    scale: float = 1.0
    scaled: bool = False


@dataclass(frozen=True)
class Law:
    """γ about b_dec beside what the training penalty predicts.

    Attributes:
        word:       one of the five above
        penalty:    P: for L1 E Σ_j f_j‖d_j‖, activation units; for tanh the mean of Σ_j s·u·(1 − tanh²(k·s·u))/k with
                    u = f_j‖d_j‖, activation units if s has their inverse
        inner:      c = E[x·x̂], squared activation units
        implied:    the coefficient that the moments imply: for L1 in units of the activations, for tanh in training's
        gamma:      γ about b_dec, measured
        training:   the penalty as known from training, with its coefficient λ; None if it is not known
        scale:      k, as for an SAE trained on activations multiplied by k: with L1, the law takes λ/k; with tanh, k is
                    in P. It is 1, or a scale to the mean norm √d if that is known, or predicts γ better and 1 does not
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
    training: Penalty | None = None
    scale: float = 1.0
    predicted: Estimate | None = None
    difference: Estimate | None = None

    @property
    def l1(self) -> float | None:
        """The L1 coefficient of training, 0 without a slope; None if it is not known, or if the penalty is not L1."""
        return None if self.training is None else self.training.l1

    @property
    def source(self) -> str:
        """Where the coefficient of training is stated; "" if it is not known."""
        return "" if self.training is None else self.training.source

    def rows(self) -> dict[str, tuple[str, Estimate]]:
        """Each number in words, by the key that JSON and CSV have for it."""
        tanh = None if self.training is None else self.training.tanh_scale
        numbers = {
            "penalty": self.penalty,
            "c": self.inner,
            "implied_l1" if tanh is None else "implied_l0_coefficient": self.implied,
            "gamma": self.gamma,
        }
        if self.predicted and self.difference:
            numbers |= {"predicted": self.predicted, "difference": self.difference}
        words = ROWS if tanh is None else ROWS | {"penalty": ROWS["penalty_of_tanh"].format(scale=f"{tanh:g}")}
        return {key: (words[key], estimate) for key, estimate in numbers.items()}

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        return {
            "word": self.word,
            "l1": self.l1,
            "l0_coefficient": None if self.training is None or self.l1 is not None else self.training.coefficient,
            "tanh_scale": None if self.training is None else self.training.tanh_scale,
            "source": self.source,
            "scale": self.scale,
            "mean_norm_scale": self.mean_norm_scale,
            **{key: estimate.to_dict() for key, (_, estimate) in self.rows().items()},
        }

    def in_words(self) -> str:
        """What the comparison says, in a sentence or two."""
        if self.training is None:
            return SAID["unknown"]
        law = SAID["predicts"].format(inputs=self._inputs())
        if self.word == CANNOT_TELL:
            assert self.difference
            return SAID["cannot_tell"].format(law=law, why=self.difference.reason or SAID["wide"])
        if self.word == NOT_EXPLAINED:
            return SAID["not_explained"].format(law=law, causes=self._causes())
        shrinks = self.gamma.high is not None and self.gamma.high < 1
        return SAID["explains" if self.training.coefficient and shrinks else "holds"].format(law=law)

    def _inputs(self) -> str:
        assert self.training
        coefficient, source = f"λ = {self.training.coefficient:g}", self.source
        if not self.training.coefficient:
            return SAID["is_1"].format(source=source)
        if self.scale == 1:
            return SAID["inputs"].format(coefficient=coefficient, source=source)
        if self.l1:
            coefficient += f"/{self.scale:.4g} = {self.l1 / self.scale:.4g}"
        return SAID["inputs_scaled"].format(coefficient=coefficient, source=source)

    def _causes(self) -> str:
        causes = SAID["causes"]
        if self.l1 and self.implied.value and self.implied.low and self.implied.low > 0:
            times = f"{self.l1 / self.implied.value:.3g}"
            return f"{SAID['multiplied'].format(times=times)}, {causes}"
        return causes


def law(moments: Moments, training: Training) -> Law:
    """Compare γ with the law's prediction.

    Args:   moments: about b_dec, without batch axes, in the groups of `training.slopes`
    Source: C19
    """
    mean_norm_scale = math.sqrt(moments.sums.shape[-1]) / training.mean_norm
    predicted, implied = derived("C19")["predicted"], derived("C19")["implied"]
    gamma = REGISTRY["relative_reconstruction_bias"].expression
    kind = training.penalty

    def of(totals: Joint) -> dict[str, Any]:
        return {
            "penalty": totals.estimate(penalty, NOT_NEGATIVE),
            "inner": totals.estimate(c, ANY),
            "implied": totals.estimate(implied, ANY, ((penalty, NO_DIRECTION),)),
            "gamma": totals.estimate(gamma, NOT_NEGATIVE, ((c, NO_DIRECTION),)),
            "mean_norm_scale": mean_norm_scale,
        }

    plain, scaled = (Joint(moments, penalty, slopes) for slopes in training.slopes)
    if kind is None:
        return Law(NO_COEFFICIENT, **of(plain))
    # With L1, λ·P is proportional to k, so the pass's own mean norm can be used; tanh needs k while it is summed.
    linear = kind.tanh_scale is None
    scale = mean_norm_scale if linear else training.scale
    tries = (
        (EXPLAINED, 1.0, kind.coefficient, plain),
        (SCALED, scale, kind.coefficient / scale if linear else kind.coefficient, plain if linear else scaled),
    )
    found: list[Law] = []
    for word, k, coefficient, totals in tries:
        difference = totals.estimate((gamma - predicted).subs(lam, coefficient), ANY, ((c, NO_DIRECTION),))
        found.append(
            Law(
                _judged(difference, word),
                **of(totals),
                training=kind,
                scale=k,
                predicted=totals.estimate(predicted.subs(lam, coefficient), ANY, ((c, NO_DIRECTION),)),
                difference=difference,
            )
        )
    unscaled, rescaled = found
    better = training.scaled or _distance(rescaled) < _distance(unscaled) > WITHIN
    return rescaled if kind.coefficient and better else unscaled


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
