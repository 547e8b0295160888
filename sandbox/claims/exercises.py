"""Exercises: a derivation with its next term left out, for the reader to find.

The questions are the steps that have a hint, so they never go out of date. The reply to a wrong answer gives numbers at
which it fails; in a terminal or a notebook, the hint as well. The reply to one that is equal but not in the form that
the step is about, such as a completed square, says what to change. A right answer leads to the next question. Only
`solution` shows the term.
"""

# SymPy annotates atoms, arguments and the results of subs as Basic, which here are Expr or Symbol.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sympy import Expr, Mul, Rational, Symbol, simplify, true

from sandbox.claims.forms import missing, names_in
from sandbox.claims.language import read_expression
from sandbox.claims.limit import SYMPY_FAILURES, SYMPY_SECONDS, Undecidable, time_limit
from sandbox.claims.names import vocabulary
from sandbox.claims.search import small_pairs
from sandbox.claims.vectors import sign_of
from sandbox.errors import InputError
from sandbox.maths import letters
from sandbox.maths.derivations import Step, StepError, claims, prove
from sandbox.maths.proof.step import evaluated, written_out
from sandbox.maths.proof.typeset import blank, question_markdown, question_text, step_markdown, step_text
from sandbox.maths.symbols import GIVEN, a, b, c, lam, n


@dataclass(frozen=True)
class Feedback:
    """The response to an answer: a terminal prints it, a notebook typesets it."""

    right: bool
    text: str
    markdown: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return self.markdown


class Reply(NamedTuple):
    """Whether an answer is right, and what to say of it."""

    right: bool
    words: str


class Exercise:
    """The steps of a claim as a series of questions; see `exercise`."""

    def __init__(self, claim: str):
        self.derivation = prove(claim)
        self.questions = [step for step in self.derivation.steps if step.hint]
        if not self.questions:
            others = [claim.number for claim in claims() if any(step.hint for step in prove(claim.number).steps)]
            raise InputError(f"{self.derivation.number} has no exercise; the claims with one are {', '.join(others)}")
        self.at = 0

    @property
    def step(self) -> Step | None:
        return self.questions[self.at] if self.at < len(self.questions) else None

    @property
    def names(self) -> list[str]:
        """The names that the answer should be written in."""
        return _names_wanted(self.step) if self.step else []

    def answer(self, text: str) -> Feedback:
        """Try a term, such as "2*(a*s - c)", in place of the question mark; a right one leads to the next question.

        Raises: InputError (a ValueError), one line, for a text that is not a formula.
        """
        hint = f" Hint: {self.hint()}" if self.step else ""
        reply = self.judge(text)
        return self._feedback(reply.right, reply.words + hint * (not reply.right))

    def judge(self, text: str) -> Reply:
        """The reply to a term without the question and the hint: see `answer`."""
        step = self.step
        if step is None:
            return Reply(False, "There is no question left to answer.")
        shown = step.terms[: blank(step)]
        left = shown[-1]
        term = read_expression(text, _names(step))
        if term in [Mul(*known.args) if known.is_Mul else known for known in shown]:
            return Reply(False, "That is already on the left: write it in another way.")
        try:
            with time_limit(SYMPY_SECONDS):
                Step(step.reason, left, "=", term, where=step.where, names=step.names)
        except (StepError, Undecidable, *SYMPY_FAILURES) as error:
            against = _against(step, left, term)
            if not against and (at := getattr(error, "at", "")):
                against = f"It fails at {at}."
            verdict = "That is not equal." if against else "SymPy could not show that this is equal."
            return Reply(False, " ".join(filter(None, (verdict, against))))
        if lacking := missing(term, step.terms[blank(step)]):
            return Reply(False, f"That is equal, but not yet in the form asked for: {lacking}.")
        self.at += 1
        return Reply(True, "Right.")

    def hint(self) -> str:
        """A hint for the question."""
        return (self.step.hint if self.step else None) or "There is no question left."

    def solution(self) -> Feedback:
        """The whole step; the question stays open."""
        step = self.step
        return Feedback(True, step_text(step), step_markdown(step)) if step else self._feedback(True, "")

    def _feedback(self, right: bool, words: str) -> Feedback:
        return Feedback(right, f"{words}\n\n{self}".strip(), f"{words}\n\n{self._repr_markdown_()}".strip())

    def __str__(self) -> str:
        if self.step is None:
            return f"{self.derivation.number} is done: {self.derivation.claim}"
        question = f"{self.derivation.number}, question {self.at + 1} of {len(self.questions)}. {self.step.reason}"
        return f"{question}\n\n{question_text(self.step)}\n\nAnswer in {', '.join(self.names)}."

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        if self.step is None:
            return f"**{self.derivation.number} is done.** {self.derivation.claim}"
        question = f"**{self.derivation.number}, question {self.at + 1} of {len(self.questions)}.** {self.step.reason}"
        names = ", ".join(f"`{name}`" for name in self.names)
        return f"{question}\n\n{question_markdown(self.step)}\n\nAnswer in {names}."


