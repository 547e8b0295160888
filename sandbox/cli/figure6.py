"""The command `figure6`: a sweep of SAEs over sparsity, trained, measured and drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from shlex import join
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.inputs import Inputs, with_inputs
from sandbox.cli.program import Device, Json, app, console, files_of, progress, say, show_and_write
from sandbox.errors import InputError
from sandbox.system.text import without_credentials

if TYPE_CHECKING:
    from rich.table import Table

    from sandbox.report import Point
    from sandbox.training.figure6 import Bars

MINUTE = 60
LEFT_OUT = ("γ₁₀", "L/a", "(r−ρ)²")  # columns that only the table in figure-6.md has


@app.command(
    epilog="Example: [bold]sandbox figure6 --activations acts.npy --documents ids.npy --out sweep[/]; with a model: "
    "[bold]sandbox figure6 --model PATH --layer 6 --text corpus.jsonl --out sweep[/]"
)
@with_inputs
def figure6(
    out: Annotated[Path, typer.Option(help="Folder for all output. Name it again to resume.")],
    inputs: Inputs,
    architecture: Annotated[
        list[str] | None,
        typer.Option(
            help="relu, gated (with the paper's auxiliary loss), gated_saelens (with SAELens' own), jumprelu or topk; "
            "repeatable. Default: relu and gated."
        ),
    ] = None,
    coefficients: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=X,Y,…",
            help="Sparsity coefficients of an architecture (of topk, the k): relu=0.5,1,2; repeatable. "
            "Default: six or seven values that span L0 from about 5 to about 150 at d = 384.",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Random seeds for weights and token order; one SAE per seed.")] = "0,1",
    latents: Annotated[int | None, typer.Option(min=1, help="Width of each SAE; 4 × d by default.")] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of training tokens; all by default.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the documents held out for measuring.")] = 0.05,
    steps: Annotated[int, typer.Option(min=1, help="Training steps per SAE.")] = 4000,
    batch: Annotated[
        int, typer.Option(min=1, help="Tokens per step; on a GPU, larger batches cost little extra time.")
    ] = 256,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    outliers_above: Annotated[
        float | None,
        typer.Option(
            min=1, help="Leave tokens of norm above this multiple of the median out of training and measuring."
        ),
    ] = None,
    device: Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="SAEs trained in parallel; by default one per core on the CPU, 1 on a GPU."),
    ] = None,
    json: Json = None,
) -> None:
    """Regenerate figure 6: train SAEs over a range of sparsities, measure all on held-out documents, draw the figures.

    Needs SAELens (pip install sae-lens). An SAE with 1536 latents takes a few minutes per core. To resume a run that
    was stopped or killed, run the same command. Finished SAEs are kept, so you can add architectures, coefficients or
    seeds later; figures and tables show only the SAEs that this command names.
    """
    from sandbox.plots.figure6 import save_figures
    from sandbox.system.outputs import check_outputs, identity, named_by
    from sandbox.training import figure6 as engine
    from sandbox.training.plan import MAIN, coefficients_of, seeds_of

    inputs.check()
    check_outputs(files_of(json), read := inputs.files())
    if identity(out) in {identity(path) for pattern in read for path in named_by(pattern)}:
        raise InputError(f"--out {out} is an input and would be overwritten: name another folder")
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
        "outliers_above": outliers_above,
        "device": device,
        "workers": workers,
        "command": without_credentials(join(["sandbox", *sys.argv[1:]])),
    }
    finished_before = _finished(out)
    try:
        with progress() as bars:
            source = inputs.open(device)
            reporting = {
                "bars": _also_in_lines(bars),
                "finished": lambda record: _say_finished(record, finished_before),
            }
            points = engine(source, out, **sweep, **reporting)
        save_figures(points, out)
    except KeyboardInterrupt:
        say(f"the SAEs in {out} are kept, including unfinished ones: run the same command to resume")
        raise
    except OSError as error:  # a full disk, a file that disappeared
        raise InputError(
            f"{error.filename or out}: {error.strerror or error}: run the same command to resume"
        ) from error
    screen = console()
    text = (out / "figure-6.json").read_text("utf-8").removesuffix("\n")
    show_and_write(json, lambda: text, lambda: screen.print(_table(points, screen.width)))
    if others := finished_before - {point.name for point in points}:
        say(f"{len(others)} more finished SAEs in {out} are not shown, because this command does not name them")
    say(f"the figures, figure-6.md, figure-6.csv and figure-6.json are in {out}")


def _also_in_lines(bars: Bars) -> Bars:
    """The same bars; without a terminal to draw them on, one line per minute."""

    def start(label: str, total: int) -> Callable[[int], None]:
        move, done, last = bars(label, total), 0, monotonic()

        def moved(more: int) -> None:
            nonlocal done, last
            move(more)
            done += more
            if not sys.stderr.isatty() and monotonic() - last > MINUTE:
                say(f"{label}: {done / total:.0%}" if total else f"{label}: {done:,} done")
                last = monotonic()

        return moved

    return start


def _finished(out: Path) -> set[str]:
    """Names of the finished SAEs in the folder."""
    return {path.parent.name for path in out.glob("saes/*/training.json")}


def _say_finished(record: dict[str, Any], finished_before: set[str]) -> None:
    """Print one line when an SAE is finished."""
    from sandbox.report import Point

    points = [Point.from_dict(values) for values in record["points"]]
    point = next(point for point in points if point.finished)
    gamma = point["relative_reconstruction_bias"].value
    shown = "undefined" if gamma is None else f"{gamma:.4f}"
    time = "already finished" if point.name in finished_before else f"{record['seconds']:.0f} s"
    say(f"{point.name}: L0 {point.l0:.1f}, γ = {shown}, {time}")


def _table(points: list[Point], width: int) -> Table:
    """One row per finished SAE, on held-out tokens; on a narrow screen, one row per measure of each."""
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
