"""The register of claims: each is derived when it is first asked for, and then kept."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import NamedTuple

from sympy import Rel

from sandbox.errors import InputError
from sandbox.maths.proof.derivation import Derivation, Proof
from sandbox.maths.proof.step import LOCK

CHAPTERS = ("two_scales", "bias", "geometry", "pooling", "thresholds", "law", "slopes", "parts", "comparing")
"""Modules of this package that make claims, in the order of the argument."""


class Claim(NamedTuple):
    """A claim before its proof has been asked for."""

    number: str
    name: str
    statement: str
    where: tuple[Rel, ...]
    write: Callable[[Proof], None]


_CLAIMS: dict[str, Claim] = {}


def claim(number: str, name: str, statement: str, where: tuple[Rel, ...] = ()):
    """Enter a function that writes a proof into the register; `where` holds for every step of it."""

    def enter(write: Callable[[Proof], None]) -> Callable[[Proof], None]:
        _CLAIMS[number] = Claim(number, name, statement, where, write)
        return write

    return enter


def claims() -> tuple[Claim, ...]:
    """Every claim, by number; proves nothing."""
    for chapter in CHAPTERS:
        import_module(f"sandbox.maths.derivations.{chapter}")
    return tuple(sorted(_CLAIMS.values(), key=lambda one: int(one.number[1:])))


def named(which: str) -> Claim:
    """The claim of that number ("C1") or name ("scale-x"); proves nothing.

    Raises: InputError for a claim that there is not, with the nearest that there are.
    """
    wanted = str(which).lower().replace("_", "-").replace(" ", "")
    for one in claims():
        if wanted in (one.number.lower(), one.name):
            return one
    near = get_close_matches(wanted, [word for one in claims() for word in (one.number.lower(), one.name)], 3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"there is no claim {which!r}: {hint}there are C1 to C{len(claims())} (sandbox prove --list)")


def prove(which: str) -> Derivation:
    """The derivation of a claim, by number ("C1") or name ("scale-x").

    Raises: InputError for a claim that there is not; StepError if a step of the proof does not hold.

    >>> prove("C1").results["scale_x"]
    c/a
    """
    with LOCK:  # or two threads would derive it twice
        return _derive(named(which))


@cache
def _derive(one: Claim) -> Derivation:
    proof = Proof(one.where)
    one.write(proof)
    steps, said = tuple(proof.steps), tuple(proof.said)
    return Derivation(one.number, one.name, one.statement, one.where, steps, proof.results, said)
