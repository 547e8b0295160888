"""`Report`: all measures of one SAE, from each origin, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments, in_stretches
from sandbox.report import tables
from sandbox.report.blocks import Blocks
from sandbox.report.directions import Directions
from sandbox.report.estimates import NO_TOKENS, Estimate, estimate
from sandbox.report.law import Law, Training, law
from sandbox.report.parts import loss_parts
from sandbox.report.verdict import UNDEFINED, Verdict, sentence, verdict, with_length

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class Report:
    """Every measure of one SAE on one set of activations; a notebook shows it as a table.

    Attributes:
        name:             name of the SAE
        moments:          raw `Moments`, without batch axes
        documents:        number of documents; None without document IDs
        l0:               mean number of nonzero latents per token; None if the reconstructions came without latents
        dtype, device:    of the SAE's computation
        description:      layout, sizes and conventions of the SAE
        targets:          name of a transcoder's targets y: x in the report is y, and x̂ is ŷ; "" for an SAE
        b_dec:            Float[Tensor, "d"], the decoder bias, if x̂ contains the same one for every token
        outliers:         if there are any: `limit` (norm of x), `tokens`, `share_of_a`, and whether `excluded`
        without_outliers: the report without them, if there are any and they are not excluded
        statistics:       means over tokens, and slope and intercept of the regression of ‖x̂‖ on ‖x‖, by name; the
                          intercept is no offset: it shows how the norm ratio varies with ‖x‖ (C28)
        published:        what evaluation libraries would print, by library and by its own name for the statistic
        published_batch:  tokens per batch of those libraries
        findings:         findings of the preflight check: `key` and `message`
        latents:          measures per latent (`sandbox.measuring.latents.Latents`), if requested
        complete:         False if the run was stopped early
        blocks:           whether the clusters are blocks of tokens, so that neighbours may share a document
        training:         the slope of the penalty that was measured, and its coefficient in training, if known
        captured:         Σ (x·x̂)²/‖x̂‖² over the tokens of each group of the moments, by origin ("raw", "decoder_bias")
        directions:       measures along the principal components of x, if requested
    """

    name: str
    moments: Moments
    documents: int | None = None
    l0: float | None = None
    dtype: str = ""
    device: str = ""
    description: str = ""
    b_dec: torch.Tensor | None = None
    outliers: Mapping[str, Any] | None = None
    without_outliers: Report | None = None
    statistics: Mapping[str, Estimate] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    published_batch: int = 0
    findings: Sequence[Mapping[str, Any]] = ()
    latents: Any = None
    complete: bool = True
    blocks: bool = False
    training: Training | None = None
    captured: Mapping[str, torch.Tensor] = field(default_factory=dict)
    directions: Directions | None = None
    targets: str = ""

    @cached_property
    def raw(self) -> Mapping[str, Estimate]:
        """Every measure of the raw moments, by key."""
        return _estimates(self.moments_from("raw"))

    @cached_property
    def centred(self) -> Mapping[str, Estimate]:
        """Every measure of the centred moments (C14), by key."""
        return _estimates(self.moments_from("centred"))

    @cached_property
    def _clustered(self) -> Moments:
        """The moments by independent clusters: documents or, if these are unknown, stretches of blocks."""
        return self.moments.in_stretches() if self.blocks else self.moments

    @cached_property
    def stand_in(self) -> Blocks | None:
        """The blocks of tokens that stand in for documents, if these are unknown."""
        return Blocks.of(self.moments) if self.blocks else None

    @cached_property
    def origins(self) -> Mapping[str, Mapping[str, Estimate]]:
        """Every measure, by origin (a key of ORIGINS), then by key; "decoder_bias" only if `b_dec` is known."""
        origins = {"raw": self.raw, "centred": self.centred}
        if self.b_dec is not None:  # rescaling an SAE scales x̂ − b_dec
            origins["decoder_bias"] = _estimates(self.moments_from("decoder_bias"))
        return origins

    def moments_from(self, origin: str) -> Moments:
        """The moments by independent clusters, about an origin (a key of `origins`)."""
        if origin == "decoder_bias":
            return self._about_b_dec
        return self._clustered.centred() if origin == "centred" else self._clustered

    @cached_property
    def loss_parts(self) -> Mapping[str, Mapping[str, Estimate]]:
        """Where the loss is (C23), by origin ("raw", and "decoder_bias" if `b_dec` is known), then by key.

        `tokens_loss`, which remains after each token's own best factor, `factors_loss`, which these factors recover
        beyond a common one, and `length_loss`, which the best common factor recovers: their sum is `relative_loss`, and
        the first two are `angle_loss`. `tokens_share`, `factors_share` and `length_share` are their shares of the loss.
        There is none centred: a token's ‖x̂ − mean‖² needs the mean, which is known only after the last token is read.
        """
        return {
            origin: loss_parts(
                self.moments_from(origin), in_stretches(captured, self.moments.count) if self.blocks else captured
            )
            for origin, captured in self.captured.items()
            if origin in self.origins
        }

    @cached_property
    def by_origin(self) -> Mapping[str, Mapping[str, Estimate]]:
        """`origins`, with the parts of the loss beside the measures of their origin."""
        return {origin: {**every, **self.loss_parts.get(origin, {})} for origin, every in self.origins.items()}

    @cached_property
    def law(self) -> Law | None:
        """How much of the shrinkage the training penalty explains (C19); None where latents or b_dec are not known."""
        if self.training is None or self.b_dec is None or not self.training.mean_norm > 0:
            return None
        slopes, moments = self.training.slopes, self._about_b_dec
        if self.blocks:
            slopes = torch.stack([in_stretches(of_groups, self.moments.count) for of_groups in slopes])
        return law(moments, self.training._replace(slopes=slopes))

    @property
    def l1(self) -> float | None:
        """The L1 coefficient of training in units of x: λ/k of `law`; None if it is unknown, or another penalty's."""
        return self.law.l1 / self.law.scale if self.law and self.law.l1 else None

    @cached_property
    def _about_b_dec(self) -> Moments:
        assert self.b_dec is not None
        return self._clustered.about(torch.stack((self.b_dec, self.b_dec)).double())

    @cached_property
    def per_token(self) -> Mapping[str, Estimate]:
        """The explained variance and the statistics, by name."""
        return {"explained_variance": self.explained_variance, **self.statistics}

    @cached_property
    def explained_variance(self) -> Estimate:
        """1 − Σ‖x̂ − x‖²/Σ‖x − x̄‖²: 1 minus the unexplained fraction."""
        loss = self.fvu
        value, low, high = (None if end is None else 1 - end for end in (loss.value, loss.high, loss.low))
        return Estimate(value, low, high, loss.reason)

    @cached_property
    def fvu(self) -> Estimate:
        """Σ‖x̂ − x‖²/Σ‖x − x̄‖², the fraction of variance unexplained: the relative loss about the mean of x."""
        if not self.moments.n:
            return Estimate(None, None, None, NO_TOKENS)
        return estimate(self._clustered.centred_on_x(), REGISTRY["relative_loss"])  # centring leaves x̂ − x as it is

    @property
    def tokens(self) -> int:
        """Number of tokens measured."""
        return int(self.moments.n)

    @property
    def dropped(self) -> int:
        """Number of tokens left out because x or x̂ was not finite."""
        return int(self.moments.nonfinite)

    def to_dict(self) -> dict[str, Any]:
        """One entry of `saes` in the JSON."""
        facts = {
            "name": self.name,
            "sae": self.description,
            **({"targets": self.targets} if self.targets else {}),
            "complete": self.complete,
            "tokens": self.tokens,
            "documents": self.documents,
            "clusters": int(self.moments.clusters),
            "blocks": None if self.stand_in is None else self.stand_in.to_dict(),
            "dropped": self.dropped,
            "outliers": self.outliers,
            "l0": self.l0,
            "dtype": self.dtype,
            "device": self.device,
        }
        without = self.without_outliers
        return {
            **facts,
            **self._results(),
            **({} if self.directions is None else {"directions": self.directions.to_dict()}),
            **({} if without is None else {"without_outliers": {"tokens": without.tokens, **without._results()}}),
            "published": {
                "batch": self.published_batch,
                **{library: {k: _finite(v) for k, v in values.items()} for library, values in self.published.items()},
            },
            "findings": [dict(finding) for finding in self.findings],
        }

    def _results(self) -> dict[str, Any]:
        sections = {**self.by_origin, "statistics": self.per_token}
        explained = {} if self.law is None else {"law": self.law.to_dict()}
        results = {key: _dicts(estimates) for key, estimates in sections.items()}
        return {"verdict": self.verdict.to_dict(), **results, **explained}

    def facts(self) -> str:
        """One line: tokens, documents, L0, dtype, device."""
        parts = [
            _counted(self.tokens, "token"),
            _counted(self.documents, "document")
            if self.documents
            else str(self.stand_in or f"{_counted(int(self.moments.clusters), 'block')} of tokens"),
            f"L0 = {self.l0:.1f}" if self.l0 is not None else "L0 unknown (no latents)",
            *(text for text in (self.dtype, self.device) if text),
        ]
        if self.dropped:
            parts.insert(1, f"{self.dropped:,} not finite, dropped")
        if self.outliers and self.outliers["excluded"]:
            parts.insert(1, f"{_counted(self.outliers['tokens'], 'outlier')} excluded")
        if not self.complete:
            parts.insert(0, "stopped early")
        return " · ".join(parts)

    def in_words(self) -> str:
        """One sentence: does the SAE shrink, and are its reconstructions shorter than x?"""
        judgement, length = sentence(self.name, self._gammas()), self.raw["norm_ratio"]
        if self.verdict.word == UNDEFINED or length.value is None:
            return f"{judgement}."
        return with_length(judgement, length, "the targets" if self.targets else "x")

    @cached_property
    def verdict(self) -> Verdict:
        """Does the SAE shrink, judged from every origin?"""
        return verdict(self._gammas())

    def _gammas(self) -> dict[str, Estimate]:
        return {origin: estimates["relative_reconstruction_bias"] for origin, estimates in self.origins.items()}

    def table(self) -> Table:
        """A table for a terminal (`sandbox.report.tables.measures`)."""
        return tables.measures(self)

    def __repr__(self) -> str:
        return f"Report({self.name!r}, {self.facts()})"

    def __str__(self) -> str:
        return tables.as_text(self)

    def _repr_html_(self) -> str:
        return tables.as_html(self)


def _estimates(moments: Moments) -> dict[str, Estimate]:
    return {key: estimate(moments, measure) for key, measure in REGISTRY.items()}


def _dicts(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {key: estimate.to_dict() for key, estimate in estimates.items()}


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _finite(value: float) -> float | str:
    """The value, or "nan" or "inf", for which JSON has no number."""
    return value if math.isfinite(value) else str(value)
