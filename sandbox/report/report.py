"""`Report`: everything that was measured of one SAE, from each origin, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.report import tables
from sandbox.report.estimates import Estimate, estimate
from sandbox.report.verdict import UNDEFINED, Verdict, percent, sentence, verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class Report:
    """Every measure of one SAE on one set of activations; a notebook shows it as a table.

    Attributes:
        name:            of the SAE
        moments:         raw `Moments`, without batch axes
        documents:       distinct documents, None where none were given
        blocks:          whether the clusters are blocks of tokens, of which neighbours may be of one document
        l0:              mean count of nonzero latents a token, None where the reconstruction came without latents
        dtype, device:   what the SAE was computed in, and where
        description:     layout, sizes and conventions of the SAE
        b_dec:           Float[Tensor, "d"], the decoder bias, where x̂ holds the same one for every token
        outliers:        `limit` (norm of x), `tokens`, `share_of_a`, and whether `excluded`; where there are some
        without_outliers: the same without them, where there are some and they are not excluded
        statistics:      means over tokens, and the line of ‖x̂‖ on ‖x‖, by name
        published:       what libraries would print, by library and by their name for it
        published_batch: for batches of so many tokens
        findings:        findings of the preflight check: `key` and `message`
        latents:         each latent for itself (`sandbox.measuring.latents.Latents`), if it was asked for
        complete:        False for the report so far of a run that was stopped
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

    @cached_property
    def raw(self) -> Mapping[str, Estimate]:
        """Every measure of the raw moments, by key."""
        return _every(self._clustered)

    @cached_property
    def centred(self) -> Mapping[str, Estimate]:
        """Every measure of the centred moments (C14), by key."""
        return _every(self._clustered.centred())

    @cached_property
    def _clustered(self) -> Moments:
        """The moments by what is taken for independent: documents; where there are none, stretches of blocks."""
        return self.moments.in_stretches() if self.blocks else self.moments

    @cached_property
    def origins(self) -> Mapping[str, Mapping[str, Estimate]]:
        """Every measure from every origin (a key of ORIGINS) that there is."""
        found = {"raw": self.raw, "centred": self.centred}
        if self.b_dec is not None:  # rescaling an SAE scales what is beyond its decoder bias
            found["decoder_bias"] = _every(self._clustered.about(torch.stack((self.b_dec, self.b_dec)).double()))
        return found

    @cached_property
    def per_token(self) -> Mapping[str, Estimate]:
        """The explained variance, which has the mean removed, and the statistics."""
        return {"explained_variance": self.explained_variance, **self.statistics}

    @cached_property
    def explained_variance(self) -> Estimate:
        """1 − Σ‖x̂ − x‖²/Σ‖x − x̄‖²: the relative loss as seen from the mean of x, from where x̂ − x looks the same."""
        if not self.moments.n:
            return Estimate(None, None, None, "no token was measured")
        loss = estimate(self._clustered.centred_on_x(), REGISTRY["relative_loss"])
        value, low, high = (None if end is None else 1 - end for end in (loss.value, loss.high, loss.low))
        return Estimate(value, low, high, loss.reason)

    @property
    def tokens(self) -> int:
        """Tokens measured."""
        return int(self.moments.n)

    @property
    def dropped(self) -> int:
        """Tokens left out because x or x̂ was not finite."""
        return int(self.moments.nonfinite)

    def to_dict(self) -> dict[str, Any]:
        """One entry of `saes` in the JSON."""
        facts = {
            "name": self.name,
            "sae": self.description,
            "complete": self.complete,
            "tokens": self.tokens,
            "documents": self.documents,
            "clusters": int(self.moments.clusters),
            "dropped": self.dropped,
            "outliers": self.outliers,
            "l0": self.l0,
            "dtype": self.dtype,
            "device": self.device,
        }
        without = self.without_outliers
        return {
            **facts,
            **self._judged(),
            **({} if without is None else {"without_outliers": {"tokens": without.tokens, **without._judged()}}),
            "published": {
                "batch": self.published_batch,
                **{library: {k: _finite(v) for k, v in held.items()} for library, held in self.published.items()},
            },
            "findings": [dict(one) for one in self.findings],
        }

    def _judged(self) -> dict[str, Any]:
        estimates = {key: _dicts(held) for key, held in {**self.origins, "statistics": self.per_token}.items()}
        return {"verdict": self.verdict.to_dict(), **estimates}

    def facts(self) -> str:
        """One line: tokens, documents, L0, dtype, device."""
        parts = [
            f"{self.tokens:,} tokens",
            f"{self.documents:,} documents" if self.documents else f"{int(self.moments.clusters)} blocks of tokens",
            f"L0 = {self.l0:.1f}" if self.l0 is not None else "L0 unknown (no latents seen)",
            *(text for text in (self.dtype, self.device) if text),
        ]
        if self.dropped:
            parts.insert(1, f"{self.dropped:,} not finite, dropped")
        if self.outliers and self.outliers["excluded"]:
            parts.insert(1, f"{self.outliers['tokens']:,} of extreme norm, excluded")
        if not self.complete:
            parts.insert(0, "stopped: so far")
        return " · ".join(parts)

    def in_words(self) -> str:
        """One sentence: does it shrink, and are its vectors shorter?"""
        said, length = sentence(self.name, self._gammas()), self.raw["norm_ratio"]
        if self.verdict.word == UNDEFINED or length.value is None:
            return f"{said}."
        by = percent(abs(1 - length.value))
        how = "as long as x" if by == percent(0) else f"{by} {'shorter' if length.value < 1 else 'longer'} than x"
        return f"{said}; its vectors are {how} (r = {length.value:.3f})."

    @cached_property
    def verdict(self) -> Verdict:
        """Does it shrink, as seen from every origin that there is?"""
        return verdict(self._gammas())

    def _gammas(self) -> dict[str, Estimate]:
        return {origin: held["relative_reconstruction_bias"] for origin, held in self.origins.items()}

    def table(self) -> Table:
        """A table for a terminal (`sandbox.report.tables.measures`)."""
        return tables.measures(self)

    def __repr__(self) -> str:
        return f"Report({self.name!r}, {self.facts()})"

    def __str__(self) -> str:
        return tables.as_text(self)

    def _repr_html_(self) -> str:
        return tables.as_html(self)


def _every(moments: Moments) -> dict[str, Estimate]:
    return {key: estimate(moments, measure) for key, measure in REGISTRY.items()}


def _dicts(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {key: one.to_dict() for key, one in estimates.items()}


def _finite(value: float) -> float | str:
    """As in JSON, which has no word for what is not finite: "nan", "inf"."""
    return value if math.isfinite(value) else str(value)
