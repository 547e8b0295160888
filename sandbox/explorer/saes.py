"""Measured SAEs as points of the map, from the reports that `sandbox measure --json` writes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.data import embedded
from sandbox.errors import InputError


def measured_saes() -> list[dict[str, Any]]:
    """The embedded pair as measured (sandbox/data/README.md): name, cosine and norm ratio."""
    return saes_of(embedded("reports"))


def laws() -> list[dict[str, str]]:
    """What the law of shrinkage (C19) says of each of the embedded pair, as their report has it, in words."""
    saes = json.loads(embedded("reports").read_text(encoding="utf-8"))["saes"]
    return [
        {"law_source": law["source"]}
        | {f"law_{key}": f"{law[key]:.4g}" for key in ("l1", "scale")}
        | {f"law_{key}": f"{law[key]['value']:.4g}" for key in ("penalty", "c", "gamma", "predicted")}
        for law in (sae["law"] for sae in saes)
    ]


def saes_of(path: Any) -> list[dict[str, Any]]:
    """The SAEs of a report that `sandbox measure --json` wrote, as points: `name`, `cosine`, `norm_ratio`.

    Raises: InputError for a file that is not such a report, or in which no SAE has both measures defined
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        measures = [(str(sae["name"]), sae["raw"]) for sae in report["saes"]]
        saes = [
            {"name": name, "cosine": raw["cosine"]["value"], "norm_ratio": raw["norm_ratio"]["value"]}
            for name, raw in measures
        ]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a report: name a file that 'sandbox measure … --json FILE' wrote") from error
    points = [as_point for sae in saes if (as_point := point(sae))]
    if not points:
        raise InputError(f"{path}: no SAE in it has a defined cosine and norm ratio, so there is nothing to show")
    return points


def point(sae: Any) -> dict[str, Any] | None:
    """The SAE as a point of the map; None without a name, a cosine in −1 to 1 and a finite norm ratio of 0 or more."""
    if not isinstance(sae, Mapping) or not {"name", "cosine", "norm_ratio"} <= set(sae):
        return None
    rho, r = sae["cosine"], sae["norm_ratio"]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (rho, r))
    if not numbers or not abs(rho) <= 1 or not 0 <= r <= sys.float_info.max:
        return None
    return {"name": str(sae["name"]), "cosine": rho, "norm_ratio": r}


def sae_state(sae: Mapping[str, Any]) -> dict[str, float]:
    """The settings that put x̂ where the SAE's lies: its angle and norm ratio."""
    return {"angle": math.degrees(math.acos(sae["cosine"])), "norm_ratio": sae["norm_ratio"]}
