"""The command `loss`: what SAEs cost a language model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.inputs import Dtype, Inputs, K, OutliersAbove, Saes, Strict, check_strict, with_inputs
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
    from sandbox.report.loss_report import LossReport

NOT_LIVE = ("activations", "documents")
HELPS = {
    "model": "Folder of a causal language model of transformers.",
    "layer": "Replace the residual stream after this block, counted from 0. For an SAE on blocks.N.hook_resid_pre, "
    "that is N − 1; on hook_resid_post, N.",
    "hook": "Instead of --layer: name of the module whose output to replace.",
}


@app.command(
    epilog="Example: [bold]sandbox loss --model PATH --layer 14 --text corpus.jsonl --sae SAE --sae corrected "
    "--plot loss.png[/]"
)
@partial(with_inputs, helps=HELPS, hidden=NOT_LIVE)
def loss(
    *,
    sae: Saes = None,
    inputs: Inputs,
    k: K = None,
    name: Names = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    model_dtype: Annotated[
        str, typer.Option(help="Compute the model in float32, float64, bfloat16 or float16.")
    ] = "float32",
    exclude_outliers: Annotated[
        bool,
        typer.Option("--exclude-outliers", help="Leave the activations of tokens of extreme norm as they are."),
    ] = False,
    outliers_above: OutliersAbove = 100,
    share: Annotated[float, typer.Option(help="Share of the documents to fit on; the rest measure the loss.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Random seed of the split of documents.")] = 0,
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Measure the loss on at most so many tokens, spread over the text; all by default."),
    ] = None,
    fit_tokens: Annotated[
        int, typer.Option(min=1, help="Fit corrections on at most so many tokens, spread over the text.")
    ] = 100_000,
    search_tokens: Annotated[
        int, typer.Option(min=0, help="Of these, search the factor of the least loss on so many; 0: no search.")
    ] = 8192,
    ceilings: Annotated[
        bool,
        typer.Option(
            "--ceilings",
            help="Also replace by x̂ with the best factors of all latents together, and with the best decoder.",
        ),
    ] = False,
    published: Annotated[
        bool, typer.Option(help="Show loss recovered as SAELens, SAEBench and dictionary_learning define it.")
    ] = True,
    preflight: Annotated[bool, typer.Option(help="Check a sample first, and warn.")] = True,
    strict: Strict = False,
    checkpoint: State = None,
    every: Every = 30.0,
    json: Json = None,
    csv: Csv = None,
    plot: Plot = None,
) -> None:
    """Measure what SAEs cost a language model: its loss with x replaced by x̂, and what correcting x̂ wins back.

    Replaces the activations at one module (--layer or --hook) by x̂, by x̂ stretched about b_dec with the factor of the
    least error and with that of the least loss, by x̂ with a factor per latent, by their mean, and by zero. Factors and
    mean come from some of the documents, losses from the others. Differences are paired by token; their 95 % intervals
    are over documents. Special tokens keep their activations.

    Loss recovered is (CE of zero − CE of x̂) / (CE of zero − CE of the clean model). Zero is so much worse than any
    reconstruction that it hides differences: look at the nats.
    """
    from sandbox.checkpoints import with_k
    from sandbox.downstream import loss as engine
    from sandbox.measuring.one_pass import NotSaved, Stopped
    from sandbox.measuring.ranks import Ranks
    from sandbox.system.interrupts import stoppable
    from sandbox.system.outputs import check_outputs

    for option in NOT_LIVE:
        if getattr(inputs, option) is not None:
            raise InputError(f"--{option} has no part in this: the loss needs --model, --layer or --hook, and --text")
    if not (sae and inputs.model and inputs.text):
        raise InputError("give --model, --layer or --hook, --text, and one or more --sae")
    inputs.check_with(sae, None, None)
    check_strict(strict, preflight)
    first = Ranks.here().first
    if first:
        check_outputs(files_of(json, csv, plot, checkpoint), inputs.files(saes=sae or ()))
    if plot:
        from sandbox import plots

        plots.check_format(plot)
    saes = with_k(sae or [], k)
    options: dict[str, Any] = {
        "hook": inputs.hook,
        "context": inputs.context,
        "whole_files": inputs.whole_files,
        "model_dtype": model_dtype,
        "dtype": dtype,
        "name": name,
        "share": share,
        "seed": seed,
        "tokens": tokens,
        "fit_tokens": fit_tokens,
        "search_tokens": search_tokens,
        "exclude_outliers": exclude_outliers,
        "outliers_above": outliers_above,
        "ceilings": ceilings,
        "libraries": published,
        "look": preflight,
        "strict": strict,
        "warn": lambda line: say(f"warning: {line}"),
        "checkpoint": checkpoint,
        "every": every,
        "tell": say if first else None,
    }
    with stoppable(), progress() as bars:
        try:
            report = engine(
                inputs.model or "", inputs.layer, inputs.text or "", saes, device=device, bars=bars, **options
            )
        except Stopped as stopped:
            if first and stopped.reports:
                _write(stopped.reports[0], "-" if json == "-" else None, None, None)
            if first:
                say_how_to_resume(stopped, checkpoint)
            end_as_stopped(stopped.by)
        except NotSaved as unsaved:
            if first:
                _write(unsaved.reports[0], json, csv, plot)
            raise
    if first:
        _write(report, json, csv, plot)


def _write(report: LossReport, json: str | None, csv: Path | None, plot: Path | None) -> None:
    """Write every output, the screen first; if one cannot be written, the others still are."""
    from json import dumps

    from sandbox.system.files import write_text

    screen = console()

    def draw(plot: Path) -> None:
        from sandbox import plots

        with plots.losses(report) as figure:
            plots.save(figure, plot)

    def show() -> None:
        for table in report.tables(screen.width):
            screen.print(table)

    writers: list[Callable[[], object]] = []
    if csv:
        writers.append(lambda: write_text(csv, report.to_csv()))
    if plot:
        writers.append(lambda: draw(plot))
    show_and_write(json, lambda: dumps(report.to_dict(), indent=2, allow_nan=False), show, *writers)
