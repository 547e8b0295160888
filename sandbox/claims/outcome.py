"""The outcome of `check`, as a terminal prints it, a notebook shows it, and JSON holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sympy import Expr, latex

from sandbox.claims.language import ParsedClaim, Statement
from sandbox.claims.limit import PROOF_SECONDS, SYMPY_FAILURES, SYMPY_SECONDS, Undecidable, time_limit
from sandbox.claims.proving import proof_of
from sandbox.claims.vectors import Pair, hat_name
from sandbox.maths.measures import REGISTRY
from sandbox.maths.proof.derivation import Derivation

Sides = tuple[Expr, str, Expr]
"""The values of both sides of a statement, and the sign between them."""


@dataclass(frozen=True)
class Outcome:
    """What `check` says about a claim.

    Attributes:
        text:           the claim as written
        verdict:        "true" (wherever it is defined), "false", "undefined" (defined nowhere) or "undecided"
        by:             what decided it: "Z3" or "SymPy"
        counterexample: vectors at which it fails, if it is false
        sides:          the exact values there of both sides, if the claim that fails is a single statement
        others:         the same for each statement of a joined claim, and whether it holds there
        notes:          how the claim was read, where that may surprise; where it is defined; or what was tried
    """

    text: str
    verdict: str
    by: str = ""
    counterexample: Pair | None = None
    sides: Sides | None = None
    others: tuple[tuple[Sides, bool], ...] = ()
    notes: tuple[str, ...] = ()
    claim: ParsedClaim | None = field(default=None, repr=False)

    @cached_property
    def derivation(self) -> Derivation | None:
        """The steps of a proof, searched for on first use; None if the claim is not true or no proof is found soon."""
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
        return next(iter(self.measured.values()), {})

    @cached_property
    def measured(self) -> dict[str, dict[str, Expr | str]]:
        """The measures of each x̂ of the counterexample, by suffix: "", or "_1" and "_2"."""
        if (pair := self.counterexample) is None:
            return {}
        return {
            suffix: {key: part.measured(measure) for key, measure in REGISTRY.items()}
            for suffix, part in zip(pair.hats, pair.pairs, strict=True)
        }

    @property
    def headline(self) -> str:
        """The verdict in words, without the claim: "is true wherever both sides are defined"."""
        return f"is {self.verdict}{self._where}"

    @property
    def failing(self) -> tuple[tuple[Sides, bool], ...]:
        """The values of both sides of each statement at the counterexample, and whether it holds there."""
        return ((self.sides, False),) if self.sides else self.others

    @property
    def _where(self) -> str:
        if self.verdict == "undefined":
            return ": nowhere are all of its terms defined"
        if self.verdict != "true":
            return ""
        joins = self.claim is not None and not all(isinstance(formula, Statement) for formula in self.claim.formulas)
        return f" wherever {'the claim is' if joins else 'both sides are'} defined"

    @property
    def sentences(self) -> list[str]:
        """How it was decided, and the notes."""
        match self.verdict, self.by:
            case "true", "Z3":
                steps = "SymPy checked the steps" if self.derivation else "SymPy found no short proof to show"
                decided = [f"Decided by Z3 (nonlinear real arithmetic); {steps}."]
            case "true", "SymPy":
                decided = ["Decided by the steps, which SymPy checked."]
            case "false", "Z3":
                decided = ["Found by Z3; SymPy evaluated both sides exactly."]
            case "false", _:
                decided = ["Found among simple vectors; SymPy evaluated both sides exactly."]
            case "undefined", _:
                decided = ["Decided by Z3 (nonlinear real arithmetic)."]
            case _:
                decided = []
        return [*decided, *self.notes]

    def figure(self, ax: Any = None) -> Any:
        """The counterexample in the plane of its two vectors, with the locus where each measure is 1; an Axes."""
        import numpy as np

        from sandbox.moments.moments import Moments
        from sandbox.plots import plane
        from sandbox.report import Report

        pair = self.counterexample
        if pair is None:
            raise ValueError(f"{self.text!r} is {self.verdict}: there is no counterexample to draw")
        x, *hats = (np.array([vector], dtype=np.float64) for vector in (pair.x, *pair.hats.values()))
        names = map(hat_name, pair.hats)
        ax = plane([Report(name, Moments.from_pairs(x, hat)) for name, hat in zip(names, hats, strict=True)], ax)
        ax.set_title(f"{self.text}  is false" if len(self.text) < 50 else "A counterexample")
        return ax

    def to_dict(self) -> dict[str, Any]:
        """The outcome for JSON, with each value as exact text and as a decimal."""
        entries: dict[str, Any] = {"claim": self.text, "verdict": self.verdict}
        if self.by:
            entries["by"] = self.by
        if (pair := self.counterexample) is not None:
            entries["x"] = [str(part) for part in pair.x]
            entries |= {f"x_hat{suffix}": [str(part) for part in hat] for suffix, hat in pair.hats.items()}
            if pair.free:
                entries["free"] = {str(symbol): _for_json(value) for symbol, value in pair.free}
            if self.sides:
                entries["sides"] = _sides_for_json(self.sides)
            if self.others:
                entries["statements"] = [_sides_for_json(sides) | {"holds": holds} for sides, holds in self.others]
            for suffix, measures in self.measured.items():
                entries[f"measures{suffix}"] = {key: _for_json(value) for key, value in measures.items()}
        if self.derivation:
            entries["steps"] = [{"reason": step.reason, "step": str(step)} for step in self.derivation.steps]
        return entries | ({"notes": self.sentences} if self.sentences else {})

    def __str__(self) -> str:
        lines = [f"{self.text}   is {self.verdict.upper()}{self._where}"]
        if self.derivation:
            lines += ["", self.derivation.text]
        if self.counterexample:
            lines += ["", f"  Take {self.counterexample}: {self._consequence(_in_text)}.", ""]
            for suffix, measures in self.measured.items():
                lines += [f"    {hat_name(suffix)}"] if suffix else []
                lines += [f"    {key:<30} {_number(value)}" for key, value in measures.items()]
        return "\n".join([*lines, *(f"  - {sentence}" for sentence in self.sentences)])

    __repr__ = __str__

    def _consequence(self, shown: Callable[[Sides], str]) -> str:
        """What the claim comes to at the counterexample."""
        if self.sides:
            return f"it would say {shown(self.sides)}"
        return "there " + ", ".join(f"{shown(sides)} is {'true' if holds else 'false'}" for sides, holds in self.others)

    def _repr_markdown_(self) -> str:
        parts = [f"`{self.text}` is **{self.verdict}**{self._where}."]
        if self.derivation:
            parts.append(self.derivation._repr_markdown_())
        if pair := self.counterexample:
            vectors = {"x": pair.x} | {rf"\hat x{suffix}": hat for suffix, hat in pair.hats.items()}
            shown = [f"${name} = ({', '.join(map(latex, vector))})$" for name, vector in vectors.items()]
            shown += [f"${latex(symbol)} = {latex(value)}$" for symbol, value in pair.free]
            parts.append(f"Take {', '.join(shown)}: {self._consequence(_in_latex)}.")
            columns = self.measured.values()
            rows = [
                f"| {' | '.join([key, f'${REGISTRY[key].symbol}$', *(_cell(measures[key]) for measures in columns)])} |"
                for key in REGISTRY
            ]
            head = "| measure | |" + " value |" * len(columns) + "\n|:---|:---|" + ":---|" * len(columns)
            parts.append("\n".join([head, *rows]))
        parts.append("\n".join(f"- {sentence}" for sentence in self.sentences))
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


def _for_json(value: Expr | str) -> dict[str, Any]:
    return {"undefined": value} if isinstance(value, str) else {"exact": str(value), "value": float(value)}


def _sides_for_json(sides: Sides) -> dict[str, Any]:
    left, sign, right = sides
    return {"left": _for_json(left), "sign": sign, "right": _for_json(right)}


def _number(value: Expr | str) -> str:
    """Exact, and as a decimal where it is not an integer."""
    if isinstance(value, str):
        return f"undefined: {value}"
    return str(value) if value.is_Integer else f"{value} = {float(value):.6g}"


def _in_text(sides: Sides) -> str:
    left, sign, right = sides
    shown = [str(value) if value.is_Rational else f"{value} (≈ {float(value):.4g})" for value in (left, right)]
    return f"{shown[0]} {sign} {shown[1]}"


def _in_latex(sides: Sides) -> str:
    left, sign, right = sides
    shown = {"≠": r"\ne", "≥": r"\ge", "≤": r"\le"}.get(sign, sign)
    return f"${latex(left)} {shown} {latex(right)}$"


def _cell(value: Expr | str) -> str:
    if isinstance(value, str):
        return f"undefined: {value}"
    return f"${latex(value)}$" if value.is_Integer else f"${latex(value)} = {float(value):.4g}$"
