"""The vocabulary of the derivations: random vectors x and x̂ of dimension n, E[u·v], and the moments a, b, c."""

from __future__ import annotations

from sympy import Add, Expr, Integer, MatAdd, MatMul, MatrixSymbol, Mul, Symbol, sqrt
from sympy.printing.pretty.stringpict import prettyForm
from sympy.stats.rv import RandomMatrixSymbol
from sympy.stats.symbolic_multivariate_probability import ExpectationMatrix

from sandbox.maths import letters

n = Symbol("n", integer=True, positive=True)
x, x_hat = RandomMatrixSymbol("x", n, 1), RandomMatrixSymbol("xhat", n, 1)

a, b = Symbol("a", real=True), Symbol("b", real=True)  # = E‖x‖², E‖x̂‖²: positive (GIVEN), except in the edge cases
c = Symbol("c", real=True)  # = E[x·x̂], of either sign: x̂ may point away from x
s = Symbol("s", real=True)  # a scale
r, rho, L = Symbol("r", real=True), Symbol("rho", real=True), Symbol("L", real=True)  # see DEFINITIONS
theta = Symbol("theta", real=True)  # the angle, radians: cos θ = ρ
lam = Symbol("lambda", real=True)  # a threshold (C17), or the coefficient of an L1 penalty (C19)
penalty = Symbol("P", real=True)  # the L1 penalty, E Σ f_j‖d_j‖
m, z = MatrixSymbol("m", n, 1), RandomMatrixSymbol("z", n, 1)  # a constant offset, and a random vector with E[z] = 0
offset, spread = Symbol("m2", real=True), Symbol("v", real=True)  # = ‖m‖², E‖z‖²
on_x, on_x_hat = Symbol("x_m", real=True), Symbol("xhat_m", real=True)  # = E[m·x], E[m·x̂]

GIVEN = (a > 0, b > 0)
"""What every step may assume: as conditions, not as assumptions about the symbols, so √(b/a) is shown as one root."""


class Expect(Expr):
    """E[u·v] of random vectors u and v, a number; `Expect(u)` is E‖u‖².

    `doit` expands it by linearity, with SymPy's ExpectationMatrix, and names the moments that remain: a, b, c.

    >>> Expect(x_hat - s * x).doit()
    a*s**2 + b - 2*c*s
    """

    is_commutative = True

    def __new__(cls, u, v=None):
        return super().__new__(cls, u, u if v is None else v)

    def _eval_is_real(self):
        return True

    @property
    def is_square(self) -> bool:
        """Whether it is E‖u‖², which is not negative if u is real."""
        return self.args[0] == self.args[1]

    def doit(self, **hints):
        u, v = self.args
        return _in_moments(ExpectationMatrix(u.T * v).expand())

    def _latex(self, printer):
        return self._shown(printer.doprint, "{} {}", r"\mathbb{{E}}\lVert {} \rVert^2", r"\mathbb{{E}}[{} \cdot {}]")

    def _sympystr(self, printer):
        return self._shown(_plain, "{}·{}", "E‖{}‖²", "E[{}·{}]")

    def _pretty(self, printer):
        return prettyForm(self._sympystr(printer))

    def _shown(self, show, times: str, square: str, product: str, bracketed: str = "({})") -> str:
        u, v = self.args
        if u == v:
            return square.format(_combination(u, show, times))
        parts = (_combination(vector, show, times) for vector in (u, v))
        return product.format(*(bracketed.format(part) if " + " in part or " - " in part else part for part in parts))


def _combination(vector, show, times: str) -> str:
    """A linear combination as people write it: terms without a minus sign first, then those without a factor."""
    signed = []
    for term in vector.args if vector.is_MatAdd else [vector]:
        factor, direction = term.as_coeff_mmul()
        direction = direction.doit()  # a product of one vector is the vector
        minus = factor.could_extract_minus_sign()
        size = -factor if minus else factor
        signed.append((minus, size != 1, show(direction) if size == 1 else times.format(show(size), show(direction))))
    (minus, _, first), *others = sorted(signed, key=lambda term: term[:2])
    return ("-" if minus else "") + first + "".join((" - " if minus else " + ") + text for minus, _, text in others)


def _plain(expression) -> str:
    if name := getattr(expression, "name", None):
        return letters.shown(name)
    return str(expression) if expression.is_Atom else f"({expression})"


def _in_moments(expression):
    """The expression with each expectation replaced by its name (xᵀx ► a, …), and 1×1 matrices by numbers."""
    if expression.is_Matrix and expression in NAMES_OF_MOMENTS:
        return NAMES_OF_MOMENTS[expression]
    if isinstance(expression, MatMul) and {ExpectationMatrix(z), ExpectationMatrix(z.T)} & set(expression.args):
        return Integer(0)  # E[z] = 0, also in a product with a constant vector
    plain = {MatAdd: Add, MatMul: Mul}.get(type(expression), expression.func)
    return plain(*map(_in_moments, _products_whole(expression))) if expression.args else expression


def _products_whole(expression) -> list:
    """The arguments of a term, with a product of m and a vector (mᵀ·m, mᵀ·E[x], …) as one of them."""
    if isinstance(expression, MatMul) and m.T in expression.args:
        for vector in (m, ExpectationMatrix(x), ExpectationMatrix(x_hat)):
            if vector in expression.args:
                rest = [part for part in expression.args if part not in (vector, m.T)]
                return [*rest, m.T * vector]
    return list(expression.args)


NAMES_OF_MOMENTS = {
    ExpectationMatrix(x.T * x): a,
    ExpectationMatrix(x_hat.T * x_hat): b,
    ExpectationMatrix(x.T * x_hat): c,
    ExpectationMatrix(x_hat.T * x): c,
    ExpectationMatrix(z.T * z): spread,
    ExpectationMatrix(z.T * m): Integer(0),
    m.T * m: offset,
    m.T * ExpectationMatrix(x): on_x,
    m.T * ExpectationMatrix(x_hat): on_x_hat,
}

MOMENTS = {
    frozenset({x}): a,
    frozenset({x_hat}): b,
    frozenset({x, x_hat}): c,
    frozenset({z}): spread,
    frozenset({m}): offset,
    frozenset({m, z}): Integer(0),
    frozenset({m, x}): on_x,
    frozenset({m, x_hat}): on_x_hat,
}
"""E[u·v] for pairs of vectors; about other pairs, nothing is known."""

DEFINITIONS = {
    r: sqrt(Expect(x_hat) / Expect(x)),
    rho: Expect(x, x_hat) / sqrt(Expect(x) * Expect(x_hat)),
    L: Expect(x_hat - x),
}
"""What r, ρ and L stand for in any step."""
