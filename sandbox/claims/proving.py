"""Steps that prove a statement, each checked by SymPy.

If Z3 has decided, the steps only explain; otherwise they decide. They assume a > 0 and b > 0. By continuity, = and ≥
also hold where x or x̂ is 0; for > and ≠ those cases are checked separately.
"""

# SymPy annotates the keys of subs invariantly, the sides of relations loosely, and exponents not at all.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sympy import Add, Eq, Expr, Gt, Mul, Ne, Poly, Symbol, factor, nan, simplify, true, zoo

from sandbox.claims.implying import NOT_SO, imply
from sandbox.claims.language import Formula, Joined, Statement, statements
from sandbox.claims.limit import Undecidable
from sandbox.claims.names import meanings
from sandbox.maths.measures import REGISTRY
from sandbox.maths.proof.derivation import Derivation, Proof
from sandbox.maths.proof.step import StepError
from sandbox.maths.symbols import GIVEN, Expect, a, b, c, theta, x, x_hat


def proof_of(claim: str, formulas: Sequence[Formula]) -> Derivation | None:
    """Steps that prove all of the formulas, which are about one x̂; None if no strategy does."""
    proof = Proof()
    for formula in formulas:
        if not all(map(_is_about_one, statements(formula))):
            return None
        if not (_prove(formula, proof) if isinstance(formula, Statement) else _prove_implication(formula, proof)):
            return None
    return Derivation("", "own", claim, (), tuple(proof.steps))


def proves(formula: Formula) -> bool:
    """Whether steps prove a formula for all vectors, including 0.

    Raises: Undecidable if they prove it only for vectors other than 0
    """
    if not isinstance(formula, Statement) or proof_of("", [formula]) is None:
        return False
    _check_edges(formula)
    return True


def _is_about_one(statement: Statement) -> bool:
    return all(symbol in meanings() and not meanings()[symbol].suffix for symbol in statement.used)


def _prove(statement: Statement, proof: Proof) -> bool:
    """Add the steps that prove a statement to a proof."""
    where = tuple(Gt(need, 0) for need in statement.positive if Gt(need, 0) not in GIVEN)
    for strategy in STRATEGIES[statement.sign]:
        attempt = proof.copy()
        try:
            _name_measures(attempt, statement)
            strategy(attempt, statement, where)
        except NOT_SO:
            continue
        proof.follow(attempt)
        return True
    return False


def _prove_implication(formula: Joined, proof: Proof) -> bool:
    """Add the steps that prove "if statements, then a statement" to a proof."""
    if formula.how != "=>":
        return False
    premise, conclusion = formula.parts
    premises = tuple(_premises(premise))
    if not premises or not isinstance(conclusion, Statement):
        return False
    attempt = proof.copy()
    for each in (*premises, conclusion):
        _name_measures(attempt, each)
    if (done := imply(attempt, premises, conclusion)) is None:
        return False
    proof.follow(done)
    return True


def _premises(formula: Formula) -> Iterator[Statement]:
    """The statements that a premise joins by "and"; others are not used."""
    if isinstance(formula, Statement):
        yield formula
    elif formula.how == "and":
        for part in formula.parts:
            yield from _premises(part)


def _check_edges(statement: Statement) -> None:
    """Check a strict statement where a vector is 0: continuity does not carry it over from the other vectors."""
    if statement.sign in ("=", "≥"):
        return
    gap = statement.in_moments(Add(statement.left, -statement.right))
    needed = set(statement.positive)
    other = Symbol("other", nonnegative=True)
    for zero, rest in ((a, b), (b, a)):
        edge = gap.subs({zero: 0, c: 0, rest: other}, simultaneous=True)
        known = edge.is_positive if statement.sign == ">" else edge.is_nonzero
        if zero not in needed and c not in needed and not edge.has(zoo, nan) and not known:
            raise Undecidable("it holds where neither vector is 0, but it may fail where one is")


def _name_measures(proof: Proof, statement: Statement) -> None:
    for name, formula in statement.names.items():
        if name not in proof.names and (name == theta or meanings()[name].measure):
            proof.let(_source(name), name, formula)


def _source(name: Symbol) -> str:
    if name.name not in REGISTRY:
        return "The angle, by its cosine."
    measure = REGISTRY[name.name]
    return f"{measure.question[0].upper()}{measure.question[1:]} ({measure.source.split(';')[0]})"


def _same(proof: Proof, statement: Statement, where: tuple) -> None:
    left, right = statement.left, statement.right
    common = simplify(proof.value(left))
    between = () if common in (left, right) else (common, "=")
    proof.step("Both sides are the same.", left, "=", *between, right, where=where)


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


def _gap_by_cauchy_schwarz(proof: Proof, statement: Statement, where: tuple, what: str = "Their difference") -> None:
    gap = statement.left - statement.right
    form, left_over = _tidy(proof.value(gap)), a * b - c**2
    reason = f"{what}, where x̂ is not a multiple of x: then c² < a·b (Cauchy–Schwarz, C3)."
    proof.step(reason, gap, "=", form, statement.sign, 0, where=(*where, Gt(left_over, 0)))
    parallel = (*(where if Gt(c, 0) in where else (Ne(c, 0),)), Eq(left_over, 0))
    proof.step("And where x̂ is a multiple of x: then c² = a·b.", gap, statement.sign, 0, where=parallel)


def _squares_by_cauchy_schwarz(proof: Proof, statement: Statement, where: tuple) -> None:
    left, right = statement.left, statement.right
    _not_negative(proof, left, where, "The larger side")
    squares = Statement(left**2, statement.sign, right**2)
    _gap_by_cauchy_schwarz(proof, squares, where, "The difference of the squares")


def _not_negative(proof: Proof, side: Expr, where: tuple, subject: str) -> None:
    value = proof.value(side)
    chain = (side,) if value == side else (side, "=", value)
    proof.step(f"{subject} is not negative.", *chain, "≥", 0, where=where)


def _squares(proof: Proof, statement: Statement, where: tuple) -> None:
    left, right = statement.left, statement.right
    for side in (left, right):
        _not_negative(proof, side, where, "This side")
    gap = left**2 - right**2
    proof.step("So they compare as their squares.", gap, "=", _tidy(proof.value(gap)), statement.sign, 0, where=where)


def _tidy(gap: Expr) -> Expr:
    """The difference as factors, with signs that make the denominator's factors positive where c > 0 and b < 2c."""
    whole = factor(simplify(gap))
    somewhere = {a: 3, b: 1, c: 1}
    turned = [part for part in Mul.make_args(whole) if (part.is_Pow and part.exp.is_Integer) or part.is_Add]
    for part in turned:
        base, exponent = part.as_base_exp()
        if exponent < 0 and (base.subs(somewhere) < 0) is true:  # `is true`, because a relation may stay undecided
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
    "=": (_same,),
    "≥": (_gap, _square, _squares, _gap_by_cauchy_schwarz, _squares_by_cauchy_schwarz),
    ">": (_gap, _squares, _gap_by_cauchy_schwarz),
    "≠": (_apart,),
}
