"""The command `figure6`: a sweep of SAEs over sparsity, trained, measured and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import inputs
from sandbox.cli.inputs import Activations, Context, Documents, Hook, Layer, Model, Text, WholeFiles
from sandbox.cli.program import Device, Json, app, console, progress, say
from sandbox.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from sandbox.report import Point


@app.command(
    epilog="Example: [bold]sandbox figure6 --activations acts.npy --documents ids.npy --out sweep[/]; with a model: "
    "[bold]sandbox figure6 --model PATH --layer 6 --text corpus.jsonl --out sweep[/]"
)
def figure6(
    out: Annotated[Path, typer.Option(help="Folder for everything; named again, it goes on from what is there.")],
    activations: Activations = None,
    documents: Documents = None,
    model: Model = None,
    layer: Layer = None,
    hook: Hook = None,
    text: Text = None,
    context: Context = None,
    whole_files: WholeFiles = False,
    architecture: Annotated[
        list[str] | None,
        typer.Option(
            help="relu, gated, gated_saelens, jumprelu or topk; may come again. If not given: relu and gated."
        ),
    ] = None,
    coefficients: Annotated[
        list[str] | None,
        typer.Option(metavar="A=X,Y,…", help="Sparsity coefficients of an architecture: relu=0.5,1,2; may come again."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of the weights and the order of tokens: an SAE for each.")] = "0,1",
    latents: Annotated[int | None, typer.Option(min=1, help="Of each SAE; 4 × d if not given.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="To train on, at most; all if not given.")] = None,
    held_out: Annotated[float, typer.Option(help="Share of the documents that is kept to measure on.")] = 0.05,
    steps: Annotated[int, typer.Option(min=1, help="Of the training of each SAE.")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="Tokens a step; on a GPU, more are hardly slower.")] = 256,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="SAEs at a time; the number of cores on the CPU, 1 on a GPU.")
    ] = None,
    json: Json = None,
) -> None:
    """Regenerate figure 6: train SAEs over a range of sparsities, measure all on held-out documents, draw the figures.

    Needs SAELens: pip install 'shrinkage-sandbox\\[saelens]'. Stopped or killed, the same command goes on from there;
    finished SAEs are kept, so that more architectures, coefficients or seeds may be asked for later.
    """
    from sandbox.sae.sweep import Training, gather, plan, results, sweep, write_results
    from sandbox.sae.sweep.plan import MAIN, coefficients_of, seeds_of

    live: dict[str, Any] = {"model": model, "layer": layer, "hook": hook, "text": text, "context": context}
    live["whole_files"] = whole_files or None
    inputs.check_activations(activations, live)
    jobs = plan(architecture or MAIN, dict(coefficients_of(one) for one in coefficients or ()), seeds_of(seeds))
    _check(out, json, lr, held_out)
    place, count = _place(device, workers, len(jobs))
    made = out.resolve()
    with progress() as bars:
        source = inputs.source(activations, documents, live, device)
        moved = bars("gathering activations", getattr(source, "tokens", None) or 0)
        data = gather(made / "activations", source, held_out, tokens, moved)
        training = Training(latents or 4 * data.d_in, steps, batch, lr)
        say(f"{data.tokens:,} tokens to train on, {data.held_out_tokens:,} held out; {len(jobs)} SAEs, {count} at once")
        done = bars("training", len(jobs) * steps)
        finished = _Finished(len(jobs))
        records = sweep(
            jobs, training, data, made / "saes", device=place, workers=count, progress=done, finished=finished
        )
    found = results(records, training, data)
    points = write_results(found, made)
    _draw(points, made)
    _print(points, found, json)
    say(f"figures, figure-6.csv and figure-6.json are in {out}")


def _check(out: Path, json: str | None, lr: float, held_out: float) -> None:
    """What can be refused before any work."""
    from importlib.util import find_spec

    from sandbox.files import check_outputs

    if not find_spec("sae_lens"):
        raise InputError("training needs SAELens: pip install 'shrinkage-sandbox[saelens]'")
    if not lr > 0:
        raise InputError(f"--lr is {lr}: a number above 0 is needed")
    if not 0 < held_out < 1:
        raise InputError(f"--held-out is {held_out}: a share above 0 and below 1 is needed")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    check_outputs([out / "figure-6.json", *([json] if json not in (None, "-") else [])])


def _place(device: str, workers: int | None, jobs: int) -> tuple[str, int]:
    """The device, and how many SAEs are trained at a time."""
    import os

    from sandbox.devices import device_named

    place = device_named(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return str(place), workers or (min(cores, jobs) if place.type == "cpu" else 1)


class _Finished:
    """Says of each SAE, in one line, that it is finished."""

    def __init__(self, jobs: int) -> None:
        self.jobs, self.count = jobs, 0

    def __call__(self, record: dict[str, Any]) -> None:
        from sandbox.report import Point

        self.count += 1
        point = next(one for held in record["points"] if (one := Point.from_dict(held)).finished)
        gamma = point["relative_reconstruction_bias"].value
        shown = "undefined" if gamma is None else f"{gamma:.4f}"
        say(f"{self.count}/{self.jobs} {point.name}: L0 {point.l0:.1f}, γ = {shown}, {record['seconds']:.0f} s")


def _draw(points: list[Point], folder: Path) -> None:
    from sandbox.plots import save_figures

    save_figures(points, folder)


def _print(points: list[Point], found: dict[str, Any], json: str | None) -> None:
    from json import dumps

    from sandbox.files import write_text

    if json == "-":
        print(dumps(found, indent=1, allow_nan=False))
        return
    if json:
        write_text(json, dumps(found, indent=1, allow_nan=False) + "\n")
    console().print(_table(points, found["architectures"]))


def _table(points: list[Point], words: dict[str, str]) -> Table:
    """Each finished SAE on held-out tokens, a row."""
    from rich.table import Table

    from sandbox.measures import REGISTRY
    from sandbox.report.tables import plus_minus

    table = Table(title="Held-out tokens, ± half a 95 % interval", title_justify="left", pad_edge=False)
    keys = ("relative_reconstruction_bias", "equation_10_v1", "scale_x", "norm_ratio", "relative_loss")
    for header in (
        "SAE",
        "coefficient",
        "seed",
        "L0",
        *(REGISTRY[key].plain for key in keys),
        "γ centred",
        "γ about b_dec",
    ):
        table.add_column(header, justify="left" if header == "SAE" else "right", no_wrap=True)
    bias = "relative_reconstruction_bias"
    for point in points:
        if point.finished and point.measured_on == "held-out":
            facts = (words[point.architecture], f"{point.coefficient:g}", str(point.seed), f"{point.l0:.1f}")
            others = (point.origins.get(origin, {}).get(bias) for origin in ("centred", "decoder_bias"))
            cells = (*(point[key] for key in keys), *others)
            table.add_row(*facts, *("—" if one is None else plus_minus(one, 4) for one in cells))
    return table
