"""Simulations beside their exact values: what a, b and c have to be, and every measure of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.compile import evaluate, to_torch, why_undefined
from sandbox.derivations import prove
from sandbox.derivations.symbols import lam
from sandbox.errors import InputError
from sandbox.measures import REGISTRY
from sandbox.moments import Moments
from sandbox.report import estimate

if TYPE_CHECKING:
    from rich.table import Table

Exact = tuple[float, float, float]
CLAIM_OF_GATE = {"soft": "C17", "hard": "C18"}


def at_an_angle(angle: float, norm_ratio: float) -> Exact:
    """a, b, c, up to a common factor, of pairs that are all at one angle (radians) and in one ratio of norms.

    The cosine is rounded to 15 digits: that of π/2 is 0, and that of π/3 is ½, which decides whether γ is defined.
    """
    return 1.0, norm_ratio**2, norm_ratio * round(math.cos(angle), 15)


def behind_a_threshold(threshold: float, gate: str) -> tuple[Exact, float]:
    """a, b, c of each feature f ~ Exp(1) behind a "soft" or "hard" threshold, and the share that is active.

    Source:  C17, C18
    >>> behind_a_threshold(1.0, "soft")[1]
    0.36787944117144233
    """
    if gate not in CLAIM_OF_GATE:
        raise InputError(f"gate is {gate!r}: choose {', '.join(CLAIM_OF_GATE)}")
    results = prove(CLAIM_OF_GATE[gate]).results
    a, b, c, active = (to_torch(results[key], (lam,))(threshold).item() for key in ("a", "b", "c", "active"))
    return (a, b, c), active


def against_theory(moments: Moments, exact: Exact) -> dict[str, dict[str, Any]]:
    """Every measure of a simulation beside its exact value, by key.

    Args:    exact: a, b and c as they should be, up to a common factor
    Returns: by measure key `value`, `low`, `high` as in a report, and `theory` (None where undefined)
    """
    compared = {}
    for key, measure in REGISTRY.items():
        theory = None if why_undefined(measure, *exact) else evaluate(measure, *exact).item()
        compared[key] = estimate(moments, measure).to_dict() | {"theory": theory}
    return compared


def against_theory_table(compared: Mapping[str, Mapping[str, Any]], title: str, narrow: bool = False) -> Table:
    """What `against_theory` gives, for a terminal.

    Args: narrow: for 80 columns: without the interval and the symbols
    """
    from rich.table import Table

    table = Table(title=f"[bold]{title}[/]", title_justify="left", pad_edge=False)
    columns = ("measure", "", "simulated", "95 % interval", "theory", "simulated − theory")
    shown = [i for i in range(len(columns)) if not (narrow and i in (1, 3))]
    for i in shown:
        table.add_column(columns[i], justify="left" if i < 2 else "right")
    for key, one in compared.items():
        value, theory = one["value"], one["theory"]
        cells = (
            key,
            REGISTRY[key].plain,
            "undefined" if value is None else f"{value:.8g}",
            "—" if one["low"] is None else f"{one['low']:.8g} … {one['high']:.8g}",
            "undefined" if theory is None else f"{theory:.8g}",
            "—" if value is None or theory is None else f"{value - theory:+.1e}",
        )
        table.add_row(*(cells[i] for i in shown))
    return table
