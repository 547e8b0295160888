"""How a formula looks: Unicode in a terminal or within a sentence, LaTeX in a notebook, MathML in a browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sympy import Expr, Rational, Rel
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.stringpict import prettyForm, stringPict
from sympy.printing.str import StrPrinter

from sandbox.maths import letters

WIDTH = 96
"""Columns of a terminal that a chain may take before it is broken at a relation."""


def chain_text(terms: Sequence[Expr], signs: Sequence[str], conditions: Iterable[Rel] = ()) -> str:
    """A chain of relations in Unicode, as many lines high as its fractions need; a long one breaks before a relation.

    >>> from sympy.abc import u, w
    >>> print(chain_text((u - u, w - w), "=", (u > 0,)))
    0 = 0   (u > 0)
    """
    rows = [[form(terms[0])]]
    for sign, term in zip(signs, terms[1:], strict=True):
        link = [f" {sign} ", form(term)]
        if _beside([*rows[-1], *link]).width() > WIDTH:
            rows.append(["    "])
        rows[-1] += link
    for condition in conditions:
        rows[-1] += ["   (", form(condition), ")"]
    return "\n".join(line for row in rows for line in lines(row))


def in_a_line(term: Expr | Rel) -> str:
    """A term or a condition as it stands in a sentence.

    >>> from sympy.abc import u, w
    >>> in_a_line((u - w) ** 2 / w)
    '(u − w)²/w'
    """
    text = _Line().doprint(term)
    for typed, written in (("*", "·"), ("∗", "*"), ("-", "−"), ("<=", "≤"), (">=", "≥")):
        text = text.replace(typed, written)
    return text


def mathml(term: Expr) -> str:
    """Presentation MathML, for a browser, with a dot between factors, which may be numbers.

    >>> from sympy.abc import u, w
    >>> mathml(u / w)
    '<mfrac><mi>u</mi><mi>w</mi></mfrac>'
    """
    text = _MathML({"mul_symbol": "dot"}).doprint(term)
    for entity, sign in (("&InvisibleTimes;", "·"), ("&#xB7;", "·"), ("<mo>-</mo>", "<mo>−</mo>")):
        text = text.replace(entity, sign)
    return text.removeprefix("<mrow>").removesuffix("</mrow>") if text.count("<mrow>") == 1 else text


def latex(term: Expr | Rel) -> str:
    """LaTeX, for a notebook."""
    return _Latex().doprint(term)


def form(term: Expr | Rel) -> prettyForm:
    """A term in Unicode, as a block of one or more lines."""
    with letters.unicode():
        return _Unicode({"use_unicode": True})._print(term)


def lines(parts: list[prettyForm | str]) -> list[str]:
    """The lines of blocks and words set side by side."""
    return [line.rstrip() for line in _beside(parts).render(wrap_line=False).splitlines()]


def _beside(parts: list[prettyForm | str]) -> prettyForm:
    return prettyForm(*stringPict.next(*parts))


class _PlusFirst:
    """Prints 2c − b where SymPy has −b + 2c."""

    def _as_ordered_terms(self, expr, order=None):
        terms = super()._as_ordered_terms(expr, order=order)  # type: ignore[misc] (the printer beside this mixin has it)
        return sorted(terms, key=lambda term: term.could_extract_minus_sign())


class _Unicode(_PlusFirst, PrettyPrinter):
    pass


class _Latex(_PlusFirst, LatexPrinter):
    def _print_Symbol(self, expr, style="plain"):
        name = expr.name
        return rf"{name[:-1]}^{{*}}" if name.endswith("*") else super()._print_Symbol(expr, style)


class _MathML(_PlusFirst, MathMLPresentationPrinter):
    pass


class _Line(_PlusFirst, StrPrinter):
    """A formula within a sentence, as people type it: c/a = r·ρ."""

    def _print_Symbol(self, expr):
        return str(letters.shown(expr.name)).replace("*", "∗")  # not a product

    def _print_Function(self, expr):
        return f"{letters.shown(expr.func.__name__)}({', '.join(map(self._print, expr.args))})"

    def _print_Equality(self, expr):
        return f"{self._print(expr.lhs)} = {self._print(expr.rhs)}"

    def _print_Abs(self, expr):
        return f"|{self._print(expr.args[0])}|"

    def _print_exp(self, expr):
        return f"e^({self._print(expr.args[0])})"

    def _print_Pow(self, expr, rational=False):
        base, power = expr.args
        if power == Rational(1, 2):
            return f"√({self._print(base)})"
        if power in (2, 3):
            return self.parenthesize(base, PRECEDENCE["Pow"]) + {2: "²", 3: "³"}[int(power)]
        return super()._print_Pow(expr, rational)
