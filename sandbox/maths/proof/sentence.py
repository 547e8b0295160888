"""A claim's sentence against its proof: a step must have shown every relation in it, under the same conditions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sympy import Expr, Rel, sympify

from sandbox.maths.proof.formulas import in_a_line
from sandbox.maths.proof.step import Step

RELATIONS = re.compile("[=<>≤≥≠≈→∝]")

LONGER = re.compile(r"…\s*[-+−·*/^²³]|[-+−·*/^]\s*…|…\w|\w…|…\s*\((?!…)")
"""Finds a formula of which the statement, replaced by …, is only a part: "c/a = r·ρ + 1" does not state c/a = r·ρ."""


def mismatch(sentence: str, statements: Sequence[tuple], steps: Sequence[Step], where: Sequence[Rel]) -> str | None:
    """How a sentence differs from what its steps have shown, in words; None if it does not.

    Args: statements: what the sentence states, each a chain of terms and relations
          where:      conditions that hold throughout, so the sentence need not repeat them
    """
    rest = sentence
    for chain in statements:
        text = chain_in_a_line(chain)
        if text not in sentence:
            return f"it does not say {text}"
        showing = [step for step in steps if _shows(step, chain)]
        if not showing:
            return f"none of its steps shows {text}"
        alternatives = [[in_a_line(part) for part in step.where if part not in where] for step in showing]
        conditions = next((parts for parts in alternatives if all(part in sentence for part in parts)), None)
        if conditions is None:
            return f"it says {text}, but not where: {', '.join(alternatives[0])}"
        for part in (text, *conditions):
            rest = rest.replace(part, "…")
    more = RELATIONS.search(rest) or LONGER.search(rest)
    return f"it says {rest.strip()!r}, which no step has shown" if more else None


def chain_in_a_line(chain: tuple) -> str:
    """A chain of terms and relations as it stands in a sentence."""
    return " ".join(part if i % 2 else in_a_line(sympify(part)) for i, part in enumerate(chain))


def _shows(step: Step, chain: tuple) -> bool:
    """Whether a step states every link of a chain, either directly or by way of terms between its two sides."""
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
