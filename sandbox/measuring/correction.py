"""`Correction`: a decoder that undoes shrinkage, with what it does to documents that it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Float64
from torch import Tensor

from sandbox.checkpoints import Checkpoint
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import BLOCK
from sandbox.report import ORIGINS, Estimate, Report, verdict
from sandbox.report.layout import PRINTED, fitting, stacked, table
from sandbox.report.tables import cells_of
from sandbox.report.verdict import DOES_NOT, WITHIN, percent, side, word_for

if TYPE_CHECKING:
    from rich.table import Table

GAMMA, LOSS = "relative_reconstruction_bias", "relative_loss"

BLOCKS = (
    f"Without document ids, blocks of {BLOCK} tokens were fitted on or held out: blocks of one document lie on both "
    "sides, and what is held out looks better than other text would."
)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An SAE on the documents held out.

    Attributes:
        report:     raw moments, of x and x̂, with L0
        about_bias: moments of x − bias and x̂ − bias, which is what a factor of W_dec acts on. The bias is b_dec; where
                    the SAE normalises each token, it is what b_dec becomes in the space of x
    """

    report: Report
    about_bias: Report

    @property
    def gamma(self) -> Estimate:
        """γ about the decoder bias."""
        return self.about_bias.raw[GAMMA]

    def to_dict(self) -> dict[str, Any]:
        """As in JSON: the entry of a report, with the measures about the decoder bias beside raw and centred."""
        gammas = {origin: _of(self, origin)[GAMMA] for origin in ORIGINS}
        about = {key: one.to_dict() for key, one in self.about_bias.raw.items()}
        return self.report.to_dict() | {"verdict": verdict(gammas).to_dict(), "decoder_bias": about}


@dataclass(frozen=True, eq=False)
class Correction:
    """A corrected decoder, and the SAE before and after on the documents held out.

    Attributes:
        kind:       "scalar", "scale-shift" or "per-latent" (`sandbox.measuring.rescale.rescale`)
        checkpoint: what was corrected
        W_dec:      Float[Tensor, "d_sae d_in"], corrected, float32
        b_dec:      Float[Tensor, "d_in"], likewise; as it was unless kind is "scale-shift"
        factor:     Float64[Tensor, ""] of all of W_dec, or Float64[Tensor, "d_sae"] of each row
        share:      of the documents to fit on; seed: of the draw
        fitted:     documents (without document ids: blocks of tokens) that it was fitted on
        before:     the SAE as it was, held out
        after:      the SAE with the corrected decoder, latents computed anew, held out
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

    @cached_property
    def recovered(self) -> Estimate:
        """The share of the recoverable loss that was recovered: (loss before − after) / (loss before − L*).

        L* is the least loss that one factor of W_dec could reach on the held-out documents themselves, so that the
        divisor is `length_loss` of C12, about the decoder bias. A scalar fitted elsewhere reaches 1 at most; the other
        kinds may go beyond. Undefined where γ does not differ from 1, or cannot be told from it.
        """
        gamma = self.before.gamma
        if gamma.value is None:
            return Estimate(None, None, None, gamma.reason)
        if gamma.low is not None and not side(gamma):
            near = f"1 within ±{percent(WITHIN)}: nothing to recover"
            is_ = near if word_for(gamma) == DOES_NOT else "not to be told from 1, nor what there is to recover"
            return Estimate(None, None, None, f"γ about the decoder bias is {is_}")
        if not _energy(self.before.about_bias, "length_loss") > 0:
            return Estimate(None, None, None, "x̂ − b_dec is as long as it should be: nothing to recover")
        gained = _energy(self.before.report, LOSS) - _energy(self.after.report, LOSS)
        value = gained / _energy(self.before.about_bias, "length_loss")
        return Estimate(value, None, None, "a figure of these two parts of the documents, without an interval")

    def write(self, out: str | Path) -> None:
        """Write the corrected checkpoint into a new folder, in the layout it came in, whole or not at all.

        Raises: InputError if `out` is there already, or cannot be made
        """
        self.checkpoint.write(out, self.W_dec, self.b_dec)

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        factor = self.factor
        return {
            "kind": self.kind,
            "sae": self.checkpoint.describe(),
            "factor": {"least": factor.min().item(), "mean": factor.mean().item(), "greatest": factor.max().item()},
            "shift": (self.b_dec - self.checkpoint.sae.b_dec).double().norm().item(),
            "share": self.share,
            "seed": self.seed,
            "fitted": self.fitted,
            "recovered": self.recovered.to_dict(),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    def table(self, width: int = PRINTED) -> Table:
        """Before and after on the documents held out, for a terminal of that width."""
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
        """What is compared, its origin, and value and interval before and after."""
        for key in (GAMMA, LOSS):
            for origin in ("raw", "centred", "decoder_bias"):
                before, after = (cells_of(_of(side, origin)[key]) for side in (self.before, self.after))
                yield f"{key} ({REGISTRY[key].plain})", ORIGINS[origin], before, after
        before, after = ((f"{side.report.l0:.2f}", "") for side in (self.before, self.after))
        yield "L0", "", before, after

    def in_words(self) -> str:
        """What was changed and what that brought, each figure with its origin; and what the split does not show."""
        low, high = self.factor.min().item(), self.factor.max().item()
        times = f"{low:.4f}" if low == high else f"{low:.3f} to {high:.3f}, a factor a latent"
        change = f"W_dec times {times}" + (", and another b_dec" if self.kind == "scale-shift" else "")
        share = self.recovered
        brought = f"recovers {_share(share.value)} what one factor could" if share.value is not None else share.reason
        before, after = (side.report.raw[LOSS].value for side in (self.before, self.after))
        assert before is not None  # x̂ points along x in the part that was fitted, so x is not 0
        assert after is not None
        gammas = (side.gamma.value for side in (self.before, self.after))
        gamma = " ► ".join("undefined" if one is None else f"{one:.3f}" for one in gammas)
        words = (
            f"{change}: γ {gamma} (about the decoder bias), relative loss {before:.4f} ► {after:.4f} (raw); {brought}."
        )
        return words if self.before.report.documents is not None else f"{words} {BLOCKS}"


def _share(value: float) -> str:
    return f"{value:.1%} of".replace("%", " %") if value < 2 else f"{value:.1f} times"


def _energy(report: Report, key: str) -> float:
    """A loss in squared activation units: its share of E‖x‖², times that."""
    return (evaluate(REGISTRY[key], *report.moments.means) * report.moments.a).item()


def _of(side: Evaluated, origin: str) -> Mapping[str, Estimate]:
    return {"raw": side.report.raw, "centred": side.report.centred, "decoder_bias": side.about_bias.raw}[origin]
