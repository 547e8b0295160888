"""The command `measure`: real SAEs on real activations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.inputs import (
    BatchSize,
    DropNonfinite,
    Dtype,
    Inputs,
    K,
    OutliersAbove,
    Saes,
    Strict,
    TargetHook,
    Targets,
    check_strict,
    with_inputs,
)
from sandbox.cli.program import (
    Csv,
    Device,
    Every,
    Json,
    Names,
    Plot,
    State,
    app,
    console,
    end_as_stopped,
    files_of,
    progress,
    say,
    say_how_to_resume,
    show_and_write,
)
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.report import Report


@app.command(
    epilog="Example: [bold]sandbox measure --sae embedded:minilm-gated --activations embedded:activations "
    "--documents embedded:documents --plot gated.png[/]"
)
@with_inputs
def measure(
    *,
    sae: Saes = None,
    inputs: Inputs,
    targets: Targets = None,
    target_hook: TargetHook = None,
    x: Annotated[str | None, typer.Option("--x", help="Instead of all the above: a file of activations.")] = None,
    x_hat: Annotated[str | None, typer.Option("--x-hat", help="With --x: a file of their reconstructions.")] = None,
    k: K = None,
    name: Names = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 4096,
    drop_nonfinite: DropNonfinite = False,
    exclude_outliers: Annotated[
        bool, typer.Option("--exclude-outliers", help="Leave out tokens of extreme norm.")
    ] = False,
    outliers_above: OutliersAbove = 100,
    published: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**20,
            help="Show what SAELens, SAEBench, dictionary_learning and sparsify print at this batch size; 0 for none.",
        ),
    ] = 4096,
    preflight: Annotated[bool, typer.Option(help="Check a sample first and all norms afterwards, and warn.")] = True,
    strict: Strict = False,
    checkpoint: State = None,
    every: Every = 30.0,
    latents: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a row per latent of a single --sae, as .npz or .parquet. Columns: latent (row of W_dec), "
            "scale_factor (the best factor for that latent alone: above 1 if shrunk), standard_error, low and high "
            "(95 % interval), count (tokens on which it is active), predicted (scale_factor by the law of the L1 "
            "penalty, where its coefficient is known); nan where undefined.",
        ),
    ] = None,
    l1: Annotated[
        list[float] | None,
        typer.Option(
            help="L1 coefficient of training, one per --sae, where the checkpoint does not state it: predicts γ. It is "
            "in the units of the activations that training saw."
        ),
    ] = None,
    directions: Annotated[
        bool,
        typer.Option(
            "--directions",
            help="Measure along bands of the principal components of x, too: components from half of the documents, "
            "measured on the other half, in two more passes over the activations.",
        ),
    ] = False,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Last component of each band but the last, such as 5,20,50; implies --directions.",
        ),
    ] = None,
    json: Json = None,
    csv: Csv = None,
    plot: Plot = None,
) -> None:
    """Measure shrinkage of SAEs on activations: every definition side by side, with its 95 % interval.

    A transcoder is measured against the activations that it reconstructs: give them by --targets or --target-hook.

    "Where the loss is" divides it among the tokens' angles, factors that differ between tokens, and a common factor,
    raw and about b_dec; centred, it would need a second reading. A common factor ("sandbox rescale") recovers only the
    last part; one factor per latent ("--kind per-latent") may recover some of each.

    Several --sae share one read of the activations, and are compared in one table and one plot, with each difference
    from the first SAE and its interval: on the same tokens, it is sharper than either SAE's own. To use several
    processes: torchrun --nproc-per-node 2 -m sandbox measure … ('{rank}' in a path is the number of the process, if
    each has its own files). The sandbox includes two small real SAEs, embedded:minilm-relu and embedded:minilm-gated,
    with embedded:activations and embedded:documents.
    """
    from sandbox.measuring import measure as engine
    from sandbox.measuring.directions import PASSES
    from sandbox.measuring.latents import check_table_format
    from sandbox.measuring.ranks import Ranks
    from sandbox.system.interrupts import stoppable
    from sandbox.system.outputs import check_outputs

    inputs.check_with(sae, x, x_hat)
    inputs.check_targets(targets, target_hook)
    check_strict(strict, preflight)
    outputs = files_of(json, csv, plot, latents, checkpoint)
    first = Ranks.here().first
    if first:
        check_outputs(outputs, inputs.files(x, x_hat, targets, saes=sae or ()))
    if plot:
        from sandbox import plots

        plots.check_format(plot)
    if latents:
        check_table_format(latents)
        if len(sae or []) != 1:
            raise InputError("--latents needs exactly one --sae")
    if name and len(name) != len(sae or [""]):
        raise InputError(f"--name is given {len(name)} times for {len(sae or [''])} SAEs: give one name per SAE")
    options: dict[str, Any] = {
        "name": name,
        "batch_size": batch_size,
        "drop_nonfinite": drop_nonfinite,
        "exclude_outliers": exclude_outliers,
        "outliers_above": outliers_above,
        "published": published,
        "latents": latents is not None,
        "directions": _bands(bands) or directions,
        "k": k,
        "l1": l1,
        "look": preflight,
        "strict": strict,
        "warn": lambda line: say(f"warning: {line}"),
        "checkpoint": checkpoint,
        "every": every,
        "tell": say if first else None,
    }
    with stoppable():  # a second Ctrl-C does not interrupt the printing of the report
        try:
            with progress() as bars:
                if sae:
                    source = inputs.open(device, target_hook)
                    options["targets"] = targets
                    total = getattr(source, "tokens", None) or 0
                    # this process measures its share
                    passes = 1 + PASSES * bool(options["directions"])
                    options["progress"] = bars("tokens", passes * total // Ranks.here().world)
                    options["documents"] = inputs.documents if isinstance(source, str) else None  # else already open
                    reports = engine.measure(sae, source, device=device, dtype=dtype, **options)
                else:
                    options["progress"] = bars("tokens", 0)
                    reports = [engine.measure_pairs(x or "", x_hat or "", documents=inputs.documents, **options)]
        except engine.Stopped as stopped:
            if first and stopped.reports:
                _write(stopped.reports, "-" if json == "-" else None, None, None, None)
                if Ranks.here().world > 1:
                    say("the report covers only the tokens of the first process")
            if first:
                say_how_to_resume(stopped, checkpoint)
            end_as_stopped(stopped.by)
        except engine.AfterTheRun as unfinished:
            if first:
                _write(unfinished.reports, json, csv, plot, latents)
            raise
    if first:
        _write(reports, json, csv, plot, latents)


def _bands(text: str | None) -> tuple[int, ...]:
    """The bands of --bands; raises InputError unless they are whole numbers, separated by commas."""
    try:
        return tuple(int(edge) for edge in text.split(",")) if text is not None else ()
    except ValueError as error:
        raise InputError(f"--bands {text}: give whole numbers separated by commas, such as 5,20,50") from error


def _write(reports: list[Report], json: str | None, csv: Path | None, plot: Path | None, latents: Path | None) -> None:
    """Write every output, the screen first; if one cannot be written, the others still are."""
    from sandbox import report
    from sandbox.system.files import write_text

    def draw(plot: Path) -> None:
        from sandbox import plots

        with plots.measured(reports) as figure:
            plots.save(figure, plot)

    writers: list[Callable[[], object]] = []
    if csv:
        writers.append(lambda: write_text(csv, report.to_csv(reports)))
    if latents:
        writers.append(lambda: reports[0].latents.save(latents, reports[0].l1))
    if plot:
        writers.append(lambda: draw(plot))
    show_and_write(json, lambda: report.to_json(reports), lambda: _show(reports), *writers)


def _show(reports: list[Report]) -> None:
    """Print the tables."""
    from sandbox.report import tables

    screen = console()
    for report in reports:
        tables.show(report, screen)
        if report.latents is not None:
            screen.print(report.latents.table(width=screen.width, l1=report.l1))
    if len(reports) > 1:
        tables.show_comparison(reports, screen)
    sys.stdout.flush()
