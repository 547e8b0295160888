"""What an SAE costs the model in numbers: its loss with x replaced, paired by token, with intervals over documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import ANY, REGISTRY
from sandbox.report.estimates import NO_TOKENS, Estimate
from sandbox.report.jackknife import LeftOut, effective, ends, student

TOKENS, CLEAN, MEAN, ZERO, X_HAT = "tokens", "clean", "mean", "zero", "x_hat"
LEAST_ERROR, LEAST_LOSS = "least_error", "least_loss"

COLUMNS = ("sae", "replacement", "measure", "value", "low", "high", "reason")


@dataclass(frozen=True, eq=False)
class Ratios:
    """Ratios of sums over tokens, with jackknife intervals over groups of documents.

    Attributes:
        columns: name of each column
        sums:    Float64[Tensor, "groups columns"]
    """

    columns: Sequence[str]
    sums: Float64[Tensor, "groups columns"]

    def of(self, above: Mapping[str, float], below: Mapping[str, float], weight: str = TOKENS) -> Estimate:
        """Σ above / Σ below, each a weighted sum of columns.

        Args: weight: the column that counts the tokens of a group
        """
        numerator, denominator = (
            sum((factor * self.sums[:, self.columns.index(name)] for name, factor in side.items()), torch.zeros(()))
            for side in (above, below)
        )
        assert isinstance(numerator, Tensor)
        assert isinstance(denominator, Tensor)
        count = self.sums[:, self.columns.index(weight)]
        if not count.sum():
            return Estimate(None, None, None, NO_TOKENS)
        if not (denominator.sum() != 0 and (numerator.sum() / denominator.sum()).isfinite()):
            return Estimate(None, None, None, "the denominator is 0, or a loss is not finite")
        without = (numerator.sum() - numerator) / (denominator.sum() - denominator)
        statistic, clusters = LeftOut(numerator.sum() / denominator.sum(), without), effective(count)
        interval = ends(statistic, ANY, count > 0, student(clusters))
        return Estimate.within(statistic.value.item(), interval, count, clusters)

    def mean(self, name: str) -> Estimate:
        """The mean of a column over the tokens."""
        return self.of({name: 1}, {TOKENS: 1})

    def difference(self, name: str, other: str) -> Estimate:
        """The mean difference of two columns, paired by token."""
        return self.of(_less(name, other), {TOKENS: 1})


def _less(name: str, other: str) -> dict[str, float]:
    """The weights of one column less another: 0 where both are the same."""
    return {name: 1.0, other: -1.0} if name != other else {name: 0.0}


@dataclass(frozen=True, eq=False)
class LossCurve:
    """The model's loss against the factor that stretches x̂ about the decoder bias, on the documents fitted on.

    Attributes:
        factors:  in ascending order
        sums:     Float64[Tensor, "groups factors"], cross-entropy summed over the tokens of each group
        tokens:   Float64[Tensor, "groups"], predictions counted
        best:     factor of the least loss
        at_bound: whether that is the first or the last factor, so that a better one may be beyond
    """

    factors: Sequence[float]
    sums: Float64[Tensor, "groups factors"]
    tokens: Float64[Tensor, "groups"]
    best: float
    at_bound: bool

    @cached_property
    def changes(self) -> list[Estimate]:
        """The loss at each factor less the loss at the factor 1, nats per token, paired by token."""
        names = [TOKENS, *map(str, self.factors)]
        ratios = Ratios(names, torch.cat((self.tokens[:, None], self.sums), 1))
        return [ratios.difference(str(factor), str(1.0)) for factor in self.factors]

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        points = zip(self.factors, self.changes, strict=True)
        return {
            "best": self.best,
            "at_bound": self.at_bound,
            "tokens": int(self.tokens.sum()),
            "points": [{"factor": factor, **change.to_dict()} for factor, change in points],
        }


@dataclass(frozen=True, eq=False)
class SaeLosses:
    """The losses with the reconstructions of one SAE in place of x.

    Attributes:
        name, description: of the SAE
        number:            its number in the columns
        replacements:      names of the reconstructions, x̂ first
        factors:           of the stretched ones
        curve:             the search for the factor of the least loss; None if there was none
        libraries:         key and name of each library whose loss recovered is reproduced
        ratios:            of the run
        about:             what x̂ is stretched about: "b_dec", or "0" where it is unknown
    """

    name: str
    description: str
    number: int
    replacements: Sequence[str]
    factors: Mapping[str, float]
    curve: LossCurve | None
    libraries: Mapping[str, str]
    ratios: Ratios
    about: str = "b_dec"

    def column(self, name: str) -> str:
        """The start of the names of a replacement's columns."""
        return name if name in (MEAN, ZERO, CLEAN) else f"{self.number}.{name}"

    def _loss(self, name: str) -> str:
        return CLEAN if name == CLEAN else f"{self.column(name)}.ce"

    def loss(self, name: str) -> Estimate:
        """The cross-entropy with this replacement, nats per token."""
        return self.ratios.mean(self._loss(name))

    def cost(self, name: str) -> Estimate:
        """The loss with this replacement less the clean model's, nats per token."""
        return self.ratios.difference(self._loss(name), CLEAN)

    @property
    def costs_something(self) -> bool:
        """Whether x̂ costs the model more than chance explains; otherwise shares of the cost mean nothing."""
        low = self.cost(X_HAT).low
        return low is not None and low > 0

    def gain(self, name: str) -> Estimate:
        """The loss with x̂ less the loss with this replacement, nats per token."""
        return self.ratios.difference(self._loss(X_HAT), self._loss(name))

    def divergence(self, name: str) -> Estimate:
        """The KL divergence from the clean model's predictions to those with this replacement, nats per token."""
        return self.ratios.mean(f"{self.column(name)}.kl")

    def recovered(self, name: str) -> Estimate:
        """(CE of zero − CE of this replacement) / (CE of zero − CE of the clean model), on the tokens replaced."""
        zero = self._loss(ZERO)
        return self.ratios.of(_less(zero, self._loss(name)), _less(zero, CLEAN))

    def recovered_as_in(self, library: str) -> Estimate:
        """Loss recovered by x̂ as a library defines it."""
        zero, clean = f"{library}.{ZERO}", f"{library}.{CLEAN}"
        own = f"{library}.{self.column(X_HAT)}"
        return self.ratios.of(_less(zero, own), _less(zero, clean), f"{library}.{TOKENS}")

    @cached_property
    def gamma(self) -> float | None:
        """γ about the decoder bias, on the tokens replaced; None if it is undefined."""
        return self._measure("relative_reconstruction_bias")

    @cached_property
    def relative_loss(self) -> float | None:
        """E‖x − x̂‖²/E‖x − b_dec‖² on the tokens replaced; None if it is undefined."""
        return self._measure("relative_loss")

    @property
    def length_share(self) -> float | None:
        """The share of E‖x − x̂‖² that the best common factor recovers, about b_dec (C12); None if it is undefined."""
        length = self._measure("length_loss")
        return length / self.relative_loss if length is not None and self.relative_loss else None

    def share_of_cost(self, name: str) -> Estimate:
        """The share of x̂'s cost in nats that another reconstruction wins back."""
        return self.ratios.of(_less(self._loss(X_HAT), self._loss(name)), _less(self._loss(X_HAT), CLEAN))

    def _measure(self, key: str) -> float | None:
        abc = [self.ratios.mean(f"{self.number}.{name}").value for name in "abc"]
        if any(value is None for value in abc) or why_undefined(REGISTRY[key], *abc):  # pyright: ignore
            return None
        return evaluate(REGISTRY[key], *abc).item()  # pyright: ignore

    @cached_property
    def l0(self) -> float | None:
        """Mean number of active latents on the tokens replaced; None if they are not visible."""
        return self.ratios.mean(f"{self.number}.l0").value

    @property
    def order(self) -> Sequence[str]:
        """Everything that takes the place of x."""
        return (*self.replacements, MEAN, ZERO)

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        return {
            "name": self.name,
            "sae": self.description,
            "gamma_about_b_dec": self.gamma,
            "relative_loss_about_b_dec": self.relative_loss,
            "length_share_about_b_dec": self.length_share,
            "l0": self.l0,
            "factors": dict(self.factors),
            "replacements": {
                name: {key: of(name).to_dict() for key, of in self._measures.items()} for name in self.order
            },
            "loss_recovered": {key: self.recovered_as_in(key).to_dict() for key in self.libraries},
            "curve": None if self.curve is None else self.curve.to_dict(),
        }

    @property
    def _measures(self) -> Mapping[str, Any]:
        return {
            "cross_entropy": self.loss,
            "cost": self.cost,
            "gain": self.gain,
            "share_of_cost": self.share_of_cost,
            "kl": self.divergence,
            "loss_recovered": self.recovered,
        }

    def rows(self) -> Iterator[Sequence[object]]:
        """Rows of the CSV."""
        for name in self.order:
            for key, of in self._measures.items():
                estimate = of(name)
                yield self.name, name, key, estimate.value, estimate.low, estimate.high, estimate.reason
        for key in self.libraries:
            estimate = self.recovered_as_in(key)
            yield (
                self.name,
                X_HAT,
                f"loss_recovered {key}",
                estimate.value,
                estimate.low,
                estimate.high,
                estimate.reason,
            )
        if self.curve:
            for factor, change in zip(self.curve.factors, self.curve.changes, strict=True):
                yield self.name, f"factor {factor:.6g}", "change", change.value, change.low, change.high, change.reason
