"""What the commands of real SAEs read, as options: checkpoints, activations, a model and its text."""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape
from os.path import isfile, lexists
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.data import resolve
from sandbox.errors import InputError

SETTINGS = ("cfg.json", "config.json", "hyperparams.json", "activation_scaler.json")
"""What layouts of checkpoints call their settings."""

Saes = Annotated[
    list[str] | None,
    typer.Option("--sae", help="Folder or file of a checkpoint, saelens:RELEASE/ID, or embedded:NAME; may come again."),
]
Activations = Annotated[
    str | None, typer.Option(help="Shape (..., d): .npy, .safetensors, .pt; a folder or 'glob*' of shards; a dataset.")
]
Documents = Annotated[
    str | None, typer.Option(help="A document id for each token, in a file likewise: a number or, in .npy, a text.")
]
Model = Annotated[str | None, typer.Option(help="In place of --activations: a transformers model …", metavar="PATH")]
Layer = Annotated[
    int | None,
    typer.Option(
        help="… the block after which the residual stream is read, from 0 (for an SAE of blocks.N.hook_resid_pre, "
        "N − 1; of hook_resid_post, N) …"
    ),
]
Hook = Annotated[str | None, typer.Option(help="… or the module, by its name in the model …")]
Text = Annotated[
    str | None,
    typer.Option(
        help="… on this text: .txt (blank lines separate documents), .jsonl (field text), a folder or a 'glob*'."
    ),
]
WholeFiles = Annotated[bool, typer.Option("--whole-files", help="Each .txt file is one document.")]
Context = Annotated[
    int | None, typer.Option(help="Tokens that the model reads at once; as many as it can if not given.")
]
Dtype = Annotated[str, typer.Option(help="To compute the SAE in: float32, float64 or bfloat16.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Tokens at a time; halved where memory is short.")]


def source(activations: str | None, documents: str | None, live: dict[str, Any], device: str) -> Any:
    """The activations, opened; a path that each process reads for itself stays a path."""
    from sandbox.activations import activations as opened
    from sandbox.measuring.ranks import OF_EACH, Ranks

    if activations is None:
        from sandbox.activations.live import live as lively

        if documents is not None:
            raise InputError("--documents are not needed with --model: they are made from the text")
        given = {key: value for key, value in live.items() if key != "layer" and value is not None}
        return lively(given.pop("model"), live["layer"], given.pop("text"), device=Ranks.here().device(device), **given)
    return activations if OF_EACH in activations else opened(activations, documents)


def check_sources(
    sae: list[str] | None, activations: str | None, live: dict[str, Any], x: str | None, x_hat: str | None
) -> None:
    """Either --sae with --activations, or --sae with --model and --text, or --x with --x-hat."""
    given = {"--sae": sae or None, "--activations": activations}
    given |= {f"--{key.replace('_', '-')}": value for key, value in live.items()} | {"--x": x, "--x-hat": x_hat}
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


def check_activations(activations: str | None, live: dict[str, Any]) -> None:
    """Either --activations, or --model with --text and --layer or --hook."""
    given = {"--activations": activations} | {f"--{key.replace('_', '-')}": value for key, value in live.items()}
    named = [option for option, value in given.items() if value is not None]
    if not ({"--model", "--text"} <= set(named) if activations is None else named == ["--activations"]):
        found = " ".join(named) or "none of them"
        raise InputError(f"give --activations, or --model with --layer and --text; found {found}")
    if activations is None and ("--layer" in named) == ("--hook" in named):
        raise InputError("with --model, give --layer or --hook: where its activations are read")


def files(*given: str | Path | None, saes: Sequence[str] = ()) -> list[str]:
    """What is read, as paths and patterns, so that no output takes its place; of SAEs that are one file, also the
    settings beside it and in the folder above.
    """
    found = [path for one in (*given, *saes) if one and not str(one).startswith("saelens:") for path in _paths(one)]
    folders = [Path(sae).parent for sae in saes if isfile(sae)]
    settings = (folder / up / name for folder in folders for up in (".", "..") for name in SETTINGS)
    return found + [str(one) for one in settings if one.is_file()]


def _paths(given: str | Path) -> list[str]:
    from sandbox.measuring.ranks import OF_EACH

    path = str(resolve(given))
    if not lexists(path) and "::" in path:  # a column of a dataset
        path = path.rpartition("::")[0]
    if OF_EACH in path:
        before, _, after = path.partition(OF_EACH)
        return [f"{before}*{after}", f"{escape(before)}*{escape(after)}"]
    return [path]
