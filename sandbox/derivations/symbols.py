"""The words of the derivations: x and x̂ as random vectors of dimension n, E[u·v], and the moments a, b, c."""

from __future__ import annotations

from sympy import Add, Expr, I, MatAdd, MatMul, Mul, Symbol, sqrt
from sympy.printing.pretty.pretty_symbology import pretty_symbol
from sympy.printing.pretty.stringpict import prettyForm
from sympy.stats.rv import RandomMatrixSymbol
from sympy.stats.symbolic_multivariate_probability import ExpectationMatrix

n = Symbol("n", integer=True, positive=True)
x, x_hat = RandomMatrixSymbol("x", n, 1), RandomMatrixSymbol("xhat", n, 1)

a, b = Symbol("a", real=True), Symbol("b", real=True)  # = E‖x‖², E‖x̂‖²: positive (GIVEN), but for the edge cases
c = Symbol("c", real=True)  # = E[x·x̂], of either sign: x̂ may point away from x
s = Symbol("s", real=True)  # a scale
r, rho, L = Symbol("r", real=True), Symbol("rho", real=True), Symbol("L", real=True)

GIVEN = (a > 0, b > 0)
"""What every step may assume. As conditions, not as properties of the symbols, so that √(b/a) is shown as one root."""


class Expect(Expr):
    """E[u·v] of random vectors u and v, a number; `Expect(u)` is E‖u‖².

    `doit` expands it by linearity (SymPy's ExpectationMatrix does that) and names what is left: a, b, c.

    >>> Expect(x_hat - s * x).doit()
    a*s**2 + b - 2*c*s
    """

    is_commutative = True

    def __new__(cls, u, v=None):
        return super().__new__(cls, u, u if v is None else v)

    def _eval_is_real(self):
        return True

    def _eval_is_nonnegative(self):
        u, v = self.args
        scales = [term.as_coeff_mmul()[0] for term in (u.args if u.is_MatAdd else [u])]
        real = all(symbol.is_real for scale in scales for symbol in scale.free_symbols) and not u.has(I)
        return True if u == v and real else None  # an expected square

    def doit(self, **hints):
        u, v = self.args
        return _in_moments(ExpectationMatrix(u.T * v).expand())

    def _latex(self, printer):
        u, v = (_combination(vector, printer.doprint, "{} {}".format) for vector in self.args)
        return rf"\mathbb{{E}}\lVert {u} \rVert^2" if u == v else rf"\mathbb{{E}}[{u} \cdot {v}]"

    def _sympystr(self, printer):
        u, v = (_combination(vector, _plain, "{}·{}".format) for vector in self.args)
        return f"E‖{u}‖²" if u == v else f"E[{u}·{v}]"

    def _pretty(self, printer):
        return prettyForm(self._sympystr(printer))


def _combination(vector, show, times) -> str:
    """A combination of x and x̂ as people write it, the terms without a minus sign first."""
    signed = []
    for term in vector.args if vector.is_MatAdd else [vector]:
        factor, direction = term.as_coeff_mmul()
        direction = direction.doit()  # a product of one vector is the vector
        minus = factor.could_extract_minus_sign()
        size = -factor if minus else factor
        signed.append((minus, show(direction) if size == 1 else times(show(size), show(direction))))
    first, *others = sorted(signed, key=lambda pair: pair[0])
    return ("-" if first[0] else "") + first[1] + "".join((" - " if minus else " + ") + text for minus, text in others)


def _plain(expression) -> str:
    if named := getattr(expression, "name", None):
        return pretty_symbol(named)
    return str(expression) if expression.is_Atom else f"({expression})"


def _in_moments(expression):
    """E[xᵀx] ► a, E[x̂ᵀx̂] ► b, E[xᵀx̂] ► c, and a 1×1 matrix becomes a number."""
    if isinstance(expression, ExpectationMatrix):
        return NAMES_OF_MOMENTS[expression]
    plain = {MatAdd: Add, MatMul: Mul}.get(type(expression), expression.func)
    return plain(*map(_in_moments, expression.args)) if expression.args else expression


NAMES_OF_MOMENTS = {
    ExpectationMatrix(x.T * x): a,
    ExpectationMatrix(x_hat.T * x_hat): b,
    ExpectationMatrix(x.T * x_hat): c,
    ExpectationMatrix(x_hat.T * x): c,
}

DEFINITIONS = {
    r: sqrt(Expect(x_hat) / Expect(x)),
    rho: Expect(x, x_hat) / sqrt(Expect(x) * Expect(x_hat)),
    L: Expect(x_hat - x),
}
"""What r, ρ and L stand for in any step."""


def meaning(expression: Expr) -> Expr:
    """`expression` in a, b, c: its definitions written out and everything in it evaluated."""
    return expression.subs(DEFINITIONS).doit()
