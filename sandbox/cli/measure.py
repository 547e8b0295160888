"""The command `measure`: real SAEs on real activations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import inputs
from sandbox.cli.inputs import (
    Activations,
    BatchSize,
    Context,
    Documents,
    Dtype,
    Hook,
    Layer,
    Model,
    Saes,
    Text,
    WholeFiles,
)
from sandbox.cli.program import Device, Json, app, console, progress, say
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.report import Report


@app.command(
    epilog="Example: [bold]sandbox measure --sae embedded:minilm-gated --activations embedded:activations "
    "--documents embedded:documents --plot gated.png[/]"
)
def measure(
    sae: Saes = None,
    activations: Activations = None,
    documents: Documents = None,
    model: Model = None,
    layer: Layer = None,
    hook: Hook = None,
    text: Text = None,
    context: Context = None,
    whole_files: WholeFiles = False,
    x: Annotated[str | None, typer.Option("--x", help="In place of all these: activations …")] = None,
    x_hat: Annotated[str | None, typer.Option("--x-hat", help="… and their reconstructions, a file each.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Of the SAE, in the output; one for each --sae.")] = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 4096,
    drop_nonfinite: Annotated[
        bool, typer.Option("--drop-nonfinite", help="Leave out tokens with NaN or infinity.")
    ] = False,
    exclude_outliers: Annotated[
        bool, typer.Option("--exclude-outliers", help="Leave out tokens of norm above 100 × the median.")
    ] = False,
    published: Annotated[
        int,
        typer.Option(
            min=0, max=2**20, help="Show what SAELens, SAEBench and dictionary_learning print for such batches."
        ),
    ] = 4096,
    preflight: Annotated[bool, typer.Option(help="Look at a sample first, at all norms afterwards, and warn.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse where that warns.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the run's state there; the same command goes on from it.")
    ] = None,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two savings of it.")] = 30.0,
    latents: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a row for each latent of the one --sae, as .npz or .parquet. Columns: latent (row of W_dec), "
            "scale_factor (the best one for it alone: 1 not shrunk, above 1 shrunk), standard_error, low and high "
            "(95 % interval), count (tokens in which it was on); nan where undefined.",
        ),
    ] = None,
    json: Json = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a figure: .png, .svg or .pdf.")] = None,
) -> None:
    """Measure shrinkage of SAEs on activations: every definition side by side, with its 95 % interval.

    Several --sae share one read of the activations, and are compared in one table and one plot. On several processes:
    torchrun --nproc-per-node 2 -m sandbox measure … ('{rank}' in a path stands for the number of the process, where
    each has files of its own). The small real pair that comes with the sandbox is named embedded:minilm-relu and
    embedded:minilm-gated, its data embedded:activations and embedded:documents.
    """
    from sandbox.measuring import measure as engine
    from sandbox.measuring.latents import check_table_format
    from sandbox.measuring.ranks import Ranks
    from sandbox.system.interrupts import stoppable
    from sandbox.system.outputs import check_outputs

    live = {"model": model, "layer": layer, "hook": hook, "text": text, "context": context}
    live["whole_files"] = whole_files or None
    inputs.check_sources(sae, activations, live, x, x_hat)
    outputs = [path for path in (json, csv, plot, latents, checkpoint) if path not in (None, "-")]
    first = Ranks.here().first
    if first:
        check_outputs(outputs, inputs.files(activations, x, x_hat, documents, model, text, saes=sae or ()))
    if plot:
        from sandbox import plots

        plots.check_format(plot)
    if latents:
        check_table_format(latents)
        if len(sae or []) != 1:
            raise InputError("--latents takes the latents of one --sae")
    if name and len(name) != len(sae or [""]):
        raise InputError(f"--name is given {len(name)} times for {len(sae or [''])} SAEs: one for each is needed")
    options: dict[str, Any] = {
        "name": name,
        "batch_size": batch_size,
        "drop_nonfinite": drop_nonfinite,
        "exclude_outliers": exclude_outliers,
        "published": published,
        "latents": latents is not None,
        "look": preflight,
        "strict": strict,
        "warn": lambda line: say(f"warning: {line}"),
        "checkpoint": checkpoint,
        "every": every,
        "tell": say if first else None,
    }
    with stoppable():  # until the report so far is printed, whatever comes after the first Ctrl-C
        try:
            with progress() as bars:
                if sae:
                    source = inputs.source(activations, documents, live, device)
                    total = getattr(source, "tokens", None) or 0
                    # of which this process does its share
                    options["progress"] = bars("tokens", total // Ranks.here().world)
                    options["documents"] = documents if isinstance(source, str) else None  # else opened with it
                    reports = engine.measure(sae, source, device=device, dtype=dtype, **options)
                else:
                    options["progress"] = bars("tokens", 0)
                    reports = [engine.measure_pairs(x or "", x_hat or "", documents=documents, **options)]
        except engine.Stopped as stopped:
            if first and stopped.reports:
                _print(stopped.reports, json)
                if Ranks.here().world > 1:
                    say("these are the tokens of the first process alone")
                say(
                    f"stopped: {stopped.unsaved}"
                    if stopped.unsaved
                    else f"stopped: the same command goes on from {checkpoint}"
                    if checkpoint
                    else "stopped: to be able to go on from there, give --checkpoint FILE"
                )
            raise typer.Exit(128 + stopped.by) from stopped
        except engine.NotSaved as unsaved:
            if first:
                _write(unsaved.reports, json, csv, plot, latents)
            raise
    if first:
        _write(reports, json, csv, plot, latents)


def _write(reports: list[Report], json: str | None, csv: Path | None, plot: Path | None, latents: Path | None) -> None:
    """All that was asked for, the screen first; what cannot be written is no reason to lose the rest."""
    from sandbox import report
    from sandbox.system.files import write_all, write_text

    def draw(plot: Path) -> None:
        from sandbox import plots

        with plots.measured(reports) as figure:
            plots.save(figure, plot)

    writers: list[Callable[[], object]] = [lambda: _print(reports, json)]
    if json not in (None, "-"):
        writers.append(lambda: write_text(json, report.to_json(reports) + "\n"))
    if csv:
        writers.append(lambda: write_text(csv, report.to_csv(reports)))
    if latents:
        writers.append(lambda: reports[0].latents.save(latents))
    if plot:
        writers.append(lambda: draw(plot))
    write_all(*writers)


def _print(reports: list[Report], json: str | None) -> None:
    """On standard output: the tables, or the JSON in their place."""
    from sandbox.report import tables, to_json

    if json == "-":
        print(to_json(reports), flush=True)
        return
    screen = console()
    for one in reports:
        tables.show(one, screen)
        if one.latents is not None:
            screen.print(one.latents.table(width=screen.width))
    if len(reports) > 1:
        screen.print(tables.comparison(reports, screen.width))
    sys.stdout.flush()
