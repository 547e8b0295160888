"""`Report`: Moments ► every measure with its interval, as a table, JSON, CSV, and in words."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from scipy.special import stdtrit
from sympy import Expr

from sandbox.compile import evaluate, gradient, to_torch, why_undefined
from sandbox.errors import InputError
from sandbox.measures import REGISTRY, Measure
from sandbox.moments import Moments

if TYPE_CHECKING:
    from rich.table import Table

LEVEL = 0.95
NEGLIGIBLE = 0.005  # of γ, in words: what rounds to 0 % is called none, however sure the interval is


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; undefined (None) with the reason why, or without an interval, likewise."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON: `value`, `low`, `high`, and `reason` where there is one."""
        held = {"value": self.value, "low": self.low, "high": self.high}
        return held | {"reason": self.reason} if self.reason else held


def standard_error(moments: Moments, expression: Expr) -> torch.Tensor:
    """The cluster-robust standard error of a function of a, b, c that is homogeneous of degree 0.

    G/(G−1) · ∇fᵀ M ∇f, with M = Σ_g T_g T_gᵀ: Euler's identity makes the term of the mean vanish.

    Args:    moments: of any batch shape; expression: in a, b, c
    Returns: Float64[Tensor, "*batch"]; nan for a single cluster
    Source:  C16
    """
    slope = gradient(expression)(*moments.means.unbind(-1)) / moments.n[..., None]
    pull = (moments.totals @ slope[..., None])[..., 0]  # of each cluster; Σ pull² = ∇fᵀ M ∇f, with fewer digits lost
    clusters = moments.clusters.double()
    return (pull.square().sum(-1) * torch.where(clusters > 1, clusters / (clusters - 1), torch.nan)).sqrt()


def interval(moments: Moments, measure: Measure, level: float = LEVEL) -> tuple[torch.Tensor, torch.Tensor]:
    """The confidence interval of a measure: Student's t with G − 1 degrees of freedom, kept inside its range.

    Returns: (low, high), each Float64[Tensor, "*batch"]; nan where the measure is undefined or there is one cluster.
    """
    expression = measure.root() if measure.root else measure.expression
    centre = to_torch(expression)(*moments.means.unbind(-1))
    freedom = (moments.clusters.cpu() - 1).clamp(min=1).numpy()
    quantile = torch.as_tensor(stdtrit(freedom, 0.5 + level / 2), device=centre.device)
    reach = quantile * standard_error(moments, expression)
    low, high = centre - reach, centre + reach
    if measure.root:  # of the squares on an interval around 0 the least is 0
        ends = torch.stack((low**2, high**2))
        low, high = torch.where((low < 0) & (high > 0), 0, ends.amin(0)), ends.amax(0)
    low, high = (end.clamp(float(measure.range.inf), float(measure.range.sup)) for end in (low, high))
    known = ~evaluate(measure, *moments.means.unbind(-1)).isnan()
    return torch.where(known, low, torch.nan), torch.where(known, high, torch.nan)


def estimate(moments: Moments, measure: Measure, level: float = LEVEL) -> Estimate:
    """The measure of one set of moments (no batch axes) with its interval, or the reason why it has none.

    >>> import torch
    >>> half = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    >>> estimate(half, REGISTRY["relative_reconstruction_bias"])
    Estimate(value=0.5, low=None, high=None, reason='one cluster of tokens gives no interval')
    """
    if moments.n.ndim:
        raise InputError(f"these moments hold {tuple(moments.n.shape)} settings: estimate takes one")
    if not moments.n:
        return Estimate(None, None, None, "no token was measured")
    means = moments.means.tolist()
    if reason := why_undefined(measure, *means):
        return Estimate(None, None, None, reason)
    value = min(max(evaluate(measure, *means).item(), float(measure.range.inf)), float(measure.range.sup))
    low, high = (end.item() for end in interval(moments, measure, level))
    if moments.clusters < 2:
        return Estimate(value, None, None, "one cluster of tokens gives no interval")
    if math.isnan(low):
        return Estimate(value, None, None, "it has no slope here, and so no first-order interval")
    return Estimate(value, low, high)


