"""Deciding a statement that no small vectors refute: steps that SymPy checks, and cells where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sympy import (
    Add,
    Eq,
    Expr,
    Gt,
    Mul,
    Ne,
    Poly,
    PolynomialError,
    Rational,
    Symbol,
    factor,
    fraction,
    nan,
    simplify,
    sqrt,
    together,
    true,
    zoo,
)

from sandbox.checking.everywhere import POLAR, Refutation, everywhere, k, r, t
from sandbox.checking.language import Statement
from sandbox.checking.limit import Undecidable
from sandbox.derivations.derivation import Proof
from sandbox.derivations.step import StepError
from sandbox.derivations.symbols import GIVEN, Expect, a, b, c, x, x_hat
from sandbox.measures import REGISTRY


def decide(statement: Statement, proof: Proof) -> tuple[Refutation | None, str | None]:
    """Add the steps that prove a statement to a proof, or find vectors that refute it.

    Returns: the refutation, or None; and a sentence, where the proof looks at cells
    Raises:  Undecidable, with what was tried
    """
    where = tuple(Gt(need, 0) for need, _ in statement.needs if Gt(need, 0) not in GIVEN)
    for strategy in STRATEGIES[statement.sign]:
        attempt = Proof()
        attempt.steps, attempt.names = list(proof.steps), dict(proof.names)
        _name_measures(attempt, statement)
        try:
            strategy(attempt, statement, where)
        except (StepError, TypeError, PolynomialError, ZeroDivisionError):  # it cannot be shown like this
            continue
        _check_edges(statement)
        proof.steps, proof.names = attempt.steps, attempt.names
        return None, None
    refutation, sentence = everywhere(statement)
    if refutation is None:
        _name_measures(proof, statement)
    return refutation, sentence


def _check_edges(statement: Statement) -> None:
    """Look where a vector is 0: a strict statement has to hold there, too, and continuity does not carry it over."""
    if statement.sign in ("=", "≥"):
        return
    gap = statement.in_moments(Add(statement.left, -statement.right))
    needed = {need for need, _ in statement.needs}
    other = Symbol("other", nonnegative=True)
    for zero, rest in ((a, b), (b, a)):
        edge = gap.subs({zero: 0, c: 0, rest: other}, simultaneous=True)
        known = edge.is_positive if statement.sign == ">" else edge.is_nonzero
        if zero not in needed and c not in needed and not edge.has(zoo, nan) and not known:
            raise Undecidable("it holds where neither vector is 0; whether it does where one is 0 is open")


def _name_measures(proof: Proof, statement: Statement) -> None:
    for name, formula in statement.names.items():
        if name not in proof.names:
            proof.let(_source(name), name, formula)


def _source(name: Symbol) -> str:
    if name.name not in REGISTRY:
        return "The angle, by its cosine."
    measure = REGISTRY[name.name]
    return f"{measure.question[0].upper()}{measure.question[1:]} ({measure.source.split(';')[0]})"


def _same(proof: Proof, statement: Statement, where: tuple) -> None:
    left, right = statement.left, statement.right
    common = simplify(proof.value(left))
    chain = [term for i, term in enumerate((left, common, right)) if i != 1 or term not in (left, right)]
    if left == right:
        chain = [left, right]
    proof.step("Both sides are the same.", *_linked(chain, "="), where=where)


def _gap(proof: Proof, statement: Statement, where: tuple) -> None:
    gap = statement.left - statement.right
    proof.step("Their difference.", gap, "=", _tidy(proof.value(gap)), statement.sign, 0, where=where)


def _square(proof: Proof, statement: Statement, where: tuple) -> None:
    gap = statement.left - statement.right
    value = Poly(proof.value(gap).expand(), a, b, c)
    size, tilt = value.coeff_monomial(a), value.coeff_monomial(c)
    proof.step(
        "Their difference is an expected square.", gap / size, "=", Expect(x + tilt / (2 * size) * x_hat), "≥", 0
    )


def _gap_by_cauchy_schwarz(proof: Proof, statement: Statement, where: tuple) -> None:
    gap = statement.left - statement.right
    form, left_over = _tidy(proof.value(gap)), a * b - c**2
    reason = "Their difference, where x̂ is no multiple of x: then c² < a·b (Cauchy–Schwarz, C3)."
    proof.step(reason, gap, "=", form, statement.sign, 0, where=(*where, Gt(left_over, 0)))
    parallel = (*(where if Gt(c, 0) in where else (Ne(c, 0),)), Eq(left_over, 0))
    proof.step("And where it is one: then c² = a·b.", gap, statement.sign, 0, where=parallel)


def _squares(proof: Proof, statement: Statement, where: tuple) -> None:
    left, right = statement.left, statement.right
    for side in (left, right):
        value = proof.value(side)
        chain = _linked([side] if value == side else [side, value], "=")
        proof.step("This side is not negative.", *chain, "≥", 0, where=where)
    gap = left**2 - right**2
    proof.step("So they compare as their squares.", gap, "=", _tidy(proof.value(gap)), statement.sign, 0, where=where)


def _polar(proof: Proof, statement: Statement, where: tuple) -> None:
    in_polar = tuple(Gt(_own_factor(need.subs(POLAR)), 0) for need, _ in statement.needs if need not in (a, b))
    polar = tuple(Eq(symbol, value) for symbol, value in POLAR.items())
    gap = statement.left - statement.right
    form = simplify(proof.value(gap).subs(POLAR))
    chain = (gap, "=", form) if statement.sign == "=" else (gap, "=", _tidy(form), "≥", 0)
    proof.step(
        "Their difference, with the length k > 0 of x, the norm ratio r > 0 and t = tan(θ/2) > 0; "
        "by continuity also where a vector is 0 or both are parallel.",
        *chain,
        where=in_polar + polar,
    )
    if statement.sign == "=" and form != 0:
        raise StepError("the difference is not 0")


def _polar_strictly(proof: Proof, statement: Statement, where: tuple) -> None:
    in_polar = tuple(Gt(_own_factor(need.subs(POLAR)), 0) for need, _ in statement.needs if need not in (a, b))
    gap = statement.left - statement.right
    form = _tidy(proof.value(gap).subs(POLAR))
    proof.step(
        "Their difference, with the length k > 0 of x, the norm ratio r > 0 and t = tan(θ/2) > 0.",
        gap,
        "=",
        form,
        ">",
        0,
        where=in_polar + tuple(Eq(symbol, value) for symbol, value in POLAR.items()),
    )
    for words, sign in (("parallel", 1), ("antiparallel", -1)):
        if sign == 1 or Gt(c, 0) not in where:
            edge = (*(one for one in where if one != Gt(c, 0)), Eq(c, sign * sqrt(a * b)))
            proof.step(f"And where both are {words}.", gap, ">", 0, where=edge)


def _own_factor(need: Expr) -> Expr:
    """What decides the sign of a need: its factors that are not always positive."""
    numerator = fraction(together(need))[0]
    return Mul(*(part for part in Mul.make_args(factor(numerator)) if not part.is_positive))


def _tidy(gap: Expr) -> Expr:
    """The difference in factors, written so that those below the line are positive where c > 0 and b < 2c."""
    whole = factor(simplify(gap))
    somewhere = {a: 3, b: 1, c: 1, k: 1, r: 1, t: Rational(1, 3)}
    turned = [part for part in Mul.make_args(whole) if (part.is_Pow and part.exp.is_Integer) or part.is_Add]
    for part in turned:
        base, exponent = part.as_base_exp()
        if exponent < 0 and (base.subs(somewhere) < 0) is true:  # and not a relation that stays open
            whole = (-1) ** exponent * whole.subs(part, (-base) ** exponent)
    return whole


def _apart(proof: Proof, statement: Statement, where: tuple) -> None:
    for left, right in ((statement.left, statement.right), (statement.right, statement.left)):
        try:
            return _gap(proof, Statement(left, ">", right), where)
        except StepError:
            continue
    raise StepError("neither side is always the larger")


STRATEGIES: Mapping[str, tuple[Callable, ...]] = {
    "=": (_same, _polar),
    "≥": (_gap, _square, _squares, _gap_by_cauchy_schwarz, _polar),
    ">": (_gap, _squares, _gap_by_cauchy_schwarz, _polar_strictly),
    "≠": (_apart,),
}


def _linked(terms: list[Expr], sign: str) -> Iterator:
    for i, term in enumerate(terms):
        if i:
            yield sign
        yield term
