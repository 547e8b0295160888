"""What a claim's sentence says in symbols is what a step has shown: word for word, and under the same conditions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sympy import Expr, Rel, sympify

from sandbox.maths.proof.step import Step
from sandbox.maths.proof.typeset import in_a_line

RELATIONS = re.compile("[=<>≤≥≠≈→∝]")

LONGER = re.compile(r"…\s*[-+−·*/^²³]|[-+−·*/^]\s*…|…\w|\w…|…\s*\((?!…)")
"""A statement, where … stands for it, that goes on: "c/a = r·ρ + 1" is not "c/a = r·ρ"."""


def untold(sentence: str, said: Sequence[tuple], steps: Sequence[Step], where: Sequence[Rel]) -> str | None:
    """What stands between a sentence and its steps, in words, or None.

    Args: said:  the statements that the sentence makes, each a chain of terms and relations
          where: conditions that hold throughout, which the sentence need not repeat
    """
    rest = sentence
    for chain in said:
        text = written(chain)
        if text not in sentence:
            return f"it does not say {text}"
        stating = [step for step in steps if _concludes(step, chain)]
        if not stating:
            return f"{text} is the statement of none of its steps"
        conditions = [[in_a_line(one) for one in step.where if one not in where] for step in stating]
        told = next((those for those in conditions if all(one in sentence for one in those)), None)
        if told is None:
            return f"it says {text}, but not where: {', '.join(conditions[0])}"
        for part in (text, *told):
            rest = rest.replace(part, "…")
    more = RELATIONS.search(rest) or LONGER.search(rest)
    return f"it says {rest.strip()!r}, which no step has shown" if more else None


def written(chain: tuple) -> str:
    """A chain of terms and relations as it stands in a sentence."""
    return " ".join(part if i % 2 else in_a_line(sympify(part)) for i, part in enumerate(chain))


def _concludes(step: Step, chain: tuple) -> bool:
    """Whether every link of the chain is stated by the step, directly or by what lies between."""
    if step.definition:
        return False
    terms, signs = [sympify(part) for part in chain[::2]], chain[1::2]
    return all(_states(step, left, sign, right) for (left, right), sign in zip(pairwise(terms), signs, strict=True))


def _states(step: Step, left: Expr, sign: str, right: Expr) -> bool:
    for i, first in enumerate(step.terms):
        between: set[Any] = set()
        for j in range(i + 1, len(step.terms)):
            between.add(step.signs[j - 1])
            strongest = ">" if ">" in between else "≥" if "≥" in between else "="
            if (first, sign, step.terms[j]) == (left, strongest, right):
                return True
            if sign == strongest == "=" and (first, step.terms[j]) == (right, left):
                return True
    return False
