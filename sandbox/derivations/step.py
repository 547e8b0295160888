"""`Step` and `Derivation`: mathematics that is checked, by SymPy, at the moment it is written down.

A step is a chain of terms, each related to the next: `Step("Why.", lhs, "=", middle, ">", 0)`. Every link is
decided when the step is built. One that is not decided true raises `StepError` with the step's own words, so a
derivation that exists has been proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sympy import Dummy, Expr, Gt, Rel, Symbol, latex, pretty, simplify, sympify
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.stringpict import prettyForm, stringPict

from sandbox.derivations.symbols import GIVEN, Expect, meaning

SIGNS = {"=": ("=", "is_zero"), ">": (">", "is_positive"), "≥": (r"\ge", "is_nonnegative")}
"""Each relation: its LaTeX, and what SymPy must know of the difference of both sides."""


class StepError(ValueError):
    """A step that SymPy does not find true."""


class Step:
    """One line of a proof: a reason and a chain of relations, checked when it is built.

    Args:
        reason: one sentence, why the chain holds
        chain:  terms and relations in turn: `u, "=", v, ">", 0`
        where:  conditions `symbol > 0` under which it holds, beside a > 0 and b > 0
        names:  what the step's own symbols, such as L*, stand for
    Raises: StepError, which names the step, when a relation is not decided to be true.

    >>> from sympy.abc import u
    >>> Step("A square.", (u + 1) ** 2, "=", u**2 + 2 * u + 1).reason
    'A square.'
    >>> Step("A slip.", (u + 1) ** 2, "=", u**2 + 1)
    Traceback (most recent call last):
    sandbox.derivations.step.StepError: the step 'A slip.' does not hold: (u + 1)**2 = u**2 + 1 is off by 2*u
    """

    def __init__(
        self, reason: str, *chain: Any, where: tuple[Rel, ...] = (), names: Mapping[Symbol, Expr] | None = None
    ):
        if len(chain) < 3 or len(chain) % 2 == 0 or not set(chain[1::2]) <= set(SIGNS):
            raise TypeError(f"the step {reason!r} needs terms and relations in turn; relations are {' '.join(SIGNS)}")
        self.reason, self.where = reason, where
        self.terms: tuple[Expr, ...] = tuple(sympify(term) for term in chain[::2])
        self.signs: tuple[str, ...] = chain[1::2]
        values = [_under(meaning(term.subs(names or {})), GIVEN + where) for term in self.terms]
        for i, sign in enumerate(self.signs):
            worth = simplify(values[i] - values[i + 1])
            # The one fact that a, b and c do not show: an expected square is not negative.
            is_square = sign == "≥" and self.terms[i + 1] == 0 and isinstance(self.terms[i], Expect)
            if not (getattr(worth, SIGNS[sign][1]) or (is_square and self.terms[i].is_nonnegative)):
                link = f"{self.terms[i]} {sign} {self.terms[i + 1]}"
                raise StepError(f"the step {reason!r} does not hold: {link} is off by {worth}")

    @property
    def latex(self) -> str:
        """The chain, with `&` before its first relation for an aligned environment."""
        first, *others = self.terms
        links = [f"{SIGNS[sign][0]} {latex(term)}" for sign, term in zip(self.signs, others, strict=True)]
        return f"{latex(first)} &{' '.join(links)}" + "".join(rf"\qquad ({latex(w)})" for w in self.where)

    @property
    def text(self) -> str:
        """The chain in Unicode, on as many lines as its fractions need."""
        first, *others = self.terms
        forms = [_form(first)]
        for sign, term in zip(self.signs, others, strict=True):
            forms += [f" {sign} ", _form(term)]
        forms += [f"   ({pretty(w, use_unicode=True)})" for w in self.where]
        picture = prettyForm(*stringPict.next(*forms)).render(wrap_line=False)
        return "\n".join(line.rstrip() for line in picture.splitlines())

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Derivation:
    """A claim and its proof. `print` it in a terminal; a notebook typesets it.

    Attributes:
        number, name: "C1", "scale-x"
        claim:        what is proven, in one sentence
        steps:        the checked steps
        results:      expressions in a, b, c that come out of it, by the key of the measure that they are;
                      "loss", where it is there, is the loss as a function of the scale s, too
    """

    number: str
    name: str
    claim: str
    steps: tuple[Step, ...]
    results: Mapping[str, Expr] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole derivation as Unicode text for a terminal."""
        lines = [f"{self.number}  {self.claim}", "", f"  Given {', '.join(map(str, GIVEN))}.", ""]
        for i, step in enumerate(self.steps, 1):
            lines += [f"  {i}. {step.reason}", "", *(f"        {line}" for line in step.text.splitlines()), ""]
        return "\n".join([*lines, f"  ∎ {len(self.steps)} steps, each checked by SymPy."])

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        rows = [rf"{step.latex} && \text{{{step.reason}}}" for step in self.steps]
        body = " \\\\[4pt]\n".join(rows)
        given = ", ".join(f"${latex(condition)}$" for condition in GIVEN)
        return (
            f"**{self.number}.** {self.claim} Given {given}.\n\n$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$\n"
        )


def _form(term: Expr) -> prettyForm:
    return PrettyPrinter({"use_unicode": True})._print(term)


def _under(expression: Expr, conditions: tuple[Rel, ...]) -> Expr:
    """`expression` with the symbol of each condition `symbol > 0` replaced by a positive one."""
    for condition in conditions:
        if not (isinstance(condition, Gt) and condition.lhs.is_Symbol and condition.rhs == 0):
            raise TypeError(f"a step's condition is of the form symbol > 0, not {condition}")
        expression = expression.subs(condition.lhs, _positive(condition.lhs))
    return expression


_POSITIVE: dict[Symbol, Symbol] = {}


def _positive(symbol: Symbol) -> Symbol:
    return _POSITIVE.setdefault(symbol, Dummy(symbol.name, positive=True))
