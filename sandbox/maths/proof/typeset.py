"""How steps and derivations look: Unicode in a terminal, a table of aligned mathematics in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sympy import Eq, Expr, Rational, Rel
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.stringpict import prettyForm, stringPict
from sympy.printing.str import StrPrinter

from sandbox.maths import letters
from sandbox.maths.proof.meaning import Reader
from sandbox.maths.proof.step import SIGNS, Step
from sandbox.maths.symbols import DEFINITIONS, GIVEN, c

if TYPE_CHECKING:
    from sandbox.maths.proof.derivation import Derivation

WIDTH = 96
"""Columns of a terminal that a chain may take before it is broken at a relation."""

TABLE = "| | | |\n|---:|:---|:---|\n"
"""The head of a table of steps: what stands left of a relation, what stands right of it, and why."""


def step_text(step: Step, given: tuple[Rel, ...] = ()) -> str:
    """The chain in Unicode, on as many lines as its fractions need, broken before a relation where it is long.

    Args: given: conditions that need not be shown, because they hold throughout
    """
    rows = [[_form(step.terms[0])]]
    for sign, term in zip(step.signs, step.terms[1:], strict=True):
        link = [f" {sign} ", _form(term)]
        if _beside([*rows[-1], *link]).width() > WIDTH:
            rows.append(["    "])
        rows[-1] += link
    for condition in _own(step, given):
        rows[-1] += ["   (", _form(condition), ")"]
    return "\n".join(line for row in rows for line in _lines(row))


def step_markdown(step: Step) -> str:
    """One step, as a derivation shows it."""
    return TABLE + "\n".join(_rows(step, ()))


def chain_markdown(step: Step) -> str:
    """The chain alone, on one line, for a cell of a table."""
    first, *others = (_latex(term) for term in step.terms)
    return _cell(first + "".join(f" {SIGNS[sign]} {term}" for sign, term in zip(step.signs, others, strict=True)))


def asked(step: Step) -> int:
    """The place of the term that an exercise asks for: the last that an "=" leads to."""
    return max(i for i, sign in enumerate(step.signs) if sign == "=") + 1


def question_text(step: Step) -> str:
    """The chain of a step up to the term that an exercise asks for, which is a question mark."""
    conditions = [part for condition in step.where for part in ("   (", _form(condition), ")")]
    shown = [part for term in step.terms[: asked(step)] for part in (_form(term), " = ")]
    return "\n".join(f"    {line}" for line in _lines([*shown, "?", *conditions]))


def question_markdown(step: Step) -> str:
    """The same for a notebook."""
    shown = " = ".join([*(_latex(term) for term in step.terms[: asked(step)]), "\\;?"])
    conditions = "".join(rf"\qquad ({_latex(condition)})" for condition in step.where)
    return f"$$\n{shown}{conditions}\n$$"


def derivation_text(derivation: Derivation) -> str:
    """A whole derivation for a terminal."""
    lines = [f"{derivation.number}  {derivation.claim}", ""] if derivation.number else []
    for words, terms in _header(derivation):
        shown = [part for term in terms for part in (", ", _form(term))]
        lines += [f"  {line}" for line in _lines([words, *(shown[1:] or [""])])]
    lines += [""] if lines and lines[-1] else []
    for i, step in enumerate(derivation.steps, 1):
        shown = step_text(step, derivation.where).splitlines()
        lines += [f"  {i}. {step.reason}", "", *(f"        {line}" for line in shown), ""]
    return "\n".join([*lines, f"  ∎ {_count(derivation)}"])


def derivation_markdown(derivation: Derivation) -> str:
    """A whole derivation for a notebook: a table with each equation on a row of its own, its reason beside it.

    Markdown rather than one block of LaTeX: every viewer of notebooks typesets it, and the reasons wrap.
    """
    head = [f"**{derivation.number}.** {derivation.claim}"] if derivation.number else []
    given = [words + ", ".join(f"${_latex(term)}$" for term in terms) for words, terms in _header(derivation)]
    head += ["; ".join(given) + "."] if given else []
    rows = [row for step in derivation.steps for row in _rows(step, derivation.where)]
    return "\n\n".join(head) + "\n\n" + TABLE + "\n".join(rows) + f"\n\n∎ {_count(derivation)}\n"


def _count(derivation: Derivation) -> str:
    named = sum(1 for step in derivation.steps if step.definition)
    count = len(derivation.steps) - named
    words = f"{count} steps, each checked by SymPy" if count != 1 else "One step, checked by SymPy"
    return words + (f", and {named} definition{'s' if named > 1 else ''}." if named else ".")


def _rows(step: Step, given: tuple[Rel, ...]) -> Iterable[str]:
    first, *others = (_latex(term) for term in step.terms)
    conditions = ", ".join(f"${_latex(condition)}$" for condition in _own(step, given))
    reason = f"{step.reason} ({conditions})" if conditions else step.reason
    links: list[str] = []
    for sign, term in zip(step.signs, others, strict=True):
        if sign in (">", "≥") and links:
            links[-1] += f" {SIGNS[sign]} {term}"
        else:
            links.append(f"{SIGNS[sign]} {term}")
    for i, link in enumerate(links):
        yield f"| {_cell('' if i else first)} | {_cell(link)} | {'' if i else reason} |"


def _cell(mathematics: str) -> str:
    """In display style."""
    return rf"$\displaystyle {mathematics}$" if mathematics else ""


def _header(derivation: Derivation) -> Iterable[tuple[str, list[Expr]]]:
    """What holds throughout, and what the steps abbreviate: words, and the terms after them."""
    named = {name for step in derivation.steps for name in step.names}
    free = {symbol for step in derivation.steps for term in step.terms for symbol in term.free_symbols}
    free -= {step.definition[0] for step in derivation.steps if step.definition}
    met = Reader().reach(*(term for step in derivation.steps for term in step.terms))
    given = [condition for condition in GIVEN if condition.lhs in met] + list(derivation.where)
    if given:
        yield "Given ", given
    if c in free and not any(c in condition.free_symbols for condition in derivation.where):
        yield "c is real, of either sign: x̂ may point away from x", []
    if used := [Eq(name, meaning) for name, meaning in DEFINITIONS.items() if name in free - named]:
        yield "with ", used


def _own(step: Step, given: tuple[Rel, ...]) -> list[Rel]:
    return [condition for condition in step.where if condition not in given]


class _PlusFirst:
    """Prints 2c − b, where SymPy has −b + 2c."""

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
        return str(letters.shown(expr.name)).replace("*", "∗")  # which is no product

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
    """Presentation MathML, for a browser: with a dot between factors, which may be numbers.

    >>> from sympy.abc import u, w
    >>> mathml(u / w)
    '<mfrac><mi>u</mi><mi>w</mi></mfrac>'
    """
    text = _MathML({"mul_symbol": "dot"}).doprint(term)
    for entity, sign in (("&InvisibleTimes;", "·"), ("&#xB7;", "·"), ("<mo>-</mo>", "<mo>−</mo>")):
        text = text.replace(entity, sign)
    return text.removeprefix("<mrow>").removesuffix("</mrow>") if text.count("<mrow>") == 1 else text


def _latex(term: Expr) -> str:
    """LaTeX without the bar that would end a cell of a table."""
    return _Latex().doprint(term).replace("|", r"\vert ")


def _form(term: Expr) -> prettyForm:
    with letters.unicode():
        return _Unicode({"use_unicode": True})._print(term)


def _beside(forms: list) -> prettyForm:
    return prettyForm(*stringPict.next(*forms))


def _lines(forms: list) -> list[str]:
    return [line.rstrip() for line in _beside(forms).render(wrap_line=False).splitlines()]
