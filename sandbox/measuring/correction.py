"""`Correction`: a decoder that undoes shrinkage, evaluated on documents it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Float64
from torch import Tensor

from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import BLOCK
from sandbox.report import ORIGINS, Estimate, Report, verdict
from sandbox.report.differences import difference, won_back
from sandbox.report.layout import PRINTED, fitting, stacked, table
from sandbox.report.tables import cells_of, difference_cell
from sandbox.report.verdict import DOES_NOT, WITHIN, percent, side, word_for

if TYPE_CHECKING:
    from rich.table import Table

GAMMA, LOSS = "relative_reconstruction_bias", "relative_loss"

SHIFTED = ("scale-shift", "decoder")
"""The kinds that also change b_dec."""

BLOCKS = (
    f"Without document IDs, blocks of {BLOCK} tokens were split instead. One document can have blocks in both parts, "
    "so the held-out results may look better than they would on new text."
)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An SAE evaluated on the held-out documents.

    Attributes:
        report:     moments of x and x̂, with L0
        about_bias: moments of x − bias and x̂ − bias; a factor on W_dec scales the latter. The bias is b_dec, mapped to
                    the space of x if the SAE normalises each token
    """

    report: Report
    about_bias: Report

    @property
    def gamma(self) -> Estimate:
        """γ about the decoder bias."""
        return self.about_bias.raw[GAMMA]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: a report's, plus the measures about the decoder bias."""
        gammas = {origin: _of(self, origin)[GAMMA] for origin in ORIGINS}
        about = {key: estimate.to_dict() for key, estimate in self.about_bias.raw.items()}
        return self.report.to_dict() | {"verdict": verdict(gammas).to_dict(), "decoder_bias": about}


