"""What the page "Read your report" shows: symptoms that were made on purpose, facts of the sweeps, and claim C29."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sandbox.maths.derivations.register import named
from sandbox.maths.derived import derived
from sandbox.maths.proof.formulas import mathml
from sandbox.site.results import rows

SYMPTOMS = Path(__file__).with_name("symptoms.json")
"""Written by docs/symptoms.py."""

BIAS = "relative_reconstruction_bias"
KNOWN = {"architecture": "gated", "coefficient": "2.1", "seed": "0"}
"""The Gated SAE of figure 6 whose tokens were also measured by the step that last used them."""


def reading() -> dict[str, Any]:
    """`symptoms`, by fault; `facts`, estimates of γ by name; `claim`: C29."""
    claim = named("C29")
    return {
        "symptoms": json.loads(SYMPTOMS.read_text(encoding="utf-8")),
        "facts": facts(),
        "claim": {"number": claim.number, "statement": claim.statement, "mathml": mathml(derived("C29")["bias"])},
    }


def facts() -> dict[str, list[float]]:
    """γ of SAEs of figure 6: value, and the ends of its 95 % interval."""
    sweep = [row for row in rows("figure-6", "figure-6.csv") if row["measure"] == BIAS]
    recent = [row for row in rows("figure-6", "last-seen.csv") if row["measure"] == BIAS and row["origin"] == "raw"]
    of_relu = {"architecture": "relu", "coefficient": "2.1", "seed": "0", "origin": "raw", "measured_on": "held-out"}
    of_saelens = {"architecture": "gated_saelens", "coefficient": "1.6", "seed": "0", "measured_on": "held-out"}
    end = {"finished": "True"}
    return {
        "held_out": _one(sweep, KNOWN | end | {"origin": "raw", "measured_on": "held-out"}),
        "training": _one(sweep, KNOWN | end | {"origin": "raw", "measured_on": "training"}),
        "last_seen": _estimate(max(recent, key=lambda row: int(row["last"]))),
        **{origin: _one(sweep, of_saelens | end | {"origin": origin}) for origin in ("raw", "centred", "decoder_bias")},
        "seed_0": _one(sweep, KNOWN | end | {"origin": "raw", "measured_on": "held-out"}),
        "seed_1": _one(sweep, KNOWN | end | {"seed": "1", "origin": "raw", "measured_on": "held-out"}),
        **{f"steps_{steps}": _one(sweep, of_relu | {"steps": steps}) for steps in ("1000", "2000", "3000", "4000")},
    }


def _one(rows: Iterable[dict[str, str]], wanted: dict[str, str]) -> list[float]:
    (row,) = (row for row in rows if wanted.items() <= row.items())
    return _estimate(row)


def _estimate(row: dict[str, str]) -> list[float]:
    return [float(row[part]) for part in ("value", "low", "high")]
