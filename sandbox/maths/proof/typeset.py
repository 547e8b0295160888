"""How steps and derivations look: Unicode in a terminal, a table of aligned mathematics in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import Any, Protocol

from sympy import Eq, Expr, Rel

from sandbox.maths.proof.formulas import chain_text, form, latex, lines
from sandbox.maths.proof.formulas import in_a_line as in_a_line
from sandbox.maths.proof.formulas import mathml as mathml
from sandbox.maths.proof.meaning import Reader
from sandbox.maths.proof.step import SIGNS, Step
from sandbox.maths.symbols import DEFINITIONS, GIVEN, c

WIDTH = 110
"""Columns of a terminal into which a claim's sentence is broken; a line of mathematics is as long as it is."""

TABLE = "| | | |\n|---:|:---|:---|\n"
"""The head of a table of steps: the left side of a relation, its right side, and the reason."""


class Argument(Protocol):
    """What is shown of a `Derivation`; see there."""

    @property
    def number(self) -> str: ...
    @property
    def claim(self) -> str: ...
    @property
    def where(self) -> tuple[Rel, ...]: ...
    @property
    def steps(self) -> tuple[Step, ...]: ...


def step_text(step: Step, shown_above: tuple[Rel, ...] = ()) -> str:
    """The chain in Unicode, with the conditions that are not shown above it already."""
    return chain_text(step.terms, step.signs, _own(step, shown_above))


def step_markdown(step: Step) -> str:
    """One step, as a derivation shows it."""
    return TABLE + "\n".join(_rows(step, ()))


def chain_markdown(step: Step) -> str:
    """The chain alone, on one line, for a cell of a table."""
    first, *others = (latex(term) for term in step.terms)
    return _cell(first + "".join(f" {SIGNS[sign]} {term}" for sign, term in zip(step.signs, others, strict=True)))


def blank(step: Step) -> int:
    """The index of the term that an exercise leaves blank: the last one after an "="."""
    return max(i for i, sign in enumerate(step.signs) if sign == "=") + 1


def question_text(step: Step) -> str:
    """The chain of a step up to its blank, which is shown as a question mark."""
    conditions = [part for condition in step.where for part in ("   (", form(condition), ")")]
    shown = [part for term in step.terms[: blank(step)] for part in (form(term), " = ")]
    return "\n".join(f"    {line}" for line in lines([*shown, "?", *conditions]))


def question_markdown(step: Step) -> str:
    """The same for a notebook."""
    shown = " = ".join([*(latex(term) for term in step.terms[: blank(step)]), "\\;?"])
    conditions = "".join(rf"\qquad ({latex(condition)})" for condition in step.where)
    return f"$$\n{shown}{conditions}\n$$"


def derivation_text(derivation: Argument) -> str:
    """A whole derivation for a terminal."""
    title = f"{derivation.number}  {derivation.claim}"
    indent = " " * (len(derivation.number) + 2)
    text = [*wrap(title, WIDTH, subsequent_indent=indent), ""] if derivation.number else []
    for words, terms in _header(derivation):
        shown = [part for term in terms for part in (", ", form(term))]
        text += [f"  {line}" for line in lines([words, *(shown[1:] or [""])])]
    text += [""] if text and text[-1] else []
    for i, step in enumerate(derivation.steps, 1):
        shown = step_text(step, derivation.where).splitlines()
        text += [f"  {i}. {step.reason}", "", *(f"        {line}" for line in shown), ""]
    return "\n".join([*text, f"  ∎ {_count(derivation)}"])


def derivation_markdown(derivation: Argument) -> str:
    """A whole derivation for a notebook: a table with a row for each equation, its reason beside it.

    This is Markdown rather than one block of LaTeX because every notebook viewer typesets it, and the reasons wrap.
    """
    head = [f"**{derivation.number}.** {derivation.claim}"] if derivation.number else []
    notes = [words + ", ".join(f"${latex(term)}$" for term in terms) for words, terms in _header(derivation)]
    head += ["; ".join(notes) + "."] if notes else []
    rows = [row for step in derivation.steps for row in _rows(step, derivation.where)]
    return "\n\n".join(head) + "\n\n" + TABLE + "\n".join(rows) + f"\n\n∎ {_count(derivation)}\n"


def derivation_parts(derivation: Argument) -> dict[str, Any]:
    """A whole derivation for a page, which lays it out itself; every formula is MathML.

    Returns: `number` and `claim`; `given`, words and the formulas after them; `steps`, each with its `reason`, `terms`,
             the `signs` between them, `where` it holds beyond what is given, and, if it is a question, the `blank`
             term and a `hint`; `end`, its last sentence
    """
    return {
        "number": derivation.number,
        "claim": derivation.claim,
        "given": [[words, [mathml(term) for term in terms]] for words, terms in _header(derivation)],
        "steps": [step_parts(step, derivation.where) for step in derivation.steps],
        "end": _count(derivation),
    }


def step_parts(step: Step, shown_above: tuple[Rel, ...] = ()) -> dict[str, Any]:
    """A step of `derivation_parts`."""
    parts: dict[str, Any] = {
        "reason": step.reason,
        "terms": [mathml(term) for term in step.terms],
        "signs": list(step.signs),
        "where": [mathml(condition) for condition in _own(step, shown_above)],
    }
    return parts | ({"hint": step.hint, "blank": blank(step)} if step.hint else {})


def _count(derivation: Argument) -> str:
    definitions = sum(1 for step in derivation.steps if step.definition)
    count = len(derivation.steps) - definitions
    words = f"{count} steps, each checked by SymPy" if count != 1 else "One step, checked by SymPy"
    return words + (f", and {definitions} definition{'s' if definitions > 1 else ''}." if definitions else ".")


def _rows(step: Step, shown_above: tuple[Rel, ...]) -> Iterable[str]:
    first, *others = (latex(term) for term in step.terms)
    conditions = ", ".join(f"${latex(condition)}$" for condition in _own(step, shown_above))
    reason = _without_bars(f"{step.reason} ({conditions})") if conditions else step.reason
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
    return _without_bars(rf"$\displaystyle {mathematics}$") if mathematics else ""


def _without_bars(mathematics: str) -> str:
    """LaTeX without the bar that would end a cell of a table."""
    return mathematics.replace("|", r"\vert ")


def _header(derivation: Argument) -> Iterable[tuple[str, list[Expr]]]:
    """What holds throughout, and what the steps abbreviate: words, and the terms after them."""
    names = {name for step in derivation.steps for name in step.names}
    free = {symbol for step in derivation.steps for term in step.terms for symbol in term.free_symbols}
    free -= {step.definition[0] for step in derivation.steps if step.definition}
    used = Reader().reach(*(term for step in derivation.steps for term in step.terms))
    conditions = [condition for condition in GIVEN if condition.lhs in used] + list(derivation.where)
    if conditions:
        yield "Given ", conditions
    if c in free and not any(c in condition.free_symbols for condition in derivation.where):
        yield "c is real, of either sign: x̂ may point away from x", []
    if abbreviations := [Eq(name, meaning) for name, meaning in DEFINITIONS.items() if name in free - names]:
        yield "with ", abbreviations


def _own(step: Step, shown_above: tuple[Rel, ...]) -> list[Rel]:
    return [condition for condition in step.where if condition not in shown_above]
