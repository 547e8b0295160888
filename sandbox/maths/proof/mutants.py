"""Mutants of a derivation: with any sign, factor or exponent changed, it must fail to build.

Every node of every term of every step is changed in turn: negated, doubled, squared, and a whole number raised by 1;
and every relation is made stronger. A mutant that still builds must be *equivalent*: the changed term has identically
the same value (a sign inside a square, the square of 1), or the step says u ► 0 or u ► ∞, and the mutant says it of a
positive power of u times a positive constant. This is shown for each mutant, not assumed. A step's conditions are not
changed: another hypothesis makes another theorem, which may well be true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sympy import Basic, Derivative, Expr, Integer, Limit, Order, S, Subs, Symbol, Tuple, diff, log, simplify
from sympy.matrices.expressions.matexpr import MatrixExpr, MatrixSymbol

from sandbox.maths.proof.deciding import STUMBLES
from sandbox.maths.proof.derivation import Derivation
from sandbox.maths.proof.meaning import Undefined
from sandbox.maths.proof.step import Step, StepError
from sandbox.maths.proof.vocabulary import NotUnderstood
from sandbox.maths.symbols import Expect

STRONGER = {"=": ">", ">": "=", "≥": ">"}


class Mutants(NamedTuple):
    """What became of the mutants of a derivation; `surviving` describes those neither refused nor equivalent."""

    refused: int
    equivalent: int
    surviving: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share refused among those that are not equivalent."""
        return self.refused / (self.refused + len(self.surviving))

    def __str__(self) -> str:
        count = self.refused + self.equivalent + len(self.surviving)
        words = f"{count} mutants: {self.refused} refused, {self.equivalent} shown to be equivalent"
        return "\n".join([f"{words}, {len(self.surviving)} surviving", *self.surviving])


def mutate(derivation: Derivation) -> Mutants:
    """Build every mutant of a derivation."""
    refused, equivalent, surviving = 0, 0, []
    for k, step in enumerate(derivation.steps):
        for words, rebuild, is_same in _of_step(derivation, k):
            if _is_refused(rebuild):
                refused += 1
            elif is_same():
                equivalent += 1
            else:
                surviving.append(f"{derivation.number} step {k + 1}, {step.reason} {words}")
    return Mutants(refused, equivalent, tuple(surviving))


def _of_step(derivation: Derivation, k: int) -> Iterator[tuple[str, Callable, Callable[[], bool]]]:
    """Each mutant of a step: its description, how to build it, and whether it is equivalent."""
    step = derivation.steps[k]
    for i, term in enumerate(step.terms):
        if step.definition and i == 0:
            continue  # a name
        for mutant in set(changed(term)) - {term}:
            terms = (*step.terms[:i], mutant, *step.terms[i + 1 :])
            rebuild = (
                _with_definition(derivation, k, mutant) if step.definition else _with_chain(step, terms, step.signs)
            )
            yield f"{term} ► {mutant}", rebuild, lambda i=i, mutant=mutant: _is_equivalent(step, i, mutant)
    for i, sign in enumerate(step.signs):
        if sign in STRONGER:
            signs = (*step.signs[:i], STRONGER[sign], *step.signs[i + 1 :])
            yield f"{sign} ► {STRONGER[sign]}", _with_chain(step, step.terms, signs), lambda: False


def changed(term: Basic) -> Iterator[Basic]:
    """The term with one node changed, for every node that is not a bound variable."""
    if isinstance(term, Expr | MatrixExpr):
        yield from (-term, 2 * term)
    if isinstance(term, Expr) and not term.is_Matrix:
        yield term**2
    if isinstance(term, Integer) and term:
        yield term + 1
    if isinstance(term, MatrixSymbol):
        return
    if isinstance(term, Expect) and term.args[0] == term.args[1]:  # both factors of a square change together
        yield from (Expect(part) for part in changed(term.args[0]))
        return
    free = {Derivative: (0,), Subs: (0, 2), Limit: (0, 2), Order: (0,)}.get(type(term), range(len(term.args)))
    if isinstance(term, Tuple) and term and isinstance(term[0], Symbol):  # a variable, and its bounds
        free = range(1, len(term))
    for i in free:
        for part in changed(term.args[i]):
            yield term.func(*term.args[:i], part, *term.args[i + 1 :])


def _with_chain(step: Step, terms: tuple, signs: tuple) -> Callable[[], None]:
    chain = [part for pair in zip(terms, (*signs, None), strict=True) for part in pair][:-1]
    return lambda: Step(step.reason, *chain, where=step.where, names=step.names)


def _with_definition(derivation: Derivation, k: int, mutant: Expr) -> Callable[[], None]:
    """Builds definition k with `mutant` as its value, and the steps after it."""

    def build() -> None:
        names = dict(derivation.steps[k].names)
        for step in derivation.steps[k:]:
            terms = (step.terms[0], mutant) if step is derivation.steps[k] else step.terms
            chain = [part for pair in zip(terms, (*step.signs, None), strict=True) for part in pair][:-1]
            rebuilt = Step(step.reason, *chain, where=step.where, names=names)
            names |= [rebuilt.definition] if rebuilt.definition else []

    return build


def _is_refused(build: Callable[[], None]) -> bool:
    try:
        build()
    except (StepError, TypeError):
        return True
    return False


def _is_equivalent(step: Step, i: int, mutant: Expr) -> bool:
    """Whether the step says the same with `mutant` as its term i."""
    old = step.terms[i]
    others = {term for k, term in enumerate(step.terms) if k != i}
    try:
        if isinstance(old, Limit) and others <= {S.Zero, S.Infinity}:
            return _have_same_limit(step, old, mutant)
        return simplify(step.means(old) - step.means(mutant)) == 0
    except (NotUnderstood, Undefined, *STUMBLES):
        return False


def _have_same_limit(step: Step, old: Limit, new: Expr) -> bool:
    """Whether two limits of 0 or ∞ say the same: one function is a positive power of the other, times a constant."""
    if any(limit.args[1:] != old.args[1:] for limit in new.atoms(Limit)):
        return False
    near = Symbol("near", positive=True)
    other = new.replace(Limit, lambda inner, *_: inner)
    function, other = (step.reader().approached(body, old, near) for body in (old.args[0], other))
    power = simplify(diff(log(other), near) / diff(log(function), near))
    factor = simplify(other / function**power)
    return bool(power.is_positive and (factor.is_positive or (step.means(old) == 0 and factor.is_nonzero)))
