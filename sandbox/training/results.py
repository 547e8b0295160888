"""What a sweep found, as files: figure-6.json has everything, figure-6.csv every number; figure-6.md is to be read."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.maths.measures import REGISTRY
from sandbox.report import Point, points_to_csv
from sandbox.report.tables import plus_minus
from sandbox.system.files import write_text
from sandbox.training.architectures import ARCHITECTURES
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import Training

BIAS = "relative_reconstruction_bias"
SHOWN = (BIAS, "equation_10_v1", "scale_x", "norm_ratio", "relative_loss", "length_loss")


HOW_TO_READ = (
    "Values on held-out tokens, ± half a 95 % interval. The coefficient sets the sparsity (of TopK it is k); L0 is the "
    "number of latents that are on at a time. With a = E‖x‖², b = E‖x̂‖² and c = E[x·x̂]; γ also with x and x̂ centred "
    "on their means, seen from the decoder bias b_dec, and on some of the tokens of the training:"
)


def results(
    records: Sequence[dict[str, Any]], training: Training, data: SweepData, command: str | None = None
) -> dict[str, Any]:
    """Everything that there is to say of a sweep, as in figure-6.json.

    Args:    command: that made it, to be found again
    Returns: `command`, `python`, `machine`, `activations`, `training`, `architectures` (their names in words), `saes`
             (`settings`, `seconds`, `device` and `libraries` of each), `points` (of `Point.to_dict`)
    """
    points = [_rounded(point) for record in records for point in record["points"]]
    return {
        "command": command,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "activations": data.to_dict(),
        "training": asdict(training),
        "architectures": {
            key: ARCHITECTURES[key].words for key in dict.fromkeys(one["architecture"] for one in points)
        },
        "saes": [{key: value for key, value in record.items() if key != "points"} for record in records],
        "points": points,
    }


def write_results(found: dict[str, Any], folder: Path) -> list[Point]:
    """Write figure-6.json, figure-6.csv and figure-6.md; gives the points."""
    points = [Point.from_dict(one) for one in found["points"]]
    write_text(folder / "figure-6.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    write_text(folder / "figure-6.csv", points_to_csv(points))
    write_text(folder / "figure-6.md", provenance(found, points))
    return points


def rows(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """A table of the finished SAEs on held-out tokens, values ± half a 95 % interval; its head comes first."""
    trained = {one.name: one[BIAS] for one in points if one.finished and one.measured_on == "training"}
    head = ("SAE", "coefficient", "seed", "L0", *(REGISTRY[key].plain for key in SHOWN))
    found: list[tuple[str, ...]] = [(*head, "γ centred", "γ about b_dec", "γ on training tokens")]
    for point in points:
        if point.finished and point.measured_on == "held-out":
            others = (point.origins.get(origin, {}).get(BIAS) for origin in ("centred", "decoder_bias"))
            cells = (*(point[key] for key in SHOWN), *others, trained.get(point.name))
            facts = (ARCHITECTURES[point.architecture].words, f"{point.coefficient:g}", str(point.seed))
            found.append((*facts, f"{point.l0:.1f}", *("—" if one is None else plus_minus(one, 4) for one in cells)))
    return found


def provenance(found: dict[str, Any], points: Sequence[Point]) -> str:
    """Where the numbers came from and what they are, in Markdown."""
    held, training, saes = found["activations"], found["training"], found["saes"]
    kept = (
        f"{held['held_out_documents'] or 0:,} documents" if held["held_out_documents"] else "stretches of 4096 tokens"
    )
    versions = sorted({f"{name} {number}" for one in saes for name, number in one["libraries"].items()})
    passes = training["steps"] * training["batch"] / held["tokens"]
    facts = [
        *([f"- **Command.** `{found['command']}`"] if found["command"] else []),
        f"- **Activations.** {held['source']}: {held['tokens']:,} tokens of dimension {held['d_in']} to train on; "
        f"{held['held_out_tokens']:,} tokens of {kept} held out, to measure on. SHA-256 {held['sha256']}.",
        f"- **Training.** SAELens' trainer, {training['d_sae']} latents, {training['steps']:,} steps of "
        f"{training['batch']} tokens ({passes:.1f} passes), Adam with learning rate {training['lr']:g}, warmed up over "
        "the first 1/20 and led to 0 over the last 1/3; what penalises density, over the first 1/5. Activations times "
        f"{held['scale']:.4f} (to a mean norm of √d), folded back into the weights.",
        "- **Seeds.** SAEs of one seed and architecture begin with the same weights; all of one seed see the tokens in "
        "the same order. All are measured on the same tokens: errors of neighbouring points go together.",
        f"- **Machine.** {', '.join(sorted({one['device'] for one in saes}))}; {found['machine']}; "
        f"Python {found['python']}; {', '.join(versions)}. Minutes of training: {_minutes(found)}.",
        "- **Files.** `figure-6.csv` has every number, also of looks during the training; `figure-6.json` all of this; "
        "pictures, where they were drawn, begin with a number.",
    ]
    columns = [f"- **{REGISTRY[key].plain}**: {REGISTRY[key].question}" for key in SHOWN]
    head, *body = rows(points)
    table = [
        f"| {' | '.join(head)} |",
        f"| --- |{' ---: |' * (len(head) - 1)}",
        *(f"| {' | '.join(row)} |" for row in body),
    ]
    made = [
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
    return "\n".join([*made, ""])


def _minutes(found: dict[str, Any]) -> str:
    """Of each architecture's training."""
    seconds: dict[str, float] = {}
    for one in found["saes"]:
        words = found["architectures"][one["settings"]["architecture"]]
        seconds[words] = seconds.get(words, 0) + one["seconds"]
    return ", ".join(f"{words} {total / 60:.0f}" for words, total in seconds.items())


def _rounded(held: Any) -> Any:
    """With seven digits, of which the last two or three are far below any interval."""
    if isinstance(held, dict):
        return {key: _rounded(one) for key, one in held.items()}
    return float(f"{held:.7g}") if isinstance(held, float) else held
