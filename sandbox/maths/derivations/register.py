"""The register of claims. Each is derived on first use and then cached."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import NamedTuple

from sympy import Rel

from sandbox.errors import InputError
from sandbox.maths.proof.derivation import Derivation, Proof
from sandbox.maths.proof.step import LOCK, StepError

CHAPTERS = ("two_scales", "bias", "geometry", "pooling", "thresholds", "law", "slopes", "parts", "comparing")
"""Modules of this package that register claims, in the order of the argument."""


class Claim(NamedTuple):
    """A claim as registered, not proved yet."""

    number: str
    name: str
    statement: str
    where: tuple[Rel, ...]
    write: Callable[[Proof], None]


_CLAIMS: dict[str, Claim] = {}


def claim(number: str, name: str, statement: str, where: tuple[Rel, ...] = ()):
    """Register a function that writes the proof of a claim; `where` holds for every step of it."""

    def enter(write: Callable[[Proof], None]) -> Callable[[Proof], None]:
        _CLAIMS[number] = Claim(number, name, statement, where, write)
        return write

    return enter


def claims() -> tuple[Claim, ...]:
    """Every claim, by number. Proves nothing."""
    for chapter in CHAPTERS:
        import_module(f"sandbox.maths.derivations.{chapter}")
    return tuple(sorted(_CLAIMS.values(), key=lambda claim: int(claim.number[1:])))


def named(which: str) -> Claim:
    """The claim of that number ("C1") or name ("scale-x"). Proves nothing.

    Raises: InputError for an unknown claim, with similar names and the range of numbers
    """
    wanted = str(which).lower().replace("_", "-").replace(" ", "")
    known = claims()
    for claim in known:
        if wanted in (claim.number.lower(), claim.name):
            return claim
    similar = get_close_matches(wanted, [claim.name for claim in known], 3)
    hint = f"did you mean {' or '.join(similar)}? " if similar else ""
    numbers = f"claims run from {known[0].number} to {known[-1].number}"
    raise InputError(f"there is no claim {which!r}: {hint}{numbers} (sandbox prove --list)")


def prove(which: str) -> Derivation:
    """The derivation of a claim, by number ("C1") or name ("scale-x").

    Raises: InputError for an unknown claim; StepError, which names the claim and the step, if its proof fails

    >>> prove("C1").results["scale_x"]
    c/a
    """
    with LOCK:  # or two threads would derive it twice
        return _derive(named(which))


@cache
def _derive(claim: Claim) -> Derivation:
    proof = Proof(claim.where)
    try:
        claim.write(proof)
    except StepError as error:
        raise type(error)(f"{claim.number}: {error}", error.at) from error
    steps, statements = tuple(proof.steps), tuple(proof.statements)
    return Derivation(claim.number, claim.name, claim.statement, claim.where, steps, proof.results, statements)
