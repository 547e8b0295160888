"""Angles (θ between x and x̂, its multiples, sums of them), and their cosines as formulas in cos θ and sin θ."""

# SymPy annotates the coefficients of as_coefficients_dict as int, which here are Expr.
# pyright: reportReturnType=false

from __future__ import annotations

from sympy import Dummy, Expr, Symbol, acos, cos, expand_trig, pi, sin, sqrt

MAX_MULTIPLE = 12
"""The largest multiple of θ within a cosine."""

_FUNCTIONS = {"cos": cos, "sin": sin}


def is_angle(term: Expr) -> bool:
    """Whether a term is measured in radians: a sum of θ, arc cosines and multiples of π."""
    parts = linear(term)
    return parts is not None and any(key != 1 for key in parts)


def linear(term: Expr) -> dict[Expr, Expr] | None:
    """The factors of θ, arc cosines, π and 1 in a sum of these; None for any other term."""
    parts = dict(term.expand().as_coefficients_dict())
    return parts if all(key in (1, pi) or _is_theta(key) or isinstance(key, acos) for key in parts) else None


def _is_theta(term: Expr) -> bool:
    return isinstance(term, Symbol) and term.name in ("theta", "theta_1", "theta_2")


def trigonometric(name: str, angle: Expr) -> tuple[Expr, Expr | None] | None:
    """cos, sin or tan of an angle in terms of cos θ and sin θ, with the divisor of a tangent; None if not expandable.

    >>> theta = Symbol("theta", real=True)
    >>> trigonometric("cos", 2 * theta)
    (2*cos(theta)**2 - 1, None)
    """
    parts = linear(angle)
    angles = {key: factor for key, factor in (parts or {}).items() if key not in (1, pi)}
    if parts is None or any(
        (2 * factor).is_Integer is not True or abs(factor) > MAX_MULTIPLE for factor in angles.values()
    ):
        return None
    if name != "tan":
        return _expanded(_FUNCTIONS[name](angle), angles), None
    below = _expanded(cos(angle), angles)
    return None if below == 0 else (_expanded(sin(angle), angles) / below, below)


def _expanded(term: Expr, angles: dict[Expr, Expr]) -> Expr:
    """The term with multiple angles and sums expanded, and half angles as roots, with their signs between 0 and π."""
    halves = {angle: Dummy("half", real=True) for angle, factor in angles.items() if not factor.is_Integer}
    term = term.subs({angle: 2 * half for angle, half in halves.items()})
    roots = {
        function(half): sqrt((1 + sign * cos(angle)) / 2)
        for angle, half in halves.items()
        for function, sign in ((cos, 1), (sin, -1))
    }
    return expand_trig(term).subs(roots)
