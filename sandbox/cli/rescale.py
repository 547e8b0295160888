"""The command `rescale`: a corrected checkpoint, and what the correction is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli import inputs
from sandbox.cli.inputs import Activations, BatchSize, Context, Documents, Dtype, Hook, Layer, Model, Text, WholeFiles
from sandbox.cli.program import Device, Json, app, console, progress, say
from sandbox.errors import InputError


@app.command(
    epilog="Example: [bold]sandbox rescale --sae embedded:minilm-relu --activations embedded:activations "
    "--documents embedded:documents --out corrected[/]"
)
def rescale(
    sae: Annotated[str, typer.Option(help="Folder or file of a checkpoint, saelens:RELEASE/ID, or embedded:NAME.")],
    out: Annotated[Path, typer.Option(help="New folder for the corrected checkpoint, in the layout it came in.")],
    activations: Activations = None,
    documents: Documents = None,
    model: Model = None,
    layer: Layer = None,
    hook: Hook = None,
    text: Text = None,
    context: Context = None,
    whole_files: WholeFiles = False,
    kind: Annotated[
        str, typer.Option(help="scalar (one factor), scale-shift (and another b_dec), or per-latent.")
    ] = "scalar",
    share: Annotated[float, typer.Option(help="Of the documents to fit on; the others show what it is worth.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the draw of documents.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 4096,
    drop_nonfinite: Annotated[
        bool, typer.Option("--drop-nonfinite", help="Leave out tokens with NaN or infinity.")
    ] = False,
    preflight: Annotated[bool, typer.Option(help="Look at a sample first, and warn.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to run where that warns.")] = False,
    json: Json = None,
) -> None:
    """Undo an SAE's shrinkage: fit a correction of its decoder on some documents, evaluate it on the others, write it.

    The latents stay as they are, and so does L0. The encoder is changed only where it takes b_dec from x and b_dec
    changes, so that the latents stay the same.
    """
    from json import dumps

    from sandbox.checkpoints import read
    from sandbox.measuring import rescale as engine
    from sandbox.measuring.measure import Stopped, look
    from sandbox.measuring.ranks import Ranks
    from sandbox.system.files import check_new_folder, write_all, write_text
    from sandbox.system.outputs import check_outputs

    live = {"model": model, "layer": layer, "hook": hook, "text": text, "context": context}
    live["whole_files"] = whole_files or None
    inputs.check_sources([sae], activations, live, None, None)
    given = inputs.files(activations, documents, model, text, saes=[sae])
    check_outputs([json] if json not in (None, "-") else [], [*given, str(out)])
    check_new_folder(out)
    checkpoint = read(sae)
    engine.check_kind(checkpoint, kind)
    opened = inputs.source(activations, documents, live, device)
    settings = {"device": device, "dtype": dtype, "drop_nonfinite": drop_nonfinite}
    settings["documents"] = documents if isinstance(opened, str) else None  # else opened with them
    findings = look(checkpoint, opened, **settings) if preflight else []
    first = Ranks.here().first
    for one in findings if first else ():
        say(f"warning: {checkpoint.name}: {one.message}")
    if strict and findings:
        raise InputError("--strict, and the look before the run found what is said above")
    options = settings | {"kind": kind, "share": share, "seed": seed}
    with progress() as bars:
        tokens = (getattr(opened, "tokens", None) or 0) // Ranks.here().world  # this process's share
        options |= {"batch_size": batch_size, "progress": bars("tokens", tokens * engine.passes(kind))}
        try:
            made = engine.rescale(checkpoint, opened, **options)
        except Stopped as stopped:
            if first:
                say("stopped")
            raise typer.Exit(128 + stopped.by) from stopped
    if not first:
        return
    text_of, screen = dumps(made.to_dict(), indent=2, allow_nan=False), console()

    def show() -> None:
        if json == "-":
            print(text_of)
            return
        screen.print(made.checkpoint.describe(), highlight=False, markup=False)
        screen.print(made.table(screen.width))

    def write() -> None:
        made.write(out)
        if json != "-":
            screen.print(f"Written: {out}", highlight=False, markup=False)

    write_all(show, write, *([lambda: write_text(json, text_of + "\n")] if json not in (None, "-") else []))
