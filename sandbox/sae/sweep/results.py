"""What a sweep found, as files: figure-6.json with everything, figure-6.csv with every number, README.md to be read."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.files import write_text
from sandbox.measures import REGISTRY
from sandbox.report import ORIGINS, Point, points_to_csv
from sandbox.report.tables import plus_minus
from sandbox.sae.architectures import ARCHITECTURES
from sandbox.sae.sweep.gathered import Gathered
from sandbox.sae.sweep.training import Training

BIAS = "relative_reconstruction_bias"
ALSO = ("scale_x", "norm_ratio", "relative_loss", "length_loss")


def results(
    records: Sequence[dict[str, Any]], training: Training, data: Gathered, command: str | None = None
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
        "training": {**asdict(training), "scale_of_activations": data.scale},
        "architectures": {
            key: ARCHITECTURES[key].words for key in dict.fromkeys(one["architecture"] for one in points)
        },
        "saes": [{key: value for key, value in record.items() if key != "points"} for record in records],
        "points": points,
    }


def write_results(found: dict[str, Any], folder: Path) -> list[Point]:
    """Write figure-6.json, figure-6.csv and README.md; gives the points."""
    points = [Point.from_dict(one) for one in found["points"]]
    write_text(folder / "figure-6.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    write_text(folder / "figure-6.csv", points_to_csv(points))
    write_text(folder / "README.md", provenance(found, points))
    return points


def provenance(found: dict[str, Any], points: Sequence[Point]) -> str:
    """Where the numbers came from and what they are, in Markdown."""
    held, training, saes = found["activations"], found["training"], found["saes"]
    documents = f" of {held['held_out_documents']:,} documents" if held["held_out_documents"] else ""
    versions = sorted({f"{name} {number}" for one in saes for name, number in one["libraries"].items()})
    passes = training["steps"] * training["batch"] / held["tokens"]
    command = [f"- **Command.** `{found['command']}`"] if found["command"] else []
    facts = [
        *command,
        f"- **Activations.** {held['source']}: {held['tokens']:,} tokens of dimension {held['d_in']} to train on; "
        f"{held['held_out_tokens']:,} tokens{documents} held out, to measure on. SHA-256 {held['sha256']}.",
        f"- **Training.** SAELens' trainer, {training['d_sae']} latents, {training['steps']:,} steps of "
        f"{training['batch']} tokens ({passes:.1f} passes), Adam with learning rate {training['lr']:g}, warmed up over "
        "the first 1/20 and led to 0 over the last 1/3; sparsity warmed up over the first 1/5. Activations times "
        f"{training['scale_of_activations']:.4f} (to a mean norm of √d), folded back into the weights.",
        f"- **Machine.** {', '.join(sorted({one['device'] for one in saes}))}; {found['machine']}; "
        f"Python {found['python']}; {', '.join(versions)}. "
        f"Training all took {sum(one['seconds'] for one in saes) / 60:.0f} minutes on it, one after the other.",
        "- **Files.** `figure-6.csv` has every number, `figure-6.json` all of this, too.",
    ]
    words = ("SAE", "coefficient", "seed", "seconds", "L0", "γ", "γ centred", "γ about b_dec", "γ on training tokens")
    others = [REGISTRY[key].plain for key in ALSO]
    table = [f"| {' | '.join((*words, *others))} |", f"| --- |{' ---: |' * (len(words) + len(others) - 1)}"]
    seconds = {_key(one["settings"]): one["seconds"] for one in saes}
    trained = {_key(one.to_dict()): one for one in points if one.finished and one.measured_on == "training"}
    for point in points:
        if point.finished and point.measured_on == "held-out":
            key = _key(point.to_dict())
            gammas = (point.origins.get(origin, {}).get(BIAS) for origin in ORIGINS)
            cells = (*gammas, trained[key][BIAS], *(point[other] for other in ALSO))
            shown = (found["architectures"][point.architecture], f"{point.coefficient:g}", str(point.seed))
            shown += (
                f"{seconds[key]:.0f}",
                f"{point.l0:.1f}",
                *("—" if one is None else plus_minus(one, 4) for one in cells),
            )
            table.append(f"| {' | '.join(shown)} |")
    head = "# Figure 6, regenerated\n\nWritten by `sandbox figure6`; each ± is half a 95 % interval.\n"
    return "\n".join([head, *facts, "", *table, ""])


def _rounded(held: Any) -> Any:
    """With seven digits, of which the last two or three are far below any interval."""
    if isinstance(held, dict):
        return {key: _rounded(one) for key, one in held.items()}
    return float(f"{held:.7g}") if isinstance(held, float) else held


def _key(facts: dict[str, Any]) -> tuple:
    return facts["architecture"], facts["coefficient"], facts["seed"]
