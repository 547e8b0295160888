"""`LossReport`: what SAEs cost a language model, as tables, sentences, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandbox.report.csv_text import csv_text
from sandbox.report.estimates import Estimate
from sandbox.report.layout import PRINTED, fitting, stacked, table
from sandbox.report.losses import (
    CLEAN,
    COLUMNS,
    LEAST_ERROR,
    LEAST_LOSS,
    MEAN,
    TOKENS,
    X_HAT,
    ZERO,
    Ratios,
    SaeLosses,
)
from sandbox.report.tables import plus_minus

if TYPE_CHECKING:
    from rich.table import Table

WORDS = {
    CLEAN: "x (the clean model)",
    X_HAT: "x̂",
    LEAST_ERROR: "x̂ stretched for the least error",
    LEAST_LOSS: "x̂ stretched for the least loss",
    "per-latent": "x̂ with a factor per latent",
    "joint": "x̂ with the best factors of all latents",
    "decoder": "x̂ with the best decoder",
    MEAN: "the mean of x",
    ZERO: "zero",
}
"""What takes the place of x, by name."""

DIGITS = 4  # decimals of a loss


@dataclass(frozen=True, eq=False)
class LossReport:
    """What SAEs cost a language model; a notebook shows it as tables.

    Attributes:
        source:           the model, the module and the text
        module:           name of the module whose output is replaced
        ratios:           of all losses
        documents:        number of documents measured
        fitted_on:        number of tokens that the factors were fitted on, of other documents
        fitted_documents: number of these documents
        outliers:         `limit` (norm of x), `tokens` (of those fitted on), and whether they keep their activations
        saes:             of each SAE
        complete:         False if the run was stopped early
        findings:         findings of the preflight check: `sae`, `key` and `message`
    """

    source: str
    module: str
    ratios: Ratios
    documents: int
    fitted_on: int
    fitted_documents: int
    outliers: Mapping[str, Any]
    saes: Sequence[SaeLosses]
    complete: bool = True
    findings: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def tokens(self) -> int:
        """Number of predictions counted."""
        return int(self.ratios.sums[:, self.ratios.columns.index(TOKENS)].sum())

    @cached_property
    def clean(self) -> Estimate:
        """The clean model's cross-entropy, nats per token."""
        return self.ratios.mean(CLEAN)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "source": self.source,
            "module": self.module,
            "complete": self.complete,
            "tokens": self.tokens,
            "documents": self.documents,
            "fitted_on": self.fitted_on,
            "fitted_documents": self.fitted_documents,
            "outliers": dict(self.outliers),
            "clean": self.clean.to_dict(),
            "saes": [sae.to_dict() for sae in self.saes],
            "findings": [dict(finding) for finding in self.findings],
        }

    def to_csv(self) -> str:
        """Every number as CSV text, one row per SAE, replacement and measure, with the columns COLUMNS."""
        return csv_text(COLUMNS, [row for sae in self.saes for row in sae.rows()])

    def facts(self) -> str:
        """One line: tokens, documents, the clean loss."""
        kept = ", outliers left as they are" if self.outliers["excluded"] and self.outliers["tokens"] else ""
        early = "stopped early · " if not self.complete else ""
        clean = plus_minus(self.clean, DIGITS)
        return (
            f"{early}{self.tokens:,} tokens of {self.documents:,} documents{kept} · clean model {clean} nats per token "
            f"· factors fitted on {self.fitted_on:,} tokens of {self.fitted_documents:,} other documents all "
            "over the text"
        )

    def tables(self, width: int = PRINTED) -> list[Table]:
        """A table per SAE, for a terminal `width` columns wide."""
        return [self._table(sae, width) for sae in self.saes]

    def _table(self, sae: SaeLosses, width: int) -> Table:
        from rich.markup import escape

        title = f"[bold]{escape(sae.name)}[/]  in place of {escape(self.module)}\n{self.facts()}"
        headers = ("in place of x", "loss − clean", "gain over x̂", "KL", "loss recovered")
        rows = [
            (
                replacement_in_words(sae, name),
                signed(sae.cost(name)),
                "" if name in (X_HAT, MEAN, ZERO) else signed(sae.gain(name)),
                _shown(sae.divergence(name)),
                _shown(sae.recovered(name)),
            )
            for name in sae.order
        ]
        libraries = [f"{name} {_shown(sae.recovered_as_in(key))}" for key, name in sae.libraries.items()]
        caption = escape(in_words(sae))
        if libraries:
            caption += f"\nLoss recovered by x̂ as the libraries define it: {', '.join(libraries)}."

        def wide() -> Table:
            return table(title, headers, rows, right=headers[1:], caption=caption)

        def narrow() -> Table:
            groups = ((row[0], zip(headers[1:], row[1:], strict=True)) for row in rows)
            return stacked(title, (headers[0], "nats per token"), groups, caption)

        return fitting(width, wide, narrow)

    def in_words(self) -> str:
        """A sentence or two for each SAE."""
        return " ".join(in_words(sae) for sae in self.saes)

    def __repr__(self) -> str:
        return f"LossReport({self.facts()})"

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=PRINTED)
        with console.capture() as text:
            for made in self.tables():
                console.print(made)
        return text.get()


def signed(estimate: Estimate) -> str:
    """A difference: its value with its sign, ± half its interval."""
    words = _shown(estimate)
    return f"+{words}" if estimate.value is not None and estimate.value >= 0 else words


def _shown(estimate: Estimate) -> str:
    return plus_minus(estimate, DIGITS).replace("-", "−", 1)


def replacement_in_words(sae: SaeLosses, name: str) -> str:
    """What takes the place of x, with its factor."""
    return f"{WORDS[name]} (× {sae.factors[name]:.3f})" if name in sae.factors else WORDS[name]


def in_words(sae: SaeLosses) -> str:
    """One or two sentences: the cost, and what stretching x̂ gains."""
    cost = sae.cost(X_HAT)
    if cost.value is None:
        return f"{sae.name}: the loss is not finite."
    gamma = "" if sae.gamma is None else f" (γ about {sae.about} is {sae.gamma:.3f})"
    words = f"{sae.name} costs the model {plus_minus(cost, DIGITS)} nats per token{gamma}."
    stretched = [_stretched(sae, name) for name in sae.replacements if name in sae.factors]
    return f"{words} Stretched about {sae.about}, x̂ costs {'; '.join(stretched)}." if stretched else words


def _stretched(sae: SaeLosses, name: str) -> str:
    """What stretching gains, and how little of that loss recovered shows."""
    gain, before, after = sae.gain(name), sae.recovered(X_HAT).value, sae.recovered(name).value
    if gain.value is None:
        return f"an undefined amount with the factor {sae.factors[name]:.3f}"
    size = plus_minus(gain, DIGITS).removeprefix("-")
    cost = sae.cost(X_HAT).value
    share = f", {abs(gain.value / cost):.0%} of it,".replace("%", " %") if cost and sae.costs_something else ""
    shown = f"; loss recovered {before:.4f} ► {after:.4f}" if before is not None and after is not None else ""
    bound = ", a bound of the search" if name == LEAST_LOSS and sae.curve and sae.curve.at_bound else ""
    return (
        f"{size} {'less' if gain.value >= 0 else 'more'}{share} with the factor of the "
        f"{'least error' if name == LEAST_ERROR else 'least loss'} ({sae.factors[name]:.3f}{bound}{shown})"
    )
