"""How a formula looks: Unicode in a terminal or within a sentence, LaTeX in a notebook, MathML in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape
from xml.dom.minidom import parseString

from sympy import Expr, Function, Rational, Rel
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
    text = _characters(_MathML({"mul_symbol": "dot"}).doprint(term))
    for entity, sign in (("\N{INVISIBLE TIMES}", "·"), ("<mo>-</mo>", "<mo>−</mo>"), ("<mo><", "<mo>&lt;")):
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
    """SymPy's printer, with names as people write them; SymPy prints a class that it does not know as its name."""

    def _print_Symbol(self, sym, style="plain"):
        typed = getattr(sym, "letter", "")  # of a measure (sandbox/claims/names.py)
        if typed == sym.name:  # its key
            return self._node("mi", typed)
        shown = letters.shown(typed or sym.name)
        name, _, below = shown.partition("_")
        if name.endswith("*"):
            return self._node("msup", self._node("mi", name[:-1]), self._node("mo", "∗"))
        return self._node("msub", self._node("mi", name), self._node("mi", below)) if below else self._node("mi", name)

    _print_RandomMatrixSymbol = _print_MatrixSymbol = _print_Symbol

    def _print_Function(self, expr):
        return self._applied(letters.shown(expr.func.__name__), *expr.args)

    def _print_Order(self, expr):
        return self._applied("O", expr.expr)

    def _print_Derivative(self, e):
        return self._of(e.expr, super()._print_Derivative(e))

    def _print_Limit(self, expr):
        return self._of(expr.args[0], super()._print_Limit(expr))

    def _of(self, term, node):
        """A derivative or a limit as SymPy prints it, with parentheses about a term that is a sum or a product."""
        if not (term.is_Atom or isinstance(term, Function)):
            node.appendChild(self._row("(", node.removeChild(node.lastChild), ")"))
        return node

    def _print_Subs(self, expr):
        pairs = zip(expr.variables, expr.point, strict=True)
        at = [part for name, value in pairs for part in (",", self._print(name), "=", self._print(value))][1:]
        return self._node("msub", self._row("(", self._print(expr.expr), ")"), self._row(*at))

    def _print_Expect(self, expr):
        text = expr._shown(self._inner, "{}<mo>·</mo>{}", _SQUARE, _PRODUCT, "<mo>(</mo>{}<mo>)</mo>")
        for typed, sign in ((" - ", "<mo>−</mo>"), (" + ", "<mo>+</mo>"), ("-", "<mo>−</mo>")):
            text = text.replace(typed, sign)
        return parseString(f"<mrow>{text}</mrow>").documentElement

    def _inner(self, term) -> str:
        return _characters(self._print(term).toxml())

    def _applied(self, name: str, *terms):
        inside = [part for term in terms for part in (",", self._print(term))][1:]
        return self._row(self._node("mi", name), self._row("(", *inside, ")"))

    def _row(self, *parts):
        return self._node("mrow", *(self._node("mo", part) if isinstance(part, str) else part for part in parts))

    def _node(self, tag: str, *content):
        node = self.dom.createElement(tag)
        for part in content:
            node.appendChild(self.dom.createTextNode(part) if isinstance(part, str) else part)
        return node


def _characters(text: str) -> str:
    """XML with characters in place of references, except to its own signs."""
    return re.sub(r"&(?!lt;|gt;|amp;)#?\w+;", lambda reference: unescape(reference[0]), text)


_SQUARE = "<mi>E</mi><msup><mrow><mo>‖</mo>{}<mo>‖</mo></mrow><mn>2</mn></msup>"
_PRODUCT = "<mi>E</mi><mrow><mo>[</mo>{}<mo>·</mo>{}<mo>]</mo></mrow>"


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
