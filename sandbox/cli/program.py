"""The program: how it starts and ends, and what its commands share."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from sandbox.errors import InputError
from sandbox.system.text import one_line

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
    """Run the program: bad input is one line on standard error and exit status 2, never a traceback.

    A file or a screen that the system refuses (no permission, a full disk) is bad input, too. Where whoever reads
    standard output has gone, the program ends as if SIGPIPE had ended it, without a word.
    """
    if sys.stdout is None:  # closed by whoever started it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
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
        _name_a_temporary_folder()
        _refuse_empty(sys.argv[1:])
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        code = _refuse(str(error))
    except OSError as error:
        code = _refuse_of_system(error)
    except BaseException as error:
        explain = getattr(error, "format_message", None)  # the usage errors of typer's parser have one
        if isinstance(error, SystemExit) and isinstance(error.__context__, OSError):  # what typer makes of EPIPE
            code = _refuse_of_system(error.__context__)
        elif explain is not None:
            command = getattr(getattr(error, "ctx", None), "command_path", "sandbox")
            code = _refuse(f"{explain()} (see '{command} --help')") if explain() else 2  # no words: help was shown
        elif not stopped:
            raise
        # else a library may have made something of its own of the interrupt
    if stopped:
        say("stopped")
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: there is nothing left to stop
    _let_go_of(sys.stdout)
    sys.exit(code or 0)


def _refuse(message: str) -> int:
    say(message)
    return 2


def _refuse_of_system(error: OSError) -> int:
    """What the system did not let the program do, which no command has put into words of its own."""
    if error.errno == errno.EPIPE:
        return 128 + getattr(signal, "SIGPIPE", 13)
    reason = error.strerror or str(error)
    if error.filename is None:  # of a file, Python names it
        return _refuse(f"standard output cannot be written to: {reason}")
    return _refuse(f"{error.filename}: {reason}")


def _name_a_temporary_folder() -> None:
    """Where no folder for temporary files can be written to, libraries that ask for its name alone still import."""
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.curdir


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse arguments without a character: they come of variables that are not set, and would name this folder."""
    for before, argument in zip(["sandbox", *arguments], arguments, strict=False):
        if not argument:
            raise InputError(f"the argument after {before} is empty: is a variable unset?")
        if argument.startswith("--") and argument.endswith("="):
            raise InputError(f"{argument} is followed by nothing: is a variable unset?")


def _let_go_of(stream: TextIO) -> None:
    """Write what is left; where that fails, Python shall not try once more at the end, with a traceback."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(message: str) -> None:
    """One line on standard error."""
    with suppress(OSError):  # of a screen that is gone, nobody can be told
        print("sandbox: " + one_line(message), file=sys.stderr, flush=True)


def console() -> Console:
    """Standard output; where it is no terminal, as wide as COLUMNS says, or else as a page is."""
    from sandbox.system.terminal import Screen

    found = Screen()
    return found if found.is_terminal or "COLUMNS" in os.environ else Screen(width=PAGE)


@contextmanager
def progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on standard error: call with a label and a total (0: unknown) for a function that moves one on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from sandbox.system.terminal import Screen

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    screen = Screen(stderr=True)
    shown = screen.is_terminal and os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    with Progress(*columns, console=screen, transient=True, disable=not shown) as bars:

        def start(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total or None)
            return lambda done: bars.update(task, advance=done)

        yield start
