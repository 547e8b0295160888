"""`check`: is a claim of the reader's own true? A proof, two vectors against it, or what has been tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Expr, latex

from sandbox.claims.language import ParsedClaim
from sandbox.claims.limit import PROOF_SECONDS, SYMPY_FAILURES, SYMPY_SECONDS, Undecidable, time_limit
from sandbox.claims.proving import proof_of
from sandbox.claims.vectors import Pair
from sandbox.maths.measures import REGISTRY
from sandbox.maths.proof.derivation import Derivation

Side = tuple[Expr, str, Expr]
"""The values of both sides of a statement, with the sign between them."""


@dataclass(frozen=True)
class Outcome:
    """What `check` has found; a terminal prints it, a notebook shows it with a figure of the counterexample.

    Attributes:
        text:           the claim as it was given
        verdict:        "true" (wherever it is defined), "false", "undefined" (it is defined nowhere) or "undecided"
        by:             who decided: "Z3" or "SymPy"
        counterexample: vectors at which it fails, where it is false
        sides:          the exact values of both sides there, of the statement that fails
        others:         likewise of each statement of a claim that joins some, and whether it holds there
        notes:          how the claim was read, where that may surprise; where it is defined; or what was tried
    """

    text: str
    verdict: str
    by: str = ""
    counterexample: Pair | None = None
    sides: Side | None = None
    others: tuple[tuple[Side, bool], ...] = ()
    notes: tuple[str, ...] = ()
    claim: ParsedClaim | None = field(default=None, repr=False)

    @cached_property
    def derivation(self) -> Derivation | None:
        """The steps of a proof, where the claim is true and SymPy finds them quickly; found when first asked for."""
        if self.verdict != "true" or self.claim is None:
            return None
        try:
            with time_limit(SYMPY_SECONDS if self.by == "SymPy" else PROOF_SECONDS):
                return proof_of(self.text, self.claim.formulas)
        except (Undecidable, *SYMPY_FAILURES):
            return None

    @property
    def measures(self) -> dict[str, Expr | str]:
        """Every measure at the counterexample, exact, or the reason why it is undefined there; by key."""
        return self.measured[0] if self.counterexample else {}

    @cached_property
    def measured(self) -> tuple[dict[str, Expr | str], ...]:
        """The same for each x̂ of the counterexample, of which there may be two."""
        pairs = self.counterexample.pairs if self.counterexample else ()
        return tuple({key: pair.measured(measure) for key, measure in REGISTRY.items()} for pair in pairs)

    @property
    def _hats(self) -> tuple[str, ...]:
        """What the reconstructions of the counterexample are called."""
        return ("x̂",) if len(self.measured) == 1 else ("x̂₁", "x̂₂")

    @property
    def _where(self) -> str:
        return {"true": " wherever both sides are defined", "undefined": ": nowhere are all of its terms defined"}.get(
            self.verdict, ""
        )

    @property
    def _decided(self) -> list[str]:
        """Which way it was decided, in a sentence."""
        match self.verdict, self.by:
            case "true", "Z3":
                steps = "the steps are SymPy's" if self.derivation else "SymPy finds no short proof to show"
                return [f"Decided by Z3 (nonlinear real arithmetic); {steps}."]
            case "true", "SymPy":
                return ["Decided by the steps, which SymPy checked."]
            case "false", "Z3":
                return ["Found by Z3; SymPy has evaluated both sides exactly."]
            case "false", _:
                return ["Found among vectors of small numbers; SymPy has evaluated both sides exactly."]
            case "undefined", _:
                return ["Decided by Z3 (nonlinear real arithmetic)."]
        return []

    def figure(self, ax: Any = None) -> Any:
        """The counterexample in the plane of its two vectors, with the places where each measure is 1; an Axes."""
        from sandbox.moments.moments import Moments
        from sandbox.plots import plane
        from sandbox.report import Report

        pair = self.counterexample
        if pair is None:
            raise ValueError(f"{self.text!r} is {self.verdict}: there is no counterexample to draw")
        reports = []
        for one, name in zip(pair.pairs, self._hats, strict=True):
            vectors = (np.array([vector], dtype=np.float64) for vector in (one.x, one.x_hat))
            reports.append(Report(name, Moments.from_pairs(*vectors)))
        ax = plane(reports, ax)
        ax.set_title(f"{self.text}  is false" if len(self.text) < 50 else "A counterexample")
        return ax

    def to_dict(self) -> dict[str, Any]:
        """For JSON: exact values as text, and decimal ones beside them."""
        held: dict[str, Any] = {"claim": self.text, "verdict": self.verdict}
        held |= {"by": self.by} if self.by else {}
        if (pair := self.counterexample) is not None:
            hats = {"x_hat": pair.x_hat} if pair.second is None else {"x_hat_1": pair.x_hat, "x_hat_2": pair.second}
            held |= {name: [str(part) for part in vector] for name, vector in ({"x": pair.x} | hats).items()}
            held |= {"free": {str(symbol): _both(value) for symbol, value in pair.free}} if pair.free else {}
            held |= {"sides": _sides(self.sides)} if self.sides else {}
            held |= (
                {"statements": [_sides(side) | {"holds": holds} for side, holds in self.others]} if self.others else {}
            )
            ends = ("",) if pair.second is None else ("_1", "_2")
            for end, measured in zip(ends, self.measured, strict=True):
                held[f"measures{end}"] = {key: _both(value) for key, value in measured.items()}
        if self.derivation:
            held["steps"] = [{"reason": step.reason, "step": str(step)} for step in self.derivation.steps]
        notes = [*self._decided, *self.notes]
        return held | ({"notes": notes} if notes else {})

    def __str__(self) -> str:
        lines = [f"{self.text}   is {self.verdict.upper()}{self._where}"]
        if self.derivation:
            lines += ["", self.derivation.text]
        if self.counterexample:
            lines += ["", f"  Take {self.counterexample}: {self._said(_in_text)}.", ""]
            for name, measured in zip(self._hats, self.measured, strict=True):
                lines += [f"    {name}"] if len(self.measured) > 1 else []
                lines += [f"    {key:<30} {_number(value)}" for key, value in measured.items()]
        lines += [f"  - {sentence}" for sentence in (*self._decided, *self.notes)]
        return "\n".join(lines)

    def _said(self, shown: Callable[[Side], str]) -> str:
        """What the claim says at the counterexample."""
        if self.sides:
            return f"it would say {shown(self.sides)}"
        return "there " + ", ".join(f"{shown(side)} is {'true' if holds else 'false'}" for side, holds in self.others)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        parts = [f"`{self.text}` is **{self.verdict}**{self._where}."]
        if self.derivation:
            parts.append(self.derivation._repr_markdown_())
        if pair := self.counterexample:
            hats = (
                ((r"\hat x", pair.x_hat),)
                if pair.second is None
                else ((r"\hat x_1", pair.x_hat), (r"\hat x_2", pair.second))
            )
            named = [f"${name} = ({', '.join(map(latex, vector))})$" for name, vector in (("x", pair.x), *hats)]
            named += [f"${latex(symbol)} = {latex(value)}$" for symbol, value in pair.free]
            parts.append(f"Take {', '.join(named)}: {self._said(_in_latex)}.")
            rows = [
                f"| {' | '.join([key, f'${REGISTRY[key].symbol}$', *(_cell(one[key]) for one in self.measured)])} |"
                for key in REGISTRY
            ]
            head = "| measure | |" + " value |" * len(self.measured) + "\n|:---|:---|" + ":---|" * len(self.measured)
            parts.append(head + "\n" + "\n".join(rows))
        parts += ["\n".join(f"- {sentence}" for sentence in (*self._decided, *self.notes))]
        return "\n\n".join(part for part in parts if part)

    def _ipython_display_(self) -> None:
        from IPython import get_ipython
        from IPython.display import Markdown, display

        shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):  # IPython in a terminal
            print(self)
            return
        display(Markdown(self._repr_markdown_()))
        if self.counterexample:
            from sandbox.plots import figure

            with figure(5.4, 4.6) as (drawn, (ax,)):
                self.figure(ax)
                display(drawn)


def _sides(side: Side) -> dict[str, Any]:
    left, sign, right = side
    return {"left": _both(left), "sign": sign, "right": _both(right)}


def _number(value: Expr | str) -> str:
    """Exact, and as a decimal where that says more."""
    if isinstance(value, str):
        return f"undefined: {value}"
    return str(value) if value.is_Integer else f"{value} = {float(value):.6g}"


def _in_text(side: Side) -> str:
    left, sign, right = side
    shown = [str(value) if value.is_Rational else f"{value} (≈ {float(value):.4g})" for value in (left, right)]
    return f"{shown[0]} {sign} {shown[1]}"


def _in_latex(side: Side) -> str:
    left, sign, right = side
    shown = {"≠": r"\ne", "≥": r"\ge", "≤": r"\le"}.get(sign, sign)
    return f"${latex(left)} {shown} {latex(right)}$"


def _cell(value: Expr | str) -> str:
    if isinstance(value, str):
        return f"undefined: {value}"
    return f"${latex(value)}$" if value.is_Integer else f"${latex(value)} = {float(value):.4g}$"


def _both(value: Expr | str) -> dict[str, Any]:
    return {"undefined": value} if isinstance(value, str) else {"exact": str(value), "value": float(value)}
