"""What a proof cell asks of Python: proofs, decisions and exercises, as JSON whose formulas are MathML.

The same functions run in the browser, under Pyodide, and here, where a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sympy import Expr

from sandbox.claims.check import check
from sandbox.claims.exercises import Exercise
from sandbox.claims.outcome import Outcome
from sandbox.claims.vectors import Pair, hat_name
from sandbox.errors import InputError
from sandbox.maths.derivations import prove
from sandbox.maths.measures import REGISTRY
from sandbox.maths.proof.formulas import mathml
from sandbox.maths.proof.typeset import derivation_parts, step_parts


def answered(question: str) -> str:
    """Answer a question as JSON: `{"ask": "check", "claim": …}`, `prove` or `exercise` likewise.

    Bad input is an answer, too: `{"refused": one line}`.
    """
    asked = json.loads(question)
    ask: Callable[..., dict[str, Any]] = {"check": decided, "prove": proven, "exercise": tried}[asked.pop("ask")]
    try:
        return json.dumps(ask(**asked), ensure_ascii=False)
    except InputError as error:
        return json.dumps({"refused": str(error)}, ensure_ascii=False)


def proven(claim: str) -> dict[str, Any]:
    """Prove a claim by its number: every step is checked now."""
    return derivation_parts(prove(claim))


def decided(claim: str) -> dict[str, Any]:
    """Decide a claim of the reader's own (see `check`).

    Returns: `verdict`, `headline`, `notes`; for a true claim its `proof`, if a short one is found; for a false one the
             `pairs` at which it fails, each with x and x̂ as formulas and numbers and with every measure
    """
    outcome = check(claim)
    told = {"verdict": outcome.verdict, "headline": outcome.headline, "proof": None, "pairs": []}
    if outcome.derivation:
        told["proof"] = derivation_parts(outcome.derivation)
    if outcome.counterexample:
        told["pairs"] = _pairs(outcome)
        told["free"] = [[mathml(symbol), mathml(value)] for symbol, value in outcome.counterexample.free]
        told["statements"] = [
            {"terms": [mathml(left), mathml(right)], "sign": sign, "holds": holds}
            for (left, sign, right), holds in outcome.failing
        ]
    return told | {"notes": outcome.sentences}


def tried(claim: str, at: int, answer: str | None = None, show: bool = False) -> dict[str, Any]:
    """The question number `at` of a claim's exercise, and the reply to an answer, if there is one.

    Returns: `of`, the number of questions; `question`, a step whose term number `blank` is left out, and the `names`
             to answer in, or None at the end; `right` and `words`, the reply; `solution`, the step, with `show`
    """
    exercise = Exercise(claim)
    exercise.at = at
    told: dict[str, Any] = {"of": len(exercise.questions), "right": None, "words": ""}
    if show and exercise.step:
        told["solution"] = step_parts(exercise.step)
    if answer is not None:
        reply = exercise.judge(answer)
        told |= {"right": reply.right, "words": reply.words}
    step = exercise.step
    told["question"] = None
    if step is not None:
        parts = step_parts(step)
        cut = parts["blank"]
        told["question"] = parts | {
            "terms": parts["terms"][:cut],
            "signs": parts["signs"][: cut - 1],
            "names": exercise.names,
        }
    return told | {"at": exercise.at, "claim": exercise.derivation.claim}


def _pairs(outcome: Outcome) -> list[dict[str, Any]]:
    pair = outcome.counterexample
    assert pair is not None
    return [
        {"name": hat_name(suffix)} | _vectors(pair, suffix) | {"measures": _measured(outcome.measured[suffix])}
        for suffix in pair.hats
    ]


def _vectors(pair: Pair, suffix: str) -> dict[str, Any]:
    return {
        name: {"exact": [mathml(part) for part in vector], "numbers": [float(part) for part in vector]}
        for name, vector in (("x", pair.x), ("x_hat", pair.hats[suffix]))
    }


def _measured(values: dict[str, Expr | str]) -> list[dict[str, Any]]:
    return [
        {"key": key, "plain": REGISTRY[key].plain}
        | ({"undefined": value} if isinstance(value, str) else {"exact": mathml(value), "value": float(value)})
        for key, value in values.items()
    ]
