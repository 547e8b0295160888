"""`check`: is a claim of the reader's own true? A proof, two vectors against it, or what has been tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Expr, latex

from sandbox.checking.decide import decide
from sandbox.checking.language import Statement, read_claim
from sandbox.checking.limit import SECONDS, STUMBLES, Undecidable, time_limit
from sandbox.checking.vectors import Pair, refuting_pair
from sandbox.derivations.derivation import Derivation, Proof
from sandbox.measures import REGISTRY


@dataclass(frozen=True)
class Verdict:
    """What `check` has found; a terminal prints it, a notebook shows it with a figure of the counterexample.

    Attributes:
        text:           the claim as it was given
        verdict:        "true" (wherever both sides are defined), "false" or "undecided"
        derivation:     the proof, where the claim is true
        counterexample: two vectors at which it fails, where it is false
        sides:          the exact values of both sides there
        notes:          how the proof goes on where a step is no equation; or what was tried
    """

    text: str
    verdict: str
    derivation: Derivation | None = None
    counterexample: Pair | None = None
    sides: tuple[Expr, str, Expr] | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def measures(self) -> dict[str, Expr | str]:
        """Every measure at the counterexample, exact, or the reason why it is undefined there; by key."""
        pair = self.counterexample
        return {key: pair.measured(measure) for key, measure in REGISTRY.items()} if pair else {}

    @property
    def _where(self) -> str:
        return " wherever both sides are defined" if self.verdict == "true" else ""

    def figure(self, ax: Any = None) -> Any:
        """The counterexample in the plane of its two vectors, with the places where each measure is 1; an Axes."""
        from sandbox.moments import Moments
        from sandbox.plots import plane
        from sandbox.report import Report

        pair = self.counterexample
        if pair is None:
            raise ValueError(f"{self.text!r} is {self.verdict}: there is no counterexample to draw")
        moments = Moments.from_pairs(*(np.array([vector], dtype=np.float64) for vector in (pair.x, pair.x_hat)))
        ax = plane([Report("x̂", moments)], ax)
        ax.set_title(f"{self.text}  is false" if len(self.text) < 50 else "A counterexample")
        return ax

    def to_dict(self) -> dict[str, Any]:
        """For JSON: exact values as text, and decimal ones beside them."""
        held: dict[str, Any] = {"claim": self.text, "verdict": self.verdict}
        if self.counterexample and self.sides:
            pair, (left, sign, right) = self.counterexample, self.sides
            held |= {
                "x": [str(part) for part in pair.x],
                "x_hat": [str(part) for part in pair.x_hat],
                "sides": {"left": _both(left), "sign": sign, "right": _both(right)},
                "measures": {key: _both(value) for key, value in self.measures.items()},
            }
        if self.derivation:
            held["steps"] = [{"reason": step.reason, "step": str(step)} for step in self.derivation.steps]
        return held | ({"notes": list(self.notes)} if self.notes else {})

    def __str__(self) -> str:
        lines = [f"{self.text}   is {self.verdict.upper()}{self._where}"]
        if self.derivation:
            lines += ["", self.derivation.text]
        if self.counterexample and self.sides:
            left, sign, right = self.sides
            lines += ["", f"  Take {self.counterexample}: it would say {_side(left)} {sign} {_side(right)}.", ""]
            lines += [f"    {key:<30} {_number(value)}" for key, value in self.measures.items()]
        lines += [f"  - {sentence}" for sentence in self.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        parts = [f"`{self.text}` is **{self.verdict}**{self._where}."]
        if self.derivation:
            parts.append(self.derivation._repr_markdown_())
        if self.counterexample and self.sides:
            left, sign, right = self.sides
            shown = {"≠": r"\ne", "≥": r"\ge", "≤": r"\le"}.get(sign, sign)
            x, x_hat = (", ".join(map(latex, vector)) for vector in (self.counterexample.x, self.counterexample.x_hat))
            parts.append(
                rf"Take $x = ({x})$, $\hat x = ({x_hat})$: it would say ${latex(left)} {shown} {latex(right)}$."
            )
            rows = [f"| {key} | ${REGISTRY[key].symbol}$ | {_cell(value)} |" for key, value in self.measures.items()]
            parts.append("| measure | | value |\n|:---|:---|:---|\n" + "\n".join(rows))
        parts += ["\n".join(f"- {sentence}" for sentence in self.notes)]
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


def check(claim: str) -> Verdict:
    """Decide a claim about x and x̂: proven, refuted by two explicit vectors, or undecided.

    A claim compares two formulas in the measures' names (`sandbox.REGISTRY`), a, b, c, r, rho, theta and L, with
    ==, !=, <, <=, > or >=; it is *true* if it holds for all vectors at which both sides are defined.

    Args:    claim: such as "c/a * c/b == 1"
    Returns: a Verdict; print it, or let a notebook show it
    Raises:  InputError (a ValueError), one line, for a text that is no such claim. The text is never executed.

    >>> check("scale_x * scale_x_hat == cosine**2").verdict
    'true'
    >>> check("c/a * c/b == 1").counterexample
    Pair(x=(1, 0), x_hat=(1, 1))
    """
    statements = read_claim(claim)
    try:
        with time_limit(SECONDS):
            return _decided(claim, statements)
    except Undecidable as trouble:
        return Verdict(claim, "undecided", notes=(str(trouble),))
    except STUMBLES as stumble:
        return Verdict(claim, "undecided", notes=(f"SymPy cannot work with it ({type(stumble).__name__}: {stumble})",))


def _decided(claim: str, statements: Sequence[Statement]) -> Verdict:
    proof, notes, open_ends = Proof(), [], []
    for statement in statements:
        if found := refuting_pair(statement):
            return _false(claim, statement, *found)
        try:
            refuted, note = decide(statement, proof)
        except Undecidable as trouble:
            open_ends.append(str(trouble))
            continue
        if refuted:
            return _false(claim, statement, *refuted)
        notes += [note] if note else []
    if open_ends:
        return Verdict(claim, "undecided", notes=(SEARCHED, *open_ends))
    derivation = Derivation("", "own", claim, (), tuple(proof.steps)) if proof.steps else None
    return Verdict(claim, "true", derivation, notes=tuple(notes))


SEARCHED = "no pair of vectors among some hundred small ones refutes it"


def _false(claim: str, statement: Statement, pair: Pair, left: Expr, right: Expr) -> Verdict:
    return Verdict(claim, "false", counterexample=pair, sides=statement.as_written(left, right))


def _number(value: Expr | str) -> str:
    """Exact, and as a decimal where that says more."""
    if isinstance(value, str):
        return f"undefined: {value}"
    return str(value) if value.is_Integer else f"{value} = {float(value):.6g}"


def _side(value: Expr) -> str:
    return str(value) if value.is_Rational else f"{value} (≈ {float(value):.4g})"


def _cell(value: Expr | str) -> str:
    if isinstance(value, str):
        return f"undefined: {value}"
    return f"${latex(value)}$" if value.is_Integer else f"${latex(value)} = {float(value):.4g}$"


def _both(value: Expr | str) -> dict[str, Any]:
    return {"undefined": value} if isinstance(value, str) else {"exact": str(value), "value": float(value)}