def exercise(which: str) -> Exercise:
    """Find the steps of a claim yourself: the exercise shows a question, and `answer("…")` checks your term.

    Args:    which: its number or name
    Returns: an Exercise, with `answer`, `hint` and `solution`
    Raises:  InputError for an unknown claim, or one without an exercise (the message lists those with one)

    >>> c3 = exercise("C3")
    >>> c3.answer("rho").right
    False
    >>> c3.answer("rho**2").right
    True
    """
    return Exercise(which)


def _names(step: Step) -> dict[str, Expr]:
    """The names that an answer may use: the moments, the ratios, and the symbols of the step."""
    common = {name: vocabulary()[name] for name in ("a", "b", "c", "r", "rho", "L")}
    free = {symbol for term in (*step.terms, *step.where) for symbol in term.free_symbols} - {n}
    own = {"lam" if symbol == lam else symbol.name: symbol for symbol in free if not symbol.is_Matrix}
    return common | dict(sorted(own.items()))


def _names_wanted(step: Step) -> list[str]:
    """The names that the answer should be written in."""
    wanted = names_in(step.terms[blank(step)])
    return [name for name, symbol in _names(step).items() if symbol in wanted]


def _against(step: Step, left: Expr, term: Expr) -> str:
    try:
        with time_limit(SYMPY_SECONDS):
            return _counterexample(step, left, term)
    except (Undecidable, *SYMPY_FAILURES):
        return ""


def _counterexample(step: Step, left: Expr, term: Expr) -> str:
    """A sentence with vectors or numbers at which the answer has a wrong value; "" if none are found."""
    names = {**step.names, **step.ties}
    sides = [written_out(side, names) for side in (left, term)]
    conditions = [written_out(condition, names) for condition in (*GIVEN, *step.where)]
    used = sides[0].free_symbols | sides[1].free_symbols
    shown = sorted(used - {a, b, c}, key=str)
    others = sorted(
        {symbol for condition in conditions for symbol in condition.free_symbols} - used - {a, b, c}, key=str
    )
    for pair in small_pairs():
        for size in (Rational(2), Rational(1, 2)):  # some symbols, such as γ, must be below 2
            at = pair.moments | {symbol: size + i for i, symbol in enumerate((*shown, *others))}
            if all(condition.subs(at) is true for condition in conditions) and (values := _values(sides, at)):
                numbers = [f"{letters.shown(symbol.name)} = {at[symbol]}" for symbol in shown]
                where = ", ".join(([str(pair)] if {a, b, c} & used else []) + numbers)
                return f"At {where} it is {values[1]}, but should be {values[0]}."
    return ""


def _values(sides: list[Expr], at: dict[Symbol, Expr]) -> list[Expr] | None:
    """The values of both sides at a point, if they are real and differ."""
    values = [simplify(evaluated(side.subs(at))) for side in sides]
    real = all(value.is_number and value.is_real for value in values)
    return values if real and sign_of(values[0] - values[1]) else None
