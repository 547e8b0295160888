"""The register of claims: each is derived when it is first asked for, and then kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import NamedTuple

from sympy import Expr, powsimp

from sandbox.derivations.step import Derivation, Step
from sandbox.errors import InputError

CHAPTERS = ("two_scales", "bias", "geometry")
"""Modules of this package that make claims, in the order of the argument."""


class Proof(NamedTuple):
    """What a claim's function returns: its steps, and the measures that come out of it."""

    steps: Sequence[Step]
    results: Mapping[str, Expr]


class Claim(NamedTuple):
    """A claim before its proof has been asked for."""

    number: str
    name: str
    statement: str
    proof: Callable[[], Proof]


_CLAIMS: dict[str, Claim] = {}


def claim(number: str, name: str, statement: str) -> Callable[[Callable[[], Proof]], Callable[[], Proof]]:
    """Enter a function that builds a proof into the register."""

    def enter(proof: Callable[[], Proof]) -> Callable[[], Proof]:
        _CLAIMS[number] = Claim(number, name, statement, proof)
        return proof

    return enter


def claims() -> tuple[Claim, ...]:
    """Every claim, by number; proves nothing."""
    for chapter in CHAPTERS:
        import_module(f"sandbox.derivations.{chapter}")
    return tuple(sorted(_CLAIMS.values(), key=lambda one: int(one.number[1:])))


def prove(which: str) -> Derivation:
    """The derivation of a claim, by number ("C1") or name ("scale-x").

    Raises: InputError for a claim that there is not; StepError if a step of the proof does not hold.

    >>> prove("C1").results["scale_x"]
    c/a
    """
    for one in claims():
        if which.lower() in (one.number.lower(), one.name):
            return _derive(one)
    known = ", ".join(f"{one.number} ({one.name})" for one in claims())
    raise InputError(f"there is no claim {which!r}; there are {known}")


@cache
def _derive(one: Claim) -> Derivation:
    steps, results = one.proof()
    as_one_root = {key: powsimp(result, force=True) for key, result in results.items()}  # a, b > 0: √a·√b is √(ab)
    return Derivation(one.number, one.name, one.statement, tuple(steps), as_one_root)
