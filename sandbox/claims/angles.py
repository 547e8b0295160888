"""Angles: θ between x and x̂, 0 to π, multiples and sums of it, and their cosines as formulas in cos θ and sin θ."""

from __future__ import annotations

from sympy import Dummy, Expr, Symbol, acos, cos, expand_trig, pi, sin, sqrt

MAX_MULTIPLE = 12
"""Times θ, within a cosine."""

_FUNCTIONS = {"cos": cos, "sin": sin}


def is_angle(term: Expr) -> bool:
    """Whether a term is measured in radians: a sum of θ, arc cosines and multiples of π."""
    parts = linear(term)
    return parts is not None and any(key != 1 for key in parts)


def linear(term: Expr) -> dict[Expr, Expr] | None:
    """Factors of θ, arc cosines, π and 1, or None where the term is no such sum."""
    parts = dict(term.expand().as_coefficients_dict())
    return parts if all(key in (1, pi) or _is_theta(key) or isinstance(key, acos) for key in parts) else None


def _is_theta(term: Expr) -> bool:
    return isinstance(term, Symbol) and term.name in ("theta", "theta_1", "theta_2")


def trigonometric(name: str, angle: Expr) -> tuple[Expr, Expr | None] | None:
    """cos, sin or tan of an angle in terms of cos θ and sin θ, and the divisor of a tangent; None where it is none.

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
    """Multiple angles and sums written out; half angles by the roots that are theirs between 0 and π."""
    halves = {angle: Dummy("half", real=True) for angle, factor in angles.items() if not factor.is_Integer}
    term = term.subs({angle: 2 * half for angle, half in halves.items()})
    roots = {
        function(half): sqrt((1 + sign * cos(angle)) / 2)
        for angle, half in halves.items()
        for function, sign in ((cos, 1), (sin, -1))
    }
    return expand_trig(term).subs(roots)
