"""Exact values to plot and to compare simulations with: a, b and c, and every measure of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, inverse, moments_at, to_torch, why_undefined
from sandbox.maths.derived import derived
from sandbox.maths.measures import REGISTRY
from sandbox.maths.symbols import lam
from sandbox.moments.moments import Moments
from sandbox.report import estimate
from sandbox.report.layout import PRINTED, fitting, stacked, table

if TYPE_CHECKING:
    from rich.table import Table

Exact = tuple[float, float, float]
CLAIM_OF_GATE = {"soft": "C17", "hard": "C18"}


def at_an_angle(angle: float, norm_ratio: float, energy: float = 1.0) -> Exact:
    """a, b, c of pairs that are all at one angle (radians) and in one ratio of norms; `energy` is a.

    The cosine is rounded to 15 digits: that of π/2 is 0, and that of π/3 is ½, which decides whether γ is defined.
    """
    a, b, c = moments_at(round(math.cos(angle), 15), norm_ratio, energy)
    return a.item(), b.item(), c.item()


def behind_a_threshold(threshold: float, gate: str) -> tuple[Exact, float]:
    """a, b, c of each feature f ~ Exp(1) behind a "soft" or "hard" threshold, and the share that is active.

    Source:  C17, C18
    >>> behind_a_threshold(1.0, "soft")[1]
    0.36787944117144233
    """
    (a, b, c), active = _of_a_feature(gate, threshold)
    return (a.item(), b.item(), c.item()), active.item()


class ClosedForm(NamedTuple):
    """Curves over the share of active features.

    Attributes:
        threshold: Float64[Tensor, "*grid"], the threshold that leaves each share active, in units of the mean strength
        values:    every measure of the registry by key, Float64[Tensor, "*grid"]; nan where undefined
    """

    threshold: Float64[Tensor, "*grid"]
    values: dict[str, Float64[Tensor, "*grid"]]


def at_shares(share: float | Tensor, gate: str) -> ClosedForm:
    """Every measure when a "soft" or "hard" threshold leaves this share of features f ~ Exp(1) active.

    The share is L0 over the width, the axis of figure 6. The threshold comes from solving the derivation's share for
    λ, and the measures from its a, b and c, so no formula is written here.

    Args:    share: above 0 and at most 1 (nothing is cut off), any shape; gate: "soft" (L1) or "hard" (a gate)
    Returns: float64, on the share's device
    Raises:  InputError for a share outside this range, or another gate
    Source:  C17, C18

    >>> at_shares(torch.tensor([1.0, 0.1, 0.01]), "soft").values["relative_reconstruction_bias"]
    tensor([1.0000, 0.4648, 0.3028], dtype=torch.float64)
    """
    share = torch.as_tensor(share, dtype=torch.float64)
    if not ((share > 0) & (share <= 1)).all():
        raise InputError("a share of active features lies outside 0 to 1: it is L0 over the width, above 0")
    threshold = inverse(_results(gate)["active"], lam)(share)
    moments, _ = _of_a_feature(gate, threshold)
    return ClosedForm(threshold, {key: evaluate(measure, *moments) for key, measure in REGISTRY.items()})


def _results(gate: str) -> Mapping[str, Any]:
    if gate not in CLAIM_OF_GATE:
        raise InputError(f"gate is {gate!r}: choose {', '.join(CLAIM_OF_GATE)}")
    return derived(CLAIM_OF_GATE[gate])


def _of_a_feature(gate: str, threshold: float | Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """a, b and c of one feature behind thresholds of any shape, and the share of features that are active."""
    a, b, c, active = (to_torch(_results(gate)[key], (lam,))(threshold) for key in ("a", "b", "c", "active"))
    return (a, b, c), active


def against_theory(moments: Moments, exact: Exact | None) -> dict[str, dict[str, Any]]:
    """Every measure of a simulation beside its exact value, by key.

    Args:    exact: the exact a, b and c, up to a common factor; None if no derivation gives them
    Returns: by measure key `value`, `low`, `high` as in a report and, with `exact`, `theory` (None where undefined)
    """
    compared = {}
    for key, measure in REGISTRY.items():
        compared[key] = estimate(moments, measure).to_dict()
        if exact:
            compared[key]["theory"] = None if why_undefined(measure, *exact) else evaluate(measure, *exact).item()
    return compared


def against_theory_table(compared: Mapping[str, Mapping[str, Any]], title: str, width: int = PRINTED) -> Table:
    """The result of `against_theory` as a table for a terminal; columns of theory only if there are exact values.

    Args: width: of the terminal. A narrow one drops the symbols, and beside exact values the intervals; a narrower one
          gets a row for each number
    """
    exact = all("theory" in comparison for comparison in compared.values())
    shown = [range(6), (0, 2, 4, 5)] if exact else [range(4), (0, 2, 3)]
    wide = partial(_theory_table, compared, title)
    return fitting(width, *(partial(wide, columns) for columns in shown), partial(_theory_rows, compared, title, exact))


def _theory_table(compared: Mapping[str, Mapping[str, Any]], title: str, shown: Sequence[int]) -> Table:
    rows = ((key, REGISTRY[key].plain, *_cells(comparison)) for key, comparison in compared.items())
    return table(
        f"[bold]{title}[/]", [HEADERS[i] for i in shown], ([row[i] for i in shown] for row in rows), right=HEADERS[2:]
    )


def _theory_rows(compared: Mapping[str, Mapping[str, Any]], title: str, exact: bool) -> Table:
    named = HEADERS[2:] if exact else HEADERS[2:4]
    groups = ((key, list(zip(named, _cells(comparison), strict=False))) for key, comparison in compared.items())
    return stacked(f"[bold]{title}[/]", ("measure", "value"), groups)


HEADERS = ("measure", "", "simulated", "95 % interval", "theory", "simulated − theory")


def _cells(comparison: Mapping[str, Any]) -> tuple[str, ...]:
    value, theory, low, high = (comparison.get(key) for key in ("value", "theory", "low", "high"))
    return (
        "undefined" if value is None else f"{value:.7g}",
        "—" if low is None else f"{low:.7g} … {high:.7g}",
        "undefined" if theory is None else f"{theory:.7g}",
        "—" if value is None or theory is None else f"{value - theory:+.1e}",
    )
