"""The committed sweeps as the site's pages read them: one JSON file a figure, out of its CSV files.

The CSV files lie in results/ of a checkout, and with the other data in an installed package.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from sandbox.data import FOLDER
from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY

CHECKOUT, PACKAGED = FOLDER.parents[1] / "results", FOLDER / "results"

FIGURES = {
    "figure-6": ("figure-6", "figure-6-others"),
    "figure-7": ("figure-7",),
    "smollm2": ("figure-6-smollm2",),
}
"""The files that the pages read, and the sweeps in each, whose SAEs were measured on the same tokens."""

ORIGINS = ("raw", "centred", "decoder_bias")
OF_LAW = ("predicted", "gamma", "difference", "penalty", "c")
SETTINGS = ("architecture", "coefficient", "seed")

X_HAT = "x_hat"
NO_SHARE = "x̂ may cost nothing, so there is no share of its cost"


def files() -> Iterator[tuple[str, bytes]]:
    """The figures' results/*.json: the path and the content of each."""
    for name, sweeps in FIGURES.items():
        yield f"results/{name}.json", as_json(sweep(sweeps))
    yield "results/loss.json", as_json(losses())


def sweep(names: tuple[str, ...]) -> dict[str, Any]:
    """Sweeps as one table.

    Returns: `measures`: keys of the registry; `law`: names of what is known of the law; `points`: an SAE at a step of
             its training, on held-out or training tokens. Finished ones have an entry for each origin, in the order of
             `measures`: value, low and high of a 95 % interval, then why it is undefined, if it is. `length_share` is
             by origin, too; its interval is null where the sweep did not keep one.
    """
    points: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in (row for name in names for row in rows(name, "figure-6.csv")):
        key = tuple(row[part] for part in (*SETTINGS, "steps", "measured_on"))
        point = points.setdefault(key, _settings(row) | {"seen": {}})
        point["seen"][row["origin"], row["measure"]] = _estimate(row)
    measures = list(REGISTRY)
    for point in points.values():
        seen = point.pop("seen")
        point["law"] = [seen.get(("law", name)) for name in OF_LAW] if ("law", "gamma") in seen else None
        if point["finished"]:
            point |= {origin: [seen[origin, measure] for measure in measures] for origin in ORIGINS}
            point["length_share"] = {origin: _length_share(seen, origin) for origin in ORIGINS}
    kept = [point for point in points.values() if point["finished"] or point["law"]]
    return {"measures": measures, "law": OF_LAW, "points": kept}


def losses() -> dict[str, Any]:
    """What SAEs cost a language model.

    Returns: `saes`, each with its settings, its L0 in the sweep, `replacements` (by the name of what takes the place of
             x, then by measure: value, low, high) and `curve` (factor of x̂ − b_dec, change of the loss in nats)
    """
    swept = {
        name_of(row): _settings(row)
        for row in rows("figure-6-smollm2", "figure-6.csv")
        if row["finished"] == "True" and row["measured_on"] == "held-out"
    }
    saes: dict[str, dict[str, Any]] = {}
    for row in rows("figure-6-smollm2", "loss.csv"):
        settings = {key: swept[row["sae"]][key] for key in (*SETTINGS, "l0")}
        sae = saes.setdefault(row["sae"], settings | {"replacements": {}, "curve": []})
        kind, _, factor = row["replacement"].partition(" ")
        if kind == "factor":
            sae["curve"].append([float(factor), float(row["value"])])
        else:
            sae["replacements"].setdefault(kind, {})[row["measure"]] = _estimate(row)
    for sae in saes.values():
        del sae["replacements"][X_HAT]["share_of_cost"]  # what x̂ wins back of its own cost
        if not (sae["replacements"][X_HAT]["cost"][1] or 0) > 0:  # as in `SaeLosses.costs_something`
            for replacement in sae["replacements"].values():
                replacement["share_of_cost"] = [None, None, None, NO_SHARE]
    return {"saes": [*saes.values()]}


def rows(sweep: str, file: str) -> Iterator[dict[str, str]]:
    """The rows of a committed CSV file. Raises: InputError if it is neither in the checkout nor in the package"""
    for folder in (CHECKOUT, PACKAGED):
        path = folder / sweep / file
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as lines:
                yield from csv.DictReader(lines)
            return
    raise InputError(f"{PACKAGED / sweep / file} is missing: install the package again")


def name_of(row: dict[str, str]) -> str:
    """The name of an SAE of a sweep, as loss.csv has it: that of `sandbox.report.points.sae_name`."""
    return f"{row['architecture']}-{float(row['coefficient']):.12g}-seed-{row['seed']}"


def _settings(row: dict[str, str]) -> dict[str, Any]:
    return {
        "architecture": row["architecture"],
        "coefficient": float(row["coefficient"]),
        "seed": int(row["seed"]),
        "steps": int(row["steps"]),
        "finished": row["finished"] == "True",
        "measured_on": row["measured_on"],
        "l0": float(row["l0"]),
    }


def _estimate(row: dict[str, str]) -> list[Any]:
    numbers: list[Any] = [float(row[part]) if row[part] else None for part in ("value", "low", "high")]
    return [*numbers, row["reason"]] if row["reason"] else numbers


def _length_share(seen: dict[tuple[str, str], list[Any]], origin: str) -> list[Any]:
    """The share of the loss that a common factor recovers; older sweeps kept its two parts only, and no interval."""
    if kept := seen.get((origin, "length_share")):
        return kept
    length, loss = (seen[origin, measure][0] for measure in ("length_loss", "relative_loss"))
    return [length / loss if length is not None and loss else None, None, None]


def as_json(content: Any) -> bytes:
    """The content of a file; numbers that are not finite have no place in it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
