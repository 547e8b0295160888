"""`Derivation`: a claim with its checked steps. `Proof`: what an author writes them into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sympy import Derivative, Expr, Lambda, Rel, Subs, Symbol, cancel, diff, factor, solve

from sandbox.maths.proof.sentence import mismatch
from sandbox.maths.proof.step import LOCK, MalformedStep, Step, StepError, conditions, written_out
from sandbox.maths.proof.typeset import derivation_markdown, derivation_text
from sandbox.maths.proof.vocabulary import NotUnderstood, vet


@dataclass(frozen=True, repr=False)
class Derivation:
    """A claim and its proof. `print` it in a terminal; a notebook typesets it.

    Attributes:
        number, name: "C1", "scale-x"
        claim:        what is proven, in one sentence
        where:        conditions of every step, in addition to a > 0 and b > 0
        steps:        the checked steps
        results:      the expressions that it derives, by name: the key of a measure, or what the claim calls it.
                      Each *is* a term of a step, so it has been checked, too
        statements:   what the claim says in symbols: chains of terms and relations, each shown by a step
    Raises: StepError for a result that is not a term of any step, or a claim that says in symbols what no step shows
    """

    number: str
    name: str
    claim: str
    where: tuple[Rel, ...]
    steps: tuple[Step, ...]
    results: Mapping[str, Expr] = field(default_factory=dict)
    statements: tuple[tuple, ...] = ()

    def __post_init__(self):
        self._check_words()
        derived = {term for step in self.steps if ":=" not in step.signs for term in step.terms}
        for key, result in self.results.items():
            if result not in derived:
                raise StepError(f"{self.number}: its result {key}, {result}, is not a term of any of its steps")
        names: dict[Any, Expr | Lambda] = {}
        for i, step in enumerate(self.steps):
            if step.names != names:
                raise StepError(f"{self.number}: the step {step.reason!r} needs exactly the names defined before it")
            _refuse_used(step, self.where, self.steps[:i])
            names |= [step.definition] if step.definition else []
        if self.number and (trouble := mismatch(self.claim, self.statements, self.steps, self.where)):
            raise StepError(f"{self.number}: its claim is not what its steps show: {trouble}")

    def _check_words(self) -> None:
        """Check that what prints alike is one symbol in all steps, and that the conditions can hold."""
        try:
            vet(part for step in self.steps for part in (*step.terms, *step.where, *self.where))
        except NotUnderstood as trouble:
            raise StepError(f"{self.number}: {trouble}") from None
        with LOCK:
            conditions(self.where, ())

    @property
    def text(self) -> str:
        """The whole derivation as Unicode text for a terminal."""
        return derivation_text(self)

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return derivation_markdown(self)


class Proof:
    """A proof being written: every step is checked when it is added, and names carry over to later steps.

    >>> u, w = (Symbol(name, real=True) for name in "uw")
    >>> proof = Proof(where=(u > 0,))
    >>> proof.let("A name.", w, u + 1)
    >>> proof.step("It is above 1.", w - 1, "=", u, ">", 0)
    >>> len(proof.steps)
    2
    """

    def __init__(self, where: tuple[Rel, ...] = ()):
        self.steps: list[Step] = []
        self.names: dict[Any, Expr | Lambda] = {}
        self.results: dict[str, Expr] = {}
        self.statements: list[tuple] = []
        self.where = where

    def copy(self) -> Proof:
        """A proof as far as this one; it may go on another way."""
        other = Proof(self.where)
        other.steps, other.names, other.results = list(self.steps), dict(self.names), dict(self.results)
        other.statements = list(self.statements)
        return other

    def follow(self, other: Proof) -> None:
        """Go on as a copy of this proof has gone on."""
        self.steps, self.names = list(other.steps), dict(other.names)

    def let(self, reason: str, name: Expr, value: Expr) -> None:
        """Define a name: a symbol, or a function of symbols."""
        step = Step(reason, name, ":=", value, names=self.names)
        _refuse_used(step, self.where, self.steps)
        assert step.definition
        self.steps.append(step)
        self.names |= [step.definition]

    def step(self, reason: str, *chain: Any, where: tuple[Rel, ...] = (), hint: str | None = None) -> None:
        """Add a chain of relations (see `Step`) under the proof's conditions and its own."""
        self.steps.append(Step(reason, *chain, where=self.where + where, names=self.names, hint=hint))

    def result(self, **terms: Expr) -> None:
        """Name terms of the steps as results of the derivation."""
        self.results |= terms

    def says(self, *chain: Any) -> None:
        """Declare what the claim's sentence says in symbols: terms and relations that a step shows."""
        self.statements.append(chain)

    def value(self, term: Expr) -> Expr:
        """What the term stands for, in a, b, c and free symbols, not simplified."""
        return written_out(term, self.names)

    def minimum(self, loss: Expr, scale: Symbol, where: tuple[Rel, ...] = (), hints: Sequence[str] = ()) -> Expr:
        """Find the scale at which a loss is least, and add the steps that show it.

        Args: loss:  a named function of the scale
              hints: for the step about its slope, and for the step about the excess over the minimum
        """
        value = self.value(loss)
        slope = factor(diff(value, scale))
        (best,) = solve(slope, scale)
        slope = (scale - best) * cancel(slope / (scale - best))
        excess = factor(value - value.subs(scale, best))
        second, curvature = Derivative(loss, (scale, 2)), factor(diff(value, (scale, 2)))
        if curvature.has(scale):
            second, curvature = Subs(second, scale, best), factor(curvature.subs(scale, best))
        hint = dict(enumerate(hints))
        self.step(
            "The slope of the loss: it vanishes at one scale.",
            Derivative(loss, scale),
            "=",
            slope,
            where=where,
            hint=hint.get(0),
        )
        self.step("The second derivative is positive there: a minimum.", second, "=", curvature, ">", 0, where=where)
        self.step(
            "No other scale does better: what it loses more is a square.",
            loss - loss.subs(scale, best),
            "=",
            (scale - best) ** 2 * cancel(excess / (scale - best) ** 2),
            "≥",
            0,
            where=where,
            hint=hint.get(1),
        )
        return best


def _refuse_used(step: Step, where: Sequence[Rel], before: Sequence[Step]) -> None:
    """Raise MalformedStep if a step defines a name that the conditions or the steps before it use."""
    if step.definition is None:
        return
    word = step.definition[0]
    for term in (*where, *(part for earlier in before for part in (*earlier.terms, *earlier.where))):
        if term.has(word):
            raise MalformedStep(f"the step {step.reason!r} defines {word}, which has been used before it")
