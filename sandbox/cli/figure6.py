"""The command `figure6`: a sweep of SAEs over sparsity, trained, measured and drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from shlex import join
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import inputs
from sandbox.cli.inputs import Activations, Context, Documents, Hook, Layer, Model, Text, WholeFiles
from sandbox.cli.program import Device, Json, app, console, progress, say
from sandbox.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from sandbox.report import Point
    from sandbox.training.figure6 import Bars

MINUTE = 60
LEFT_OUT = ("γ₁₀", "L/a", "(r−ρ)²")  # of the table on the screen; figure-6.md has them, too


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
            help="relu, gated (with the paper's auxiliary loss), gated_saelens (with SAELens' own), jumprelu or topk; "
            "may come again. If not given: relu and gated."
        ),
    ] = None,
    coefficients: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=X,Y,…",
            help="Sparsity coefficients of an architecture (of topk, the k): relu=0.5,1,2; may come again. "
            "If not given: six or seven, which took L0 from about 5 to about 150 at d = 384.",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of weights and order of tokens: an SAE for each.")] = "0,1",
    latents: Annotated[int | None, typer.Option(min=1, help="Width of each SAE; 4 × d if not given.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens to train on, at most; all if not given.")] = None,
    held_out: Annotated[float, typer.Option(help="Share of the documents that is kept to measure on.")] = 0.05,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training for each SAE.")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="Tokens a step; on a GPU, more are hardly slower.")] = 256,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="SAEs at a time; the number of cores on the CPU, 1 on a GPU.")
    ] = None,
    json: Json = None,
) -> None:
    """Regenerate figure 6: train SAEs over a range of sparsities, measure all on held-out documents, draw the figures.

    Needs SAELens (pip install sae-lens). An SAE of 1536 latents takes some minutes on a core. Stopped or killed, the
    same command goes on from there. Finished SAEs are kept, so that more architectures, coefficients or seeds may be
    asked for later, beside the first ones; what is written is of those that are asked for.
    """
    from sandbox.plots.figure6 import save_figures
    from sandbox.system.outputs import check_outputs, identity, named_by
    from sandbox.training import figure6 as engine
    from sandbox.training.plan import MAIN, coefficients_of, seeds_of

    live: dict[str, Any] = {"model": model, "layer": layer, "hook": hook, "text": text, "context": context}
    live["whole_files"] = whole_files or None
    inputs.check_activations(activations, live)
    check_outputs([json] if json not in (None, "-") else [], given := inputs.files(activations, documents, model, text))
    if identity(out) in {identity(found) for path in given for found in named_by(path)}:
        raise InputError(f"--out {out} is read, too, and would be written to: name another folder")
    sweep: dict[str, Any] = {
        "architectures": architecture or MAIN,
        "coefficients": coefficients_of(coefficients or ()),
        "seeds": seeds_of(seeds),
        "d_sae": latents,
        "tokens": tokens,
        "held_out": held_out,
        "steps": steps,
        "batch": batch,
        "lr": lr,
        "device": device,
        "workers": workers,
        "command": join(["sandbox", *sys.argv[1:]]),
    }
    before = _finished(out)
    try:
        with progress() as bars:
            source = inputs.source(activations, documents, live, device)
            told = {"bars": _said_too(bars), "finished": lambda record: _say_of(record, before)}
            points = engine(source, out, **sweep, **told)
        save_figures(points, out)
    except KeyboardInterrupt:
        say(f"the SAEs in {out} are kept, the unfinished ones too: the same command goes on")
        raise
    except OSError as error:  # a full disk, a file that went away
        raise InputError(f"{error.filename or out}: {error.strerror or error}; the same command goes on") from error
    _print(points, out / "figure-6.json", json)
    if left := before - {point.name for point in points}:
        say(f"{len(left)} more finished SAEs in {out} were not asked for, and are left out")
    say(f"the figures, figure-6.md, figure-6.csv and figure-6.json are in {out}")


def _said_too(bars: Bars) -> Bars:
    """The same bars; where there is no screen for them, a line a minute."""

    def start(label: str, total: int) -> Callable[[int], None]:
        move, done, said = bars(label, total), 0, monotonic()

        def moved(more: int) -> None:
            nonlocal done, said
            move(more)
            done += more
            if not sys.stderr.isatty() and monotonic() - said > MINUTE:
                say(f"{label}: {done / total:.0%}" if total else f"{label}: {done:,} done")
                said = monotonic()

        return moved

    return start


def _finished(out: Path) -> set[str]:
    """Names of the SAEs that are there."""
    return {path.parent.name for path in out.glob("saes/*/training.json")}


def _say_of(record: dict[str, Any], before: set[str]) -> None:
    """Of each SAE, as it is finished, one line."""
    from sandbox.report import Point

    points = [Point.from_dict(held) for held in record["points"]]
    point = next(one for one in points if one.finished)
    gamma = point["relative_reconstruction_bias"].value
    shown = "undefined" if gamma is None else f"{gamma:.4f}"
    took = "there already" if point.name in before else f"{record['seconds']:.0f} s"
    say(f"{point.name}: L0 {point.l0:.1f}, γ = {shown}, {took}")


def _print(points: list[Point], found: Path, json: str | None) -> None:
    """The table, or the JSON in its place; and the JSON where it is asked for."""
    from sandbox.system.files import write_all, write_text

    if json == "-":
        print(found.read_text("utf-8"), end="")
        return
    written = [lambda: write_text(json, found.read_text("utf-8"))] if json else []
    screen = console()
    write_all(lambda: screen.print(_table(points, screen.width)), *written)


def _table(points: list[Point], width: int) -> Table:
    """Each finished SAE on held-out tokens, a row; where the screen is too narrow, a row for each measure of it."""
    from sandbox.report.layout import fitting, stacked, table
    from sandbox.training.results import rows

    head, *body = rows(points)
    shown = [i for i, header in enumerate(head) if header not in LEFT_OUT]
    (tokens, documents) = next((p.tokens, p.documents) for p in points if p.measured_on == "held-out")
    kept = f"{tokens:,} held-out tokens" + (f" of {documents:,} documents" if documents else "")
    title = f"On {kept}, ± half a 95 % interval"

    def wide() -> Table:
        rows = ([row[i] for i in shown] for row in body)
        return table(title, [head[i] for i in shown], rows, right=head[1:])

    groups = ((row[0], [(head[i], row[i]) for i in shown[1:]]) for row in body)
    return fitting(width, wide, lambda: stacked(title, (head[0], "value"), groups))