@dataclass(frozen=True, eq=False)
class Report:
    """Every measure of one SAE on one set of activations; a notebook shows it as a table.

    Attributes:
        name:      of the SAE
        moments:   raw `Moments`, without batch axes
        documents: distinct documents, None where none were given (then blocks of tokens are the clusters)
        l0:        mean count of nonzero latents a token, None where the reconstruction came without latents
        dtype:     what the SAE was computed in
        device:    where
    """

    name: str
    moments: Moments
    documents: int | None = None
    l0: float | None = None
    dtype: str = ""
    device: str = ""

    @cached_property
    def raw(self) -> Mapping[str, Estimate]:
        """Every measure of the raw moments, by key."""
        return {key: estimate(self.moments, measure) for key, measure in REGISTRY.items()}

    @cached_property
    def centred(self) -> Mapping[str, Estimate]:
        """Every measure of the centred moments (C14), by key."""
        moments = self.moments.centred()
        return {key: estimate(moments, measure) for key, measure in REGISTRY.items()}

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
        return {
            "name": self.name,
            "tokens": self.tokens,
            "documents": self.documents,
            "clusters": int(self.moments.clusters),
            "dropped": self.dropped,
            "l0": self.l0,
            "dtype": self.dtype,
            "device": self.device,
            "raw": {key: one.to_dict() for key, one in self.raw.items()},
            "centred": {key: one.to_dict() for key, one in self.centred.items()},
        }

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
        return " · ".join(parts)

    def in_words(self) -> str:
        """One sentence: does it shrink, and are its vectors shorter?"""
        bias, length = self.raw["relative_reconstruction_bias"], self.raw["norm_ratio"]
        if bias.value is None:
            return f"{self.name}: shrinkage is undefined, because {bias.reason}."
        gap, low, high = abs(1 - bias.value), bias.low, bias.high
        reach = None if low is None or high is None else (high - low) / 2
        gamma = f"γ = {bias.value:.3f}" + (f" ± {reach:.3f}" if reach is not None else "")
        if gap < NEGLIGIBLE or (low is not None and high is not None and low <= 1 <= high):
            verdict = f"does not shrink ({gamma})"
        else:
            verdict = f"{'shrinks' if bias.value < 1 else 'stretches'} by {_percent(gap)} ({gamma})"
        if length.value is None:
            return f"{self.name} {verdict}."
        how = "shorter" if length.value < 1 else "longer"
        gap = _percent(abs(1 - length.value))
        return f"{self.name} {verdict}; its vectors are {gap} {how} than x (r = {length.value:.3f})."

    def table(self, narrow: bool = False) -> Table:
        """A table for a terminal: each measure raw and centred, with 95 % intervals and what 1 means.

        Args: narrow: for 80 columns: raw and centred in rows of their own, and not what 1 means
        """
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=f"[bold]{escape(self.name)}[/]  {self.facts()}", title_justify="left", pad_edge=False)
        if narrow:
            headers = ("measure", "", "origin", "value", "95 % interval")
        else:
            headers = ("measure", "", "raw", "95 % interval", "centred", "95 % interval", "1 means")
        for header in headers:
            justify = "right" if header in ("raw", "centred", "value") else "left"
            table.add_column(header, justify=justify, no_wrap=header != "1 means")  # numbers and keys stay whole
        for key, measure in REGISTRY.items():
            raw, centred = _cells(self.raw[key]), _cells(self.centred[key])
            if narrow:
                table.add_row(key, measure.plain, "raw", *raw)
                table.add_row("", "", "centred", *centred)
            else:
                table.add_row(key, measure.plain, *raw, *centred, measure.at_one)
        table.caption = "\n".join(self._reasons()) or None
        table.caption_justify = "left"
        return table

    def _reasons(self) -> list[str]:
        """A line for each reason why something is undefined, with the measures that it holds for."""
        lines = []
        for origin, estimates in (("raw", self.raw), ("centred", self.centred)):
            keys: dict[str, list[str]] = {}
            for key, one in estimates.items():
                if one.reason:
                    keys.setdefault(one.reason, []).append(key)
            lines += [f"{origin}, {reason}: {', '.join(held)}" for reason, held in keys.items()]
        return lines

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        text = StringIO()
        console = Console(file=text, width=150)
        console.print(self.table())
        console.print(self.in_words(), highlight=False, markup=False)
        return text.getvalue()

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{text}</th>" for text in ("", "raw", "95 %", "centred", "95 %", "1 means"))
        rows = ""
        for key, measure in REGISTRY.items():
            cells = [*_cells(self.raw[key]), *_cells(self.centred[key]), measure.at_one]
            label = f"<td style='text-align:left'>{key} ({escape(measure.plain)})</td>"
            rows += f"<tr>{label}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        facts = escape(f"{self.name}: {self.facts()}")
        return f"<table><caption>{facts}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.095 else f"{share:.1%}".replace("%", " %")


def _cells(one: Estimate) -> tuple[str, str]:
    value = "undefined" if one.value is None else f"{one.value:.4f}"
    return value, "—" if one.low is None or one.high is None else f"{one.low:.4f} … {one.high:.4f}"


def to_json(reports: Sequence[Report]) -> str:
    """All reports as JSON text: `{"saes": [...]}`; an undefined value is null, with its reason."""
    return json.dumps({"saes": [report.to_dict() for report in reports]}, indent=2, allow_nan=False)


def to_csv(reports: Iterable[Report]) -> str:
    """All reports as CSV text, a row for each SAE, origin (raw or centred) and measure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "tokens", "documents", "l0", "origin", "measure", "value", "low", "high", "reason"))
    for report in reports:
        for origin, estimates in (("raw", report.raw), ("centred", report.centred)):
            for key, one in estimates.items():
                facts = (report.name, report.tokens, report.documents, report.l0, origin, key)
                writer.writerow((*facts, one.value, one.low, one.high, one.reason))
    return text.getvalue()
