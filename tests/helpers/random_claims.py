"""Random claims, and their truth in floating point, by Python's arithmetic and without any of the sandbox's code."""

import math
import random
import re

LEAVES = ("a", "b", "c", "r", "rho", "L", "gamma", "gamma_10", "0", "1", "2", "3", "1/2")
CLOSE = 1e-7  # sides whose relative difference is smaller count as too close to compare


def made_up(seed: int) -> str:
    """A claim of one or two comparisons, in Python's syntax except for =>."""
    chance = random.Random(seed)
    first, second = (_compared(chance, chance.choice((1, 2))) for _ in range(2))
    return chance.choice((first, first, f"not {first}", f"({first}) or ({second})", f"({first}) => ({second})"))


def _compared(chance: random.Random, depth: int) -> str:
    return f"{_term(chance, depth)} {chance.choice(('<', '<=', '>', '>=', '==', '!='))} {_term(chance, depth)}"


def _term(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.25:
        return chance.choice(LEAVES)
    u, v = _term(chance, depth - 1), _term(chance, depth - 1)
    arithmetic = (f"({u} {chance.choice('+-*/')} {v})",) * 5
    return chance.choice(
        (*arithmetic, f"({u})**2", f"sqrt({u})", f"abs({u})", f"min({u}, {v})", f"max({u}, {v})", "sin(theta)")
    )


def truth_at(text: str, a: float, b: float, c: float) -> bool | None:
    """Whether a claim holds at these moments; None if its sides are too close. Raises if it is undefined there."""
    if " => " in text:
        premise, conclusion = (_comparison(part[1:-1], a, b, c) for part in text.split(" => "))
        if premise is False or conclusion is True:
            return True
        return None if None in (premise, conclusion) else False
    if ") or (" in text:
        parts = [_comparison(part.strip("\n"), a, b, c) for part in text[1:-1].split(") or (")]
        return True if True in parts else None if None in parts else False
    if text.startswith("not "):
        holds = _comparison(text[4:], a, b, c)
        return None if holds is None else not holds
    return _comparison(text, a, b, c)


def _comparison(text: str, a: float, b: float, c: float) -> bool | None:
    left, sign, right = re.split(r" (<=|>=|==|!=|<|>) ", text)
    u, v = (eval(side, {"__builtins__": {}}, _Names(a, b, c)) for side in (left, right))
    if abs(u - v) <= CLOSE * (1 + abs(u) + abs(v)):
        return None
    return {"<": u < v, "<=": u < v, ">": u > v, ">=": u > v, "==": False, "!=": True}[sign]


class _Names(dict):
    """The values of a claim's names at some moments. An undefined value raises."""

    def __init__(self, a: float, b: float, c: float):
        super().__init__(a=a, b=b, c=c, abs=abs, min=min, max=max, sqrt=math.sqrt, sin=math.sin)

    def __missing__(self, name: str) -> float:
        a, b, c = self["a"], self["b"], self["c"]
        if name.startswith("gamma") and not (b > 0 and c > 0):
            raise ValueError(name)
        match name:
            case "r":
                return math.sqrt(b / a)
            case "rho":
                return max(-1.0, min(1.0, c / math.sqrt(a * b)))
            case "theta":
                return math.acos(self["rho"])
            case "L":
                return a + b - 2 * c
            case "gamma":
                return b / c
            case _:
                return math.sqrt(b / (2 * c - b))


def refuted_by_floats(text: str, nowhere_defined: bool) -> tuple[float, float, float] | None:
    """Moments of vectors at which the claim clearly fails, or is defined although it should be defined nowhere."""
    chance = random.Random(0)
    for i in range(500):
        if i < 200:
            x, u, v = (chance.choice((0.0, 0.5, 1.0, 2.0, -1.0, 3.0)) for _ in range(3))
        else:
            x, length, angle = chance.lognormvariate(0, 1), chance.lognormvariate(0, 1), chance.uniform(0, math.pi)
            u, v = length * math.cos(angle), length * math.sin(angle)
        point = x * x, u * u + v * v, x * u
        try:
            truth = truth_at(text, *point)
        except (ValueError, ArithmeticError):
            continue
        if nowhere_defined or truth is False:
            return point
    return None
