"""The commands of real SAEs: measure, rescale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.program import Device, Json, app, console, progress
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.report import Report

Saes = Annotated[
    list[str] | None,
    typer.Option("--sae", help="Folder or file of a checkpoint, saelens:RELEASE/ID, or embedded:NAME; may come again."),
]
Activations = Annotated[
    str | None, typer.Option(help="Shape (..., d): .npy, .safetensors, .pt; a folder or 'glob*' of shards; a dataset.")
]
Documents = Annotated[str | None, typer.Option(help="A document id for each token, in a file likewise.")]
Model = Annotated[str | None, typer.Option(help="In place of --activations: a transformers model …", metavar="PATH")]
Layer = Annotated[int | None, typer.Option(help="… the block whose output is read, from 0 …")]
Hook = Annotated[str | None, typer.Option(help="… or the module, by its name in the model …")]
Text = Annotated[str | None, typer.Option(help="… on this text: .txt, .jsonl, a folder or a 'glob*'.")]
Context = Annotated[
    int | None, typer.Option(help="Tokens that the model reads at once; as many as it can if not given.")
]
Dtype = Annotated[str, typer.Option(help="To compute the SAE in: float32, float64 or bfloat16.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Tokens at a time; halved where memory is short.")]


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
        int, typer.Option(min=0, help="Show what SAELens, SAEBench and dictionary_learning print for such batches.")
    ] = 4096,
    preflight: Annotated[bool, typer.Option(help="Look at a sample first, and warn.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to run where that warns.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the run's state there; the same command goes on from it.")
    ] = None,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two savings of it.")] = 30.0,
    latents: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measure each latent, too; write them as .npz or .parquet.")
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
    from sandbox.files import check_outputs
    from sandbox.sae import measure as engine
    from sandbox.sae.latents import check_table_format
    from sandbox.sae.ranks import Ranks

    live = {"model": model, "layer": layer, "hook": hook, "text": text, "context": context}
    _check_sources(sae, activations, live, x, x_hat)
    outputs = [path for path in (json, csv, plot, latents) if path not in (None, "-")]
    first = Ranks.here().first
    if first:
        check_outputs(outputs, [path for path in (activations, x, x_hat, documents, checkpoint) if path])
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
        "checkpoint": checkpoint,
        "every": every,
    }
    try:
        with progress() as bars:
            if sae:
                source = _source(activations, documents, live, device)
                options["progress"] = bars("tokens", getattr(source, "tokens", None) or 0)
                options["documents"] = documents if isinstance(source, str) else None  # else they are opened with it
                reports = engine.measure(sae, source, device=device, dtype=dtype, **options)
            else:
                options["progress"] = bars("tokens", 0)
                reports = [engine.measure_pairs(x, x_hat, documents=documents, **options)]
    except engine.Stopped as stopped:
        if first and stopped.reports:
            _print(stopped.reports)
            _say(
                f"stopped; the same command goes on from {checkpoint}"
                if checkpoint
                else "stopped; to be able to go on from there, give --checkpoint FILE"
            )
        raise
    if first:
        for report in reports:
            for finding in report.findings:
                _say(f"warning: {report.name}: {finding['message']}")
        _write(reports, json, csv, plot, latents)


def _write(reports: list[Report], json: str | None, csv: Path | None, plot: Path | None, latents: Path | None) -> None:
    """All that was asked for."""
    from sandbox import report
    from sandbox.files import write_text

    if json == "-":
        print(report.to_json(reports))
    else:
        _print(reports)
    if json not in (None, "-"):
        write_text(json, report.to_json(reports) + "\n")
    if csv:
        write_text(csv, report.to_csv(reports))
    if latents:
        reports[0].latents.save(latents)
    if plot:
        from sandbox import plots

        with plots.measured(reports) as figure:
            plots.save(figure, plot)


def _print(reports: list[Report]) -> None:
    from sandbox.report import tables

    screen = console()
    for one in reports:
        tables.show(one, screen)
        if one.latents is not None:
            screen.print(one.latents.table())
    if len(reports) > 1:
        screen.print(tables.comparison(reports))


def _say(message: str) -> None:
    print("sandbox: " + " ".join(message.split()), file=sys.stderr)


def _source(activations: str | None, documents: str | None, live: dict[str, Any], device: str) -> Any:
    """The activations, opened; a path that each process reads for itself stays a path."""
    from sandbox.sae.activations import activations as opened
    from sandbox.sae.measure import OF_EACH

    if activations is None:
        from sandbox.sae.live import live as lively

        if documents is not None:
            raise InputError("--documents are not needed with --model: they are made from the text")
        given = {key: value for key, value in live.items() if key != "layer" and value is not None}
        return lively(given.pop("model"), live["layer"], given.pop("text"), device=device, **given)
    return activations if OF_EACH in activations else opened(activations, documents)


def _check_sources(
    sae: list[str] | None, activations: str | None, live: dict[str, Any], x: str | None, x_hat: str | None
) -> None:
    """Either --sae with --activations, or --sae with --model and --text, or --x with --x-hat."""
    given = {"--sae": sae or None, "--activations": activations}
    given |= {f"--{key}": value for key, value in live.items()} | {"--x": x, "--x-hat": x_hat}
    named = [option for option, value in given.items() if value is not None]
    lively = {"--sae", "--model", "--text"} <= set(named) and not {"--activations", "--x", "--x-hat"} & set(named)
    if lively and ("--layer" in named) == ("--hook" in named):
        raise InputError("with --model, give --layer or --hook: where its activations are read")
    if not lively and named not in (["--sae", "--activations"], ["--x", "--x-hat"]):
        found = " ".join(named) or "none of them"
        raise InputError(
            "give --sae with --activations, or --sae with --model, --layer and --text, or --x with --x-hat; "
            f"found {found}"
        )
