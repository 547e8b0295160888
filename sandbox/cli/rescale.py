"""The command `rescale`: a corrected checkpoint, and what the correction is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.inputs import BatchSize, DropNonfinite, Dtype, Inputs, Strict, check_strict, with_inputs
from sandbox.cli.program import Device, Json, app, console, end_as_stopped, files_of, progress, say, show_and_write
from sandbox.errors import InputError


@app.command(
    epilog="Example: [bold]sandbox rescale --sae embedded:minilm-relu --activations embedded:activations "
    "--documents embedded:documents --out corrected[/]"
)
@with_inputs
def rescale(
    sae: Annotated[str, typer.Option(help="Folder or file of a checkpoint, saelens:RELEASE/ID, or embedded:NAME.")],
    inputs: Inputs,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the corrected checkpoint; it keeps its layout.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="scalar (one factor), scale-shift (also a new b_dec), per-latent, joint (all latents' factors at "
            "once), decoder (W_dec and b_dec by least squares), or from-l1."
        ),
    ] = "scalar",
    ceilings: Annotated[
        bool,
        typer.Option(
            "--ceilings",
            help="Compare what a decoder can win back: uncorrected, scalar, per-latent, joint, decoder. Without --out, "
            "nothing is written.",
        ),
    ] = False,
    ridge: Annotated[
        float | None,
        typer.Option(
            help="For joint and decoder: hold each row where it starts as if it had been right in that many further "
            "tokens; by default chosen by cross-validation.",
        ),
    ] = None,
    memory: Annotated[
        float, typer.Option(help="For joint and decoder: limit in GB; they need 48 bytes times the square of d_sae.")
    ] = 16.0,
    from_l1: Annotated[
        bool,
        typer.Option(
            "--from-l1",
            help="The same as --kind from-l1: a factor per latent, predicted from the L1 coefficient of training and "
            "the latents alone.",
        ),
    ] = False,
    k: Annotated[
        int | None,
        typer.Option("--k", help="Active latents per token, for an SAE of Qwen-Scope, whose files do not state it."),
    ] = None,
    l1: Annotated[
        float | None,
        typer.Option(
            help="With --from-l1: the coefficient, where the checkpoint does not state it, in the units of the "
            "activations that training saw."
        ),
    ] = None,
    share: Annotated[float, typer.Option(help="Share of documents to fit on; the rest evaluate the fit.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Random seed of the split of documents.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 4096,
    drop_nonfinite: DropNonfinite = False,
    preflight: Annotated[bool, typer.Option(help="Check a sample first, and warn.")] = True,
    strict: Strict = False,
    json: Json = None,
) -> None:
    """Undo an SAE's shrinkage: fit a correction of its decoder on some documents, evaluate it on the rest, write it.

    The latents do not change, and neither does L0. The encoder changes only if it subtracts a b_dec that changes.
    """
    from json import dumps

    from sandbox.checkpoints import read
    from sandbox.measuring import ceilings as compared
    from sandbox.measuring import rescale as engine
    from sandbox.measuring.fits import FROM_L1
    from sandbox.measuring.measure import Stopped, look
    from sandbox.measuring.ranks import Ranks
    from sandbox.system.files import check_new_folder
    from sandbox.system.interrupts import stoppable
    from sandbox.system.outputs import check_outputs

    inputs.check_with([sae], None, None)
    check_strict(strict, preflight)
    if from_l1:
        if kind not in ("scalar", FROM_L1):
            raise InputError(f"--from-l1 is a kind of its own: leave out --kind {kind}")
        kind = FROM_L1
    if l1 is not None and kind != FROM_L1:
        raise InputError("--l1 needs --from-l1")
    if out is None and not ceilings:
        raise InputError("--out is missing: name a new folder for the corrected checkpoint, or compare with --ceilings")
    check_outputs(files_of(json), [*inputs.files(saes=[sae]), *files_of(str(out) if out else None)])
    if out is not None:
        check_new_folder(out)
    checkpoint = read(sae, k)
    kinds = dict.fromkeys((*compared.KINDS * ceilings, kind))
    for one in kinds:
        engine.check_kind(checkpoint, one, l1, ridge, memory, written=out is not None and one == kind)
    source = inputs.open(device)
    settings = {"device": device, "dtype": dtype, "drop_nonfinite": drop_nonfinite}
    # a path that each process opens for itself still needs the document ids
    settings["documents"] = inputs.documents if isinstance(source, str) else None
    findings = look(checkpoint, source, **settings) if preflight else []
    first = Ranks.here().first
    for finding in findings if first else ():
        say(f"warning: {checkpoint.name}: {finding.message}")
    if strict and findings:
        raise InputError("--strict: the preflight check failed, for the reasons above")
    settings |= {"l1": l1, "share": share, "seed": seed, "ridge": ridge, "memory": memory, "batch_size": batch_size}
    with stoppable(), progress() as bars:
        tokens = (getattr(source, "tokens", None) or 0) // Ranks.here().world  # this process's share
        settings["progress"] = bars("tokens", tokens * engine.passes([*kinds]))
        try:
            corrections = engine.corrections(checkpoint, source, [*kinds], **settings)
        except Stopped as stopped:
            if first:
                say("stopped")
            end_as_stopped(stopped.by)
    if not first:
        return
    screen, made = console(), corrections[kind]
    every = compared.Ceilings(corrections) if ceilings else None

    def text() -> str:
        found = made.to_dict() if out is not None else {}
        return dumps(found | (every.to_dict() if every else {}), indent=2, allow_nan=False)

    def show() -> None:
        screen.print(made.checkpoint.describe(), highlight=False, markup=False)
        if out is not None:
            screen.print(made.table(screen.width))
        if every:
            screen.print(every.table(screen.width))

    def write() -> None:
        if out is not None:
            made.write(out)
            if json != "-":
                screen.print(f"Written: {out}", highlight=False, markup=False)

    show_and_write(json, text, show, write)
