"""A derivation in numbers: what each of its steps says at one point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Eq, Expr, Float, Limit, Rel, Symbol, solve

from sandbox.maths import letters
from sandbox.maths.derivations.bias import gamma
from sandbox.maths.derivations.register import prove
from sandbox.maths.proof.derivation import Derivation
from sandbox.maths.proof.step import STUMBLES, Step, written_out
from sandbox.maths.proof.typeset import chain_markdown, step_text
from sandbox.maths.symbols import DEFINITIONS, GIVEN, a, b, c

SIGNS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤"}
"""SymPy's relations as steps write them."""

NEAR = 1e-12
"""Below this a number is the rounding of 0."""


@dataclass(frozen=True, repr=False)
class InNumbers:
    """A derivation with its steps evaluated at one point. `print` it in a terminal; a notebook typesets it.

    Attributes:
        derivation: the claim and its proof
        point:      the number that each symbol stands for: a, b, c, the angle …

    >>> from sandbox.maths.derivations import prove
    >>> [chain for _, chain in InNumbers.at(prove("C3"), (4.0, 1.0, 1.0)).numbers][:2]
    ['0.5 = 0.5 = 0.5', '0.25 = 0.25']
    """

    derivation: Derivation
    point: Mapping[Any, Float]

    @classmethod
    def at(
        cls, derivation: Derivation, moments: tuple[float, ...], known: Mapping[Any, float] | None = None
    ) -> InNumbers:
        """A derivation at moments a, b, c and their γ, with the numbers of any other known symbols."""
        point = dict(zip((a, b, c), map(Float, moments), strict=True))
        if point[b] > 0 and point[c] > 0:
            point[gamma] = prove("C6").results["relative_reconstruction_bias"].subs(point)
        point |= {symbol: Float(number) for symbol, number in (known or {}).items()}
        return cls(derivation, point | _parameters(derivation, point))

    @property
    def numbers(self) -> list[tuple[Step, str]]:
        """Each step in which every symbol has a number, with its chain of relations in numbers."""
        return [(step, chain) for step in self.derivation.steps if (chain := self._chain(step))]

    def _chain(self, step: Step) -> str:
        conditions = GIVEN + self.derivation.where + step.where
        if ":=" in step.signs or not all(self._holds(condition, step) for condition in conditions):
            return ""
        if any(term.has(Limit) for term in step.terms):  # a limit is about other points
            return ""
        values = [self._value(term, step) for term in step.terms]
        if not any(term.free_symbols for term in step.terms) or not all(map(_related, values, step.signs, values[1:])):
            return ""
        text = _text(values[0])
        for sign, value in zip(step.signs, values[1:], strict=True):
            text += f" {sign} {_text(value)}"
        return text

    def _value(self, term: Expr, step: Step) -> float | None:
        """The term's number here; None if another symbol is in it, or it is undefined."""
        try:
            number = written_out(term, step.names).subs(DEFINITIONS).subs(self.point).doit().evalf()
        except STUMBLES:
            return None
        return float(number) if number.is_number and number.is_real and number.is_finite else None

    def _holds(self, condition: Rel, step: Step) -> bool:
        """Whether a condition holds here, up to rounding; also true if none of its symbols has a number."""
        if not written_out(condition, step.names).free_symbols & set(self.point):
            return True
        left, right = (self._value(side, step) for side in (condition.lhs, condition.rhs))
        return _related(left, SIGNS.get(condition.rel_op, condition.rel_op), right)

    @property
    def _where(self) -> str:
        return ", ".join(f"{letters.shown(str(symbol))} = {float(number):.4g}" for symbol, number in self.point.items())

    def __str__(self) -> str:
        parts = [self.derivation.text] + ([f"  Here, with {self._where}:"] if self.numbers else [])
        for step, chain in self.numbers:
            shown = "\n".join(f"        {line}" for line in step_text(step, self.derivation.where).splitlines())
            parts.append(f"{shown}\n\n        {chain}")
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        rows = "\n".join(f"| {chain_markdown(step)} | {chain} |" for step, chain in self.numbers)
        if not rows:  # every step contains a symbol without a number
            return self.derivation._repr_markdown_()
        here = f"**Here**, with {self._where}:\n\n| step | in numbers |\n|:---|:---|\n{rows}\n"
        return f"{self.derivation._repr_markdown_()}\n\n{here}"


def _text(value: float | None) -> str:
    return "0" if value is None or abs(value) < NEAR else f"{value:.4g}".replace("-", "−")


def _related(left: float | None, sign: str, right: float | None) -> bool:
    """Whether two numbers are in that relation, up to rounding."""
    if left is None or right is None:
        return False
    near = math.isclose(left, right, rel_tol=1e-9, abs_tol=NEAR)
    if near:
        return sign in "=≥≤"
    return {"=": False, "≠": True}.get(sign, left > right if sign in ">≥" else left < right)


def _parameters(derivation: Derivation, point: Mapping[Any, Float]) -> dict[Any, Float]:
    """Numbers of the symbols that a condition ties to known ones: t of "θ = 2·atan(t)".

    A symbol gets a number only where exactly one real number solves its condition.
    """
    numbers: dict[Any, Float] = {}
    conditions = [condition for step in derivation.steps for condition in step.where if isinstance(condition, Eq)]
    for name, meaning in {condition.lhs: condition.rhs for condition in conditions}.items():
        known = {**point, **numbers}
        unknown = meaning.free_symbols - set(known)
        if name in known and isinstance(meaning, Expr) and len(unknown) == 1:
            (symbol,) = unknown
            solutions = _real_solutions(meaning.subs(known) - known[name], symbol)
            numbers |= {symbol: solutions[0]} if len(solutions) == 1 else {}
    return numbers


def _real_solutions(gap: Expr, symbol: Symbol) -> list[Float]:
    """The real numbers at which the expression is 0, as far as SymPy finds them."""
    try:
        solutions = [solution.evalf() for solution in solve(gap, symbol, rational=False)]  # exact ones take minutes
    except STUMBLES:
        return []
    return [Float(solution) for solution in solutions if solution.is_number and solution.is_real]
