"""Change one sign, factor or exponent anywhere in a derivation, and it must refuse to build.

Every node of every term of every step is changed in turn. A mutant that still builds has to be *equivalent*: the
changed term is the same number (a sign inside a square), or a statement "u = 0" or "u → ∞" is made of a multiple or
a power of u. That is shown for each, by SymPy, not assumed.
"""

from collections.abc import Iterator

import pytest
from sympy import Derivative, Expr, Integer, Limit, Order, S, Subs, Symbol, Tuple, diff, log, simplify
from sympy.matrices.expressions.matexpr import MatrixExpr, MatrixSymbol

from sandbox.derivations import Derivation, Step, StepError, claims, prove
from sandbox.derivations.conditions import Conditions
from sandbox.derivations.step import written_out
from sandbox.derivations.symbols import GIVEN, Expect

NUMBERS = [one.number for one in claims()]
STRONGER = {"=": ">", ">": "=", "≥": ">"}


def changed(node) -> list:
    """One node with its sign, its factor or its exponent changed."""
    if isinstance(node, MatrixExpr):
        return [-node, 2 * node]
    mutants = [-node, 2 * node, node**2]
    return [*mutants, node + 1] if isinstance(node, Integer) and node else mutants


def mutants(term) -> Iterator:
    """The term with one node changed, for every node that is not a bound variable."""
    if isinstance(term, Expr | MatrixExpr):
        yield from (mutant for mutant in changed(term) if mutant != term)
    bound = {Derivative: (0,), Subs: (0, 2), Limit: (0, 2), Order: (0,)}.get(type(term), range(len(term.args)))
    if isinstance(term, Tuple) and term and isinstance(term[0], Symbol):  # a variable, and its bounds
        bound = range(1, len(term))
    if isinstance(term, Expect) and term.args[0] == term.args[1]:  # a square is written once
        yield from (Expect(part) for part in mutants(term.args[0]))
        return
    for i in bound:
        if isinstance(term, MatrixSymbol):  # its name and its shape
            continue
        for part in mutants(term.args[i]):
            args = list(term.args)
            args[i] = part
            yield term.func(*args)


def rebuilt(step: Step, terms=None, signs=None, names=None) -> Step:
    terms, signs = terms or step.terms, signs or step.signs
    chain = [part for pair in zip(terms, (*signs, None), strict=True) for part in pair][:-1]
    return Step(step.reason, *chain, where=step.where, names=step.names if names is None else names)


def refuses(build) -> bool:
    try:
        build()
    except (StepError, TypeError):
        return True
    return False


def values(step: Step, *terms: Expr) -> list[Expr]:
    """What terms stand for under the step's conditions."""
    assumed = tuple(condition for condition in GIVEN if condition.lhs not in step.names)
    conditions = Conditions([written_out(condition, step.names) for condition in assumed + step.where])
    return [conditions.apply(written_out(term, step.names)) for term in terms]


def is_equivalent(step: Step, i: int, mutant: Expr) -> bool:
    """Whether putting `mutant` in the place of term i leaves the step's statement what it was."""
    old, new = values(step, step.terms[i], mutant)
    others = {term for k, term in enumerate(step.terms) if k != i}
    if isinstance(old, Limit) and others <= {S.Zero, S.Infinity}:
        return grow_alike(old, new)
    return simplify(old.doit() - new.doit()) == 0


def grow_alike(old: Limit, new: Expr) -> bool:
    """Whether a limit of 0 or ∞ says the same of both: one is a power of the other, times a positive constant."""
    function, u, *_ = old.args
    if any((limit.args[1:]) != old.args[1:] for limit in new.atoms(Limit)):
        return False
    other = new.replace(Limit, lambda inner, *_: inner)
    power = simplify(diff(log(other), u) / diff(log(function), u))
    factor = simplify(other / function**power)
    return bool(power.is_positive and (factor.is_positive or (old.doit() == 0 and factor.is_nonzero)))


def survivors(derivation: Derivation) -> tuple[int, list[str]]:
    """How many mutants there are, and those that are neither refused nor equivalent."""
    count, left = 0, []
    for k, step in enumerate(derivation.steps):
        for i, term in enumerate(step.terms):
            if step.definition and i == 0:
                continue
            for mutant in set(mutants(term)) - {term}:
                count += 1
                if step.definition:
                    caught = refuses(lambda m=mutant, k=k: rebuilt_from(derivation, k, m))
                else:
                    terms = [*step.terms[:i], mutant, *step.terms[i + 1 :]]
                    caught = refuses(lambda t=terms, step=step: rebuilt(step, t))
                if not caught and not is_equivalent(step, i, mutant):
                    left.append(f"{derivation.number} step {k + 1} term {i + 1}: {term} ► {mutant}")
        for i, sign in enumerate(step.signs):
            if sign in STRONGER:
                count += 1
                signs = [*step.signs[:i], STRONGER[sign], *step.signs[i + 1 :]]
                if not refuses(lambda s=signs, step=step: rebuilt(step, signs=s)):
                    left.append(f"{derivation.number} step {k + 1}: {sign} ► {STRONGER[sign]}")
    return count, left


def rebuilt_from(derivation: Derivation, k: int, mutant: Expr) -> None:
    """The steps after definition k, with `mutant` for what it defines."""
    names = {}
    for j, step in enumerate(derivation.steps):
        step_now = (
            rebuilt(step, (step.terms[0], mutant), names=names)
            if j == k
            else rebuilt(step, names=names)
            if j > k
            else step
        )
        if step_now.definition:
            names |= [step_now.definition]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_mutant_is_refused_or_equivalent(number):
    count, left = survivors(prove(number))
    assert count > 20
    assert not left, f"{len(left)} of {count} mutants survive:\n" + "\n".join(left)