@dataclass(frozen=True, eq=False)
class Correction:
    """A corrected decoder, with the SAE before and after the correction on the held-out documents.

    Attributes:
        kind:       "scalar", "scale-shift", "per-latent", "joint", "decoder" or "from-l1"
                    (`sandbox.measuring.rescale.rescale`)
        checkpoint: the original SAE
        W_dec:      Float[Tensor, "d_sae d_in"], corrected, float32
        b_dec:      Float[Tensor, "d_in"], corrected if kind is in SHIFTED, otherwise the original; float32
        factor:     Float64[Tensor, ""] for all of W_dec, or Float64[Tensor, "d_sae"] with one factor per row; for
                    "decoder", that of the part of each row along the original one
        share:      share of the documents to fit on
        seed:       random seed of the split
        fitted:     number of documents it was fitted on (without document IDs: blocks of tokens)
        before:     the original SAE on the held-out documents
        after:      the SAE with the corrected decoder on them, its latents computed again
        ridge:      for "joint" and "decoder": how strongly rows were held where they start, in tokens
    """

    kind: str
    checkpoint: Checkpoint
    W_dec: Float[Tensor, "d_sae d_in"]
    b_dec: Float[Tensor, "d_in"]
    factor: Float64[Tensor, "*d_sae"]
    share: float
    seed: int
    fitted: int
    before: Evaluated
    after: Evaluated
    ridge: float | None = None

    @cached_property
    def recovered(self) -> Estimate:
        """Share of the recoverable loss that was recovered: (loss before − loss after) / (loss before − L*).

        L* is the lowest loss that a single factor on W_dec could reach on the held-out documents themselves, so the
        denominator is `length_loss` (C12) about the decoder bias. A scalar fitted on other documents recovers at most
        1; the other kinds can recover more. Undefined if γ is undefined, if its interval contains 1, or if there is no
        loss to recover.
        """
        gamma = self.before.gamma
        if gamma.value is None:
            return Estimate(None, None, None, gamma.reason)
        if gamma.low is not None and not side(gamma):
            near = f"1 within ±{percent(WITHIN)}: nothing to recover"
            unclear = "not significantly different from 1: the loss to recover is unknown"
            reason = near if word_for(gamma) == DOES_NOT else unclear
            return Estimate(None, None, None, f"γ about the decoder bias is {reason}")
        if not _energy(self.before.about_bias, "length_loss") > 0:
            return Estimate(None, None, None, "x̂ − b_dec already has the best length: nothing to recover")
        gained = _energy(self.before.report, LOSS) - _energy(self.after.report, LOSS)
        value = gained / _energy(self.before.about_bias, "length_loss")
        return Estimate(value, None, None, "this value holds for this split of the documents; it has no interval")

    @cached_property
    def won_back(self) -> Estimate:
        """Share of the held-out loss E‖x − x̂‖² that is gone, with its paired 95 % interval."""
        return won_back(self.after.report, self.before.report)

    @cached_property
    def changes(self) -> dict[str, Estimate]:
        """After minus before, raw, by measure (γ and the relative loss), with paired 95 % intervals."""
        return {key: difference(self.after.report, self.before.report, key) for key in (GAMMA, LOSS)}

    @property
    def sae(self) -> SAE:
        """The corrected SAE, a module that maps x to x̂, on the CPU in float32."""
        return self.checkpoint.sae.with_decoder(self.W_dec, self.b_dec)

    def write(self, out: str | Path) -> None:
        """Write the corrected checkpoint to a new folder atomically, in the original's layout.

        Raises: InputError if `out` already exists or cannot be created
        """
        self.checkpoint.write(out, self.W_dec, self.b_dec)

    def _in_pairs(self) -> str:
        change = self.changes[LOSS]
        return "" if change.low is None else f", paired difference {difference_cell(change)}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        factor = self.factor
        return {
            "kind": self.kind,
            "sae": self.checkpoint.describe(),
            "factor": {"least": factor.min().item(), "mean": factor.mean().item(), "greatest": factor.max().item()},
            "shift": (self.b_dec - self.checkpoint.sae.b_dec).double().norm().item(),
            "share": self.share,
            "seed": self.seed,
            "fitted": self.fitted,
            "ridge": self.ridge,
            "recovered": self.recovered.to_dict(),
            "won_back": self.won_back.to_dict(),
            "changes": {key: estimate.to_dict() for key, estimate in self.changes.items()},
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    def table(self, width: int = PRINTED) -> Table:
        """The measures before and after on the held-out documents, for a terminal `width` columns wide."""
        return fitting(width, self._wide, self._stacked)

    def _wide(self) -> Table:
        headers = ("measure", "origin", "before", "95 % interval", "after", "95 % interval")
        rows = ((name, origin, *before, *after) for name, origin, before, after in self._compared())
        return table(self._title, headers, rows, right=("before", "after"), caption=self.in_words())

    def _stacked(self) -> Table:
        groups = (
            (f"{name}{', ' * bool(origin)}{origin}", [("before", *before), ("after", *after)])
            for name, origin, before, after in self._compared()
        )
        return stacked(self._title, ("measure", "value", "95 % interval"), groups, self.in_words())

    @property
    def _title(self) -> str:
        from rich.markup import escape

        return f"[bold]{escape(self.before.report.name)}[/]  {self.kind}, held out: {self.before.report.facts()}"

    def _compared(self) -> Iterator[tuple[str, str, tuple[str, str], tuple[str, str]]]:
        """Each measure, its origin, and its (value, interval) before and after."""
        for key in (GAMMA, LOSS):
            for origin in ("raw", "centred", "decoder_bias"):
                before, after = (cells_of(_of(side, origin)[key]) for side in (self.before, self.after))
                yield f"{key} ({REGISTRY[key].plain})", ORIGINS[origin], before, after
        before, after = ((f"{side.report.l0:.2f}", "") for side in (self.before, self.after))
        yield "L0", "", before, after

    def in_words(self) -> str:
        """The change, its effect with the origin of each measure, and a caveat if blocks were split."""
        low, high = self.factor.min().item(), self.factor.max().item()
        factors = f"{low:.4f}" if low == high else f"{low:.3f} to {high:.3f} (one factor per latent)"
        change = f"W_dec times {factors}" + (", with a new b_dec" if self.kind in SHIFTED else "")
        if self.kind == "decoder":
            change = f"W_dec and b_dec fitted by least squares, W_dec times {low:.3f} to {high:.3f} along its old rows"
        if self.ridge is not None:
            change += f" (ridge of {self.ridge:,.4g} tokens)"
        share = self.recovered
        effect = f"recovers {_share(share.value)} what one factor could" if share.value is not None else share.reason
        before, after = (side.report.raw[LOSS].value for side in (self.before, self.after))
        assert before is not None  # the fit found a positive factor, so x is not 0
        assert after is not None
        gammas = (side.gamma.value for side in (self.before, self.after))
        gamma = " ► ".join("undefined" if value is None else f"{value:.3f}" for value in gammas)
        words = (
            f"{change}: γ {gamma} (about the decoder bias), relative loss {before:.4f} ► {after:.4f} (raw"
            f"{self._in_pairs()}); {effect}."
        )
        return words if self.before.report.documents is not None else f"{words} {BLOCKS}"


def _share(value: float) -> str:
    return f"{value:.1%} of".replace("%", " %") if value < 2 else f"{value:.1f} times"


def _energy(report: Report, key: str) -> float:
    """A loss in squared activation units: the measure, which is relative to E‖x‖², times E‖x‖²."""
    return (evaluate(REGISTRY[key], *report.moments.means) * report.moments.a).item()


def _of(side: Evaluated, origin: str) -> Mapping[str, Estimate]:
    return {"raw": side.report.raw, "centred": side.report.centred, "decoder_bias": side.about_bias.raw}[origin]
