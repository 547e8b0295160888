"""The program: how it starts and ends, and what its commands share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="sandbox",
    help="Prove, see and measure feature shrinkage in sparse autoencoders.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("shrinkage-sandbox"))
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Prove, see and measure feature shrinkage in sparse autoencoders."""


PAGE = 120
"""Columns of what is written to a file or into a pipe."""

Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output, with nothing else on it."),
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:N or mps.")]


def main() -> None:
    """Run the program: bad input is one line on standard error and exit status 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # x̂ and γ do not fit every encoding
    stopped = False

    def stop(*_) -> None:
        nonlocal stopped
        stopped = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        code = _refuse(str(error))
    except BrokenPipeError:  # `sandbox prove --all | head`: the reader has gone, and that is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except BaseException as error:
        explain = getattr(error, "format_message", None)  # the usage errors of typer's parser have one
        if explain is not None:
            command = getattr(getattr(error, "ctx", None), "command_path", "sandbox")
            code = _refuse(f"{explain()} (see '{command} --help')") if explain() else 2  # no words: help was shown
        elif not stopped:
            raise
        # else a library may have made something of its own of the interrupt
    if stopped:
        say("stopped")
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: there is nothing left to stop
    sys.exit(code or 0)


def _refuse(message: str) -> int:
    say(message)
    return 2


def say(message: str) -> None:
    """One line on standard error."""
    print("sandbox: " + " ".join(message.split()), file=sys.stderr)


def console() -> Console:
    """Standard output; where it is no terminal, as wide as COLUMNS says, or else as a page is."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=PAGE)


@contextmanager
def progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on standard error: call with a label and a total (0: unknown) for a function that moves one on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    screen = Console(stderr=True)
    shown = screen.is_terminal and os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    with Progress(*columns, console=screen, transient=True, disable=not shown) as bars:

        def start(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total or None)
            return lambda done: bars.update(task, advance=done)

        yield start
