"""The input options that the commands on real SAEs share: checkpoints, activations, or a model and its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from functools import wraps
from glob import escape
from inspect import Parameter, signature
from os.path import isfile, lexists
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_type_hints

import typer

from sandbox.data import resolve
from sandbox.errors import InputError

Saes = Annotated[
    list[str] | None,
    typer.Option("--sae", help="Folder or file of a checkpoint, saelens:RELEASE/ID, or embedded:NAME; repeatable."),
]
K = Annotated[
    list[int] | None,
    typer.Option(
        "--k",
        metavar="K",
        help="Active latents per token, for an SAE of Qwen-Scope, whose files do not state it; with several --sae, one "
        "for all or one for each (0 for an SAE that does not need it).",
    ),
]
Dtype = Annotated[str, typer.Option(help="Compute the SAE in float32, float64 or bfloat16.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Tokens per batch; halved when memory runs short.")]
DropNonfinite = Annotated[bool, typer.Option("--drop-nonfinite", help="Leave out tokens with NaN or infinity.")]
OutliersAbove = Annotated[
    float, typer.Option(min=1, help="Norm above which a token is an outlier, as a multiple of the median norm.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail if these checks warn.")]
Targets = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="For a transcoder, with --activations: the activations that it reconstructs, for the same tokens in the "
        "same order.",
    ),
]
TargetHook = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="For a transcoder, with --model: the module whose output it reconstructs (NAME.input: whose input). One "
        "forward pass serves this and --hook.",
    ),
]


@dataclass(frozen=True)
class Inputs:
    """The options that name the activations: a file of them, or a model that computes them from text."""

    activations: Annotated[
        str | None,
        typer.Option(
            help="Activations, shape (..., d): .npy, .safetensors or .pt, a folder or 'glob*' of shards, or a dataset; "
            "the first two from a store as well, as in 's3://bucket/shards/*.npy'."
        ),
    ] = None
    documents: Annotated[
        str | None,
        typer.Option(help="A document ID per token, in the same file formats: an integer or, in .npy, a string."),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Folder of a transformers model that computes the activations of --text."),
    ] = None
    layer: Annotated[
        int | None,
        typer.Option(
            help="With --model: read the residual stream after this block, counted from 0. For an SAE on "
            "blocks.N.hook_resid_pre, that is N − 1; on hook_resid_post, N."
        ),
    ] = None
    hook: Annotated[
        str | None,
        typer.Option(
            help="With --model, instead of --layer: name of the module whose output to read (NAME.input: its input)."
        ),
    ] = None
    text: Annotated[
        str | None,
        typer.Option(
            help="With --model: the text to run it on. .txt (blank lines separate documents), .jsonl (field text), a "
            "folder or a 'glob*'."
        ),
    ] = None
    context: Annotated[
        int | None,
        typer.Option(help="With --model: tokens per context; by default, as many as the model takes, at most 1024."),
    ] = None
    whole_files: Annotated[
        bool, typer.Option("--whole-files", help="With --model: treat each .txt file as one document.")
    ] = False

    def check(self) -> None:
        """Refuse all but --activations alone, or --model with --text and either --layer or --hook.

        Raises: InputError that says which options were given
        """
        named = self._named()
        if not ({"--model", "--text"} <= set(named) if self.activations is None else named == ["--activations"]):
            options = " ".join(named) or "none of them"
            raise InputError(f"give --activations, or --model with --layer and --text; found {options}")
        self._check_where()

    def check_with(self, sae: Sequence[str] | None, x: str | None, x_hat: str | None) -> None:
        """The same for a command that needs --sae as well, or takes --x with --x-hat instead of everything else."""
        others = {"--sae": sae or None}, {"--x": x, "--x-hat": x_hat}
        before, after = ([option for option, value in each.items() if value is not None] for each in others)
        named = [*before, *self._named(), *after]
        live = {"--sae", "--model", "--text"} <= set(named) and not {"--activations", "--x", "--x-hat"} & set(named)
        if live:
            self._check_where()
        elif named not in (["--sae", "--activations"], ["--x", "--x-hat"]):
            options = " ".join(named) or "none of them"
            raise InputError(
                "give --sae with --activations, or --sae with --model, --layer and --text, or --x with --x-hat; "
                f"found {options}"
            )

    def check_targets(self, targets: str | None, target_hook: str | None) -> None:
        """Refuse --targets without --activations, and --target-hook without --model."""
        if targets is not None and self.activations is None:
            raise InputError("--targets needs --activations; with --model, name the target's module by --target-hook")
        if target_hook is not None and self.model is None:
            raise InputError("--target-hook needs --model; with --activations, give the targets by --targets")

    def open(self, device: str, target_hook: str | None = None) -> Any:
        """The activations, opened; a path with {rank} stays a path, because each process opens its own.

        Args: target_hook: with a model, the module whose output a transcoder reconstructs
        """
        from sandbox.activations import activations
        from sandbox.measuring.ranks import OF_EACH, Ranks

        if self.activations is not None:
            return self.activations if OF_EACH in self.activations else activations(self.activations, self.documents)
        from sandbox.activations.live import live

        if self.documents is not None:
            raise InputError("leave out --documents: with --model, documents come from the text")
        options: dict[str, Any] = {"hook": self.hook, "context": self.context, "whole_files": self.whole_files or None}
        options["target_hook"] = target_hook
        options = {name: value for name, value in options.items() if value is not None}
        device = Ranks.here().device(device)
        return live(self.model or "", self.layer, self.text or "", device=device, **options)

    def files(self, *more: str | None, saes: Sequence[str] = ()) -> list[str]:
        """All input files, as paths and patterns, so that no output overwrites one.

        For an SAE that is a single file, this includes the settings beside it and in the folder above.
        """
        from sandbox.checkpoints import settings_files

        names = (self.activations, *more, self.documents, self.model, self.text, *saes)
        read = [path for name in names if name and not name.startswith("saelens:") for path in _paths(name)]
        folders = [Path(sae).parent for sae in saes if isfile(sae)]
        settings = (
            p for folder in folders for up in (".", "..") for n in settings_files() for p in (folder / up).glob(n)
        )
        return read + [str(path) for path in settings if path.is_file()]

    def _named(self) -> list[str]:
        """The options given, except --documents."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "documents"}
        values["whole_files"] = self.whole_files or None
        return [f"--{name.replace('_', '-')}" for name, value in values.items() if value is not None]

    def _check_where(self) -> None:
        if self.activations is None and (self.layer is None) == (self.hook is None):
            raise InputError("with --model, give either --layer or --hook, to say where to read activations")


