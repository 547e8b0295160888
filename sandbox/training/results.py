"""The results of a sweep as files: all in figure-6.json, every number in figure-6.csv, a summary in figure-6.md."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.maths.measures import REGISTRY
from sandbox.report import Point, points_to_csv, read_points
from sandbox.report.tables import plus_minus
from sandbox.system.files import write_text
from sandbox.training.architectures import ARCHITECTURES
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import Training

BIAS = "relative_reconstruction_bias"
SHOWN = (BIAS, "equation_10_v1", "scale_x", "norm_ratio", "relative_loss", "length_loss")

HOW_TO_READ = (
    "Values on held-out tokens, ± half a 95 % interval. The coefficient sets the sparsity (for TopK, it is k). L0 is "
    "the mean number of active latents per token. a = E‖x‖², b = E‖x̂‖² and c = E[x·x̂]. γ is also given with x and x̂ "
    "centred on their means, about the decoder bias b_dec, and on some of the training tokens:"
)


def results(
    records: Sequence[dict[str, Any]], training: Training, data: SweepData, command: str | None = None
) -> dict[str, Any]:
    """The content of figure-6.json.

    Args:    command: the command line that made it
    Returns: `command`, `python`, `machine`, `activations`, `training`, `architectures` (their names in words), `saes`
             (`settings`, `seconds`, `device` and `libraries` of each), `points` (of `Point.to_dict`)
    """
    points = [_rounded(point) for record in records for point in record["points"]]
    architectures = dict.fromkeys(point["architecture"] for point in points)
    return {
        "command": command,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "activations": data.to_dict(),
        "training": asdict(training),
        "architectures": {key: ARCHITECTURES[key].words for key in architectures},
        "saes": [{key: value for key, value in record.items() if key != "points"} for record in records],
        "points": points,
    }


def write_results(sweep: dict[str, Any], folder: Path) -> list[Point]:
    """Write figure-6.json, then figure-6.csv and figure-6.md from it; return the points."""
    write_text(folder / "figure-6.json", json.dumps(sweep, indent=1, allow_nan=False) + "\n")
    points = read_points(folder)
    write_text(folder / "figure-6.csv", points_to_csv(points))
    write_text(folder / "figure-6.md", provenance(sweep, points))
    return points


def rows(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """A table of the finished SAEs on held-out tokens, values ± half a 95 % interval; the header comes first."""
    on_training = {p.name: p[BIAS] for p in points if p.finished and p.measured_on == "training"}
    head = ("SAE", "coefficient", "seed", "L0", *(REGISTRY[key].plain for key in SHOWN))
    table: list[tuple[str, ...]] = [(*head, "γ centred", "γ about b_dec", "γ on training tokens")]
    for point in points:
        if point.finished and point.measured_on == "held-out":
            others = (point.origins.get(origin, {}).get(BIAS) for origin in ("centred", "decoder_bias"))
            cells = (*(point[key] for key in SHOWN), *others, on_training.get(point.name))
            facts = (ARCHITECTURES[point.architecture].words, f"{point.coefficient:g}", str(point.seed))
            values = ("—" if estimate is None else plus_minus(estimate, 4) for estimate in cells)
            table.append((*facts, f"{point.l0:.1f}", *values))
    return table


def provenance(sweep: dict[str, Any], points: Sequence[Point]) -> str:
    """figure-6.md: where the numbers come from and what they mean."""
    data, training, saes = sweep["activations"], sweep["training"], sweep["saes"]
    kept = (
        f"{data['held_out_documents'] or 0:,} documents" if data["held_out_documents"] else "stretches of 4096 tokens"
    )
    versions = sorted({f"{name} {number}" for sae in saes for name, number in sae["libraries"].items()})
    above = data.get("outliers_above")  # figure-6.json of before there was a choice has no such entry
    without = f"; {data['outliers']:,} tokens of norm above {above:g} × the median are in neither" if above else ""
    passes = training["steps"] * training["batch"] / data["tokens"]
    facts = [
        *([f"- **Command.** `{sweep['command']}`"] if sweep["command"] else []),
        f"- **Activations.** {data['source']}: {data['tokens']:,} training tokens of dimension {data['d_in']}; "
        f"{data['held_out_tokens']:,} held-out tokens of {kept}, for measuring{without}. SHA-256 {data['sha256']}.",
        f"- **Training.** SAELens' trainer, {training['d_sae']} latents, {training['steps']:,} steps of "
        f"{training['batch']} tokens ({passes:.1f} passes), Adam with learning rate {training['lr']:g}, warmed up over "
        "the first 1/20 of the steps and decayed to 0 over the last 1/3; the sparsity penalty is warmed up over the "
        f"first 1/5. Activations are multiplied by {data['scale']:.4f} (to a mean norm of √d); the factor is folded "
        "into the weights.",
        "- **Seeds.** SAEs of the same seed and architecture start from the same weights; all SAEs of the same seed "
        "see the tokens in the same order. All are measured on the same tokens, so that errors of neighbouring points "
        "are correlated.",
        f"- **Machine.** {', '.join(sorted({sae['device'] for sae in saes}))}; {sweep['machine']}; "
        f"Python {sweep['python']}; {', '.join(versions)}. Minutes of training: {_minutes(sweep)}.",
        "- **Files.** `figure-6.csv` has every number, including those measured during training; `figure-6.json` has "
        "everything; the names of figures, if drawn, begin with a number.",
    ]
    columns = [f"- **{REGISTRY[key].plain}**: {REGISTRY[key].question}" for key in SHOWN]
    head, *body = rows(points)
    table = [
        f"| {' | '.join(head)} |",
        f"| --- |{' ---: |' * (len(head) - 1)}",
        *(f"| {' | '.join(row)} |" for row in body),
    ]
    lines = [
        "# Figure 6, regenerated\n",
        "Written by `sandbox figure6`.\n",
        *facts,
        "",
        *table,
        "",
        HOW_TO_READ,
        "",
        *columns,
    ]
    return "\n".join([*lines, ""])


def _minutes(sweep: dict[str, Any]) -> str:
    """Training time by architecture."""
    seconds: dict[str, float] = {}
    for sae in sweep["saes"]:
        words = sweep["architectures"][sae["settings"]["architecture"]]
        seconds[words] = seconds.get(words, 0) + sae["seconds"]
    return ", ".join(f"{words} {total / 60:.0f}" for words, total in seconds.items())


def _rounded(value: Any) -> Any:
    """Every number to seven digits, the last two or three of which are far below any interval."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.7g}") if isinstance(value, float) else value
