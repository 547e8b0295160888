"""`Ceilings`: how much of the loss any correction of the decoder can win back, from one factor to a new decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from sandbox.checkpoints import Checkpoint
from sandbox.measuring.correction import BLOCKS, GAMMA, LOSS, Correction, Evaluated
from sandbox.measuring.rescale import Settings, corrections
from sandbox.report.differences import difference
from sandbox.report.estimates import Estimate
from sandbox.report.layout import PRINTED, fitting, stacked, table
from sandbox.report.tables import difference_cell, plus_minus

if TYPE_CHECKING:
    from rich.table import Table

UNCORRECTED, PER_LATENT = "uncorrected", "per-latent"

KINDS = ("scalar", PER_LATENT, "joint", "decoder")
"""The kinds to compare, each with more freedom than the last."""

WORDS = {
    UNCORRECTED: "uncorrected",
    "scalar": "one factor",
    "scale-shift": "one factor and a shift",
    PER_LATENT: "a factor per latent",
    "from-l1": "factors by the L1 law",
    "joint": "joint factors",
    "decoder": "a refitted decoder",
}


def ceilings(
    checkpoint: str | Path | Checkpoint | Any, source: Any, kinds: Sequence[str] = KINDS, **settings: Unpack[Settings]
) -> Ceilings:
    """How much of its loss an SAE could win back if only its decoder changed, on held-out documents.

    Args:
        checkpoint, source, settings: as for `sandbox.measuring.rescale.rescale`
        kinds:                        further kinds than KINDS may be compared
    Raises: InputError as `rescale` does
    """
    return Ceilings(corrections(checkpoint, source, tuple(dict.fromkeys((*KINDS, *kinds))), **settings))


@dataclass(frozen=True, eq=False)
class Ceilings:
    """Corrections of one SAE, fitted on the same documents and evaluated on the same others.

    "joint" is the ceiling of all corrections by factors, "decoder" that of all corrections of W_dec and b_dec, up to
    what documents to fit on are too few to tell: with more of them, both may rise.

    Attributes: corrections: by kind
    """

    corrections: Mapping[str, Correction]

    @property
    def before(self) -> Evaluated:
        """The original SAE on the held-out documents."""
        return next(iter(self.corrections.values())).before

    @cached_property
    def rows(self) -> dict[str, dict[str, Estimate]]:
        """The results of each kind, and of the original, by name.

        Each has, with 95 % intervals: the raw relative loss; γ about the decoder bias; the share of the loss won back;
        and the relative loss minus that of the original, and minus that of "per-latent" (paired).
        """
        sides = {UNCORRECTED: self.before} | {kind: made.after for kind, made in self.corrections.items()}
        fixed = Estimate(0.0, 0.0, 0.0)

        def minus(kind: str, other: str) -> Estimate:
            return fixed if kind == other else difference(sides[kind].report, sides[other].report, LOSS)

        return {
            kind: {
                LOSS: side.report.raw[LOSS],
                GAMMA: side.gamma,
                "won_back": self.corrections[kind].won_back if kind in self.corrections else fixed,
                "minus_uncorrected": minus(kind, UNCORRECTED),
                "minus_per_latent": minus(kind, PER_LATENT),
            }
            for kind, side in sides.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: `rows`, and the factors of each kind."""
        found = {}
        for kind, row in self.rows.items():
            found[kind] = {key: estimate.to_dict() for key, estimate in row.items()}
            if made := self.corrections.get(kind):
                found[kind] |= {key: made.to_dict()[key] for key in ("factor", "shift", "ridge")}
        made = next(iter(self.corrections.values()))
        facts = {"sae": made.checkpoint.describe(), "share": made.share, "seed": made.seed, "fitted": made.fitted}
        return facts | {"l0": self.before.report.l0, "tokens": self.before.report.tokens, "ceilings": found}

    def table(self, width: int = PRINTED) -> Table:
        """A row per kind, for a terminal `width` columns wide."""
        from rich.markup import escape

        report = self.before.report
        title = f"[bold]{escape(report.name)}[/]  what any decoder can win back, held out: {report.facts()}"
        headers = ("L/a", "γ about b_dec", "won back", "L/a less uncorrected", "L/a less per latent")
        rows = list(self._cells())

        def wide() -> Table:
            return table(title, ("decoder", *headers), rows, right=headers, caption=self.in_words())

        def narrow() -> Table:
            groups = ((name, zip(headers, cells, strict=True)) for name, *cells in rows)
            return stacked(title, ("decoder", "value"), groups, self.in_words())

        return fitting(width, wide, narrow)

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for kind, row in self.rows.items():
            loss, gamma, share, *others = row.values()
            same = (kind == UNCORRECTED, kind == PER_LATENT)
            differences = ("—" if hidden else difference_cell(one) for hidden, one in zip(same, others, strict=True))
            won = "—" if kind == UNCORRECTED else _percentage(share)
            yield WORDS[kind], difference_cell(loss), plus_minus(gamma), won, *differences

    def in_words(self) -> str:
        """What each kind wins back, and what that says."""
        won = ", ".join(
            f"{WORDS[kind]} {_percentage(row['won_back'])}" for kind, row in self.rows.items() if kind != UNCORRECTED
        )
        what = "documents" if self.before.report.documents is not None else "blocks of tokens"
        words = (
            f"Share of the held-out loss won back: {won}. No factors can do better than the joint ones and no decoder "
            f"better than the refitted one, except with a weaker ridge or by fitting them to more than these "
            f"{next(iter(self.corrections.values())).fitted:,} {what}; the rest of the loss is in the latents."
        )
        return words if self.before.report.documents is not None else f"{words} {BLOCKS}"


def _percentage(share: Estimate) -> str:
    if share.value is None:
        return "undefined"
    if share.low is None or share.high is None:
        return f"{100 * share.value:.1f} %"
    return f"{100 * share.value:.1f} ± {50 * (share.high - share.low):.1f} %"