def check_strict(strict: bool, preflight: bool) -> None:
    """Refuse --strict without the preflight check that it acts on."""
    if strict and not preflight:
        raise InputError("--strict needs the preflight check: leave out --no-preflight")


def with_inputs(
    command: Callable[..., None], *, helps: Mapping[str, str] = MappingProxyType({}), hidden: Sequence[str] = ()
) -> Callable[..., None]:
    """Give a command the options of `Inputs` in place of its parameter `inputs`, which receives them as one value.

    Args: helps: for options that mean something else here; hidden: options that it refuses, and its help does not show
    """
    hints = get_type_hints(Inputs, include_extras=True)
    for name in (*helps, *hidden):
        kind, option = get_args(hints[name])
        changed = copy(option)
        changed.help, changed.hidden = helps.get(name), name in hidden
        hints[name] = Annotated[kind, changed]
    options = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(Inputs)
    ]
    own = signature(command, eval_str=True)
    parameters = []
    for name, parameter in own.parameters.items():
        parameters += options if name == "inputs" else [parameter.replace(kind=Parameter.KEYWORD_ONLY)]

    @wraps(command)
    def run(**values: Any) -> None:
        inputs = Inputs(**{option.name: values.pop(option.name) for option in options})
        command(inputs=inputs, **values)

    vars(run)["__signature__"] = own.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del vars(run)["__wrapped__"]  # through which typer would find the command's own signature
    return run


def _paths(name: str) -> list[str]:
    from sandbox.activations.stores import is_url
    from sandbox.measuring.ranks import OF_EACH

    if is_url(name):  # no output can overwrite it
        return []
    path = str(resolve(name))
    if not lexists(path) and "::" in path:  # a column of a dataset
        path = path.rpartition("::")[0]
    if OF_EACH in path:
        before, _, after = path.partition(OF_EACH)
        return [f"{before}*{after}", f"{escape(before)}*{escape(after)}"]
    return [path]
