"""The program: how it starts and ends, and what its commands share."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from inspect import getdoc
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from sandbox.errors import InputError
from sandbox.system.interrupts import ignore_signals, leave, raise_on_signals
from sandbox.system.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.measuring.one_pass import Stopped

app = typer.Typer(
    name="sandbox",
    help="Prove, see and measure feature shrinkage in sparse autoencoders.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _show_version(requested: bool) -> None:
    if requested:
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
"""Columns of output to a file or a pipe."""

Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write JSON; - writes it, and nothing else, to standard output."),
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write CSV.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a figure: .png, .svg or .pdf.")]
Names = Annotated[list[str] | None, typer.Option("--name", help="Name of the SAE in the output; one per --sae.")]
State = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="Save the run's state here; to resume it, run the same command."),
]
Every = Annotated[float, typer.Option(min=0, help="Seconds between two saves of that state.")]
Device = Annotated[str, typer.Option(help="auto (a GPU if available), cpu, cuda, cuda:N or mps.")]


def unwrap_help() -> None:
    """Make each paragraph of every command's help one line, which typer then wraps to the width of the terminal.

    Typer does so for the first paragraph only, and keeps the line breaks of the others.
    """
    for command in app.registered_commands:
        paragraphs = (getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def files_of(*outputs: str | Path | None) -> list[str | Path]:
    """The outputs that are files: neither left out nor standard output."""
    return [path for path in outputs if path is not None and path != "-"]


def show_and_write(
    json: str | None, text: Callable[[], str], show: Callable[[], object], *more: Callable[[], object]
) -> None:
    """Show a result (with --json -, its JSON instead), write its JSON to the file --json names, and do the rest.

    Everything is tried before the first failure is raised.
    """
    from sandbox.system.files import write_all, write_text

    on_screen = (lambda: print(text(), flush=True)) if json == "-" else show
    to_file = [partial(write_text, path) for path in files_of(json)]
    write_all(on_screen, *(lambda write=write: write(text() + "\n") for write in to_file), *more)


def main() -> None:
    """Run the program: bad input gives one line on standard error and exit status 2, never a traceback.

    A file or a screen that the system refuses (no permission, a full disk) counts as bad input. If the reader of
    standard output has gone, the program ends silently, as if SIGPIPE had killed it.
    """
    if sys.stdout is None:  # the caller closed it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # some encodings lack x̂ and γ
    interrupted = raise_on_signals()
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
            code = _refuse(f"{explain()} (see '{command} --help')") if explain() else 2  # empty: help was shown
        elif not interrupted():
            raise
        # else a library has replaced the KeyboardInterrupt with an exception of its own
    if interrupted():
        say("stopped")
        code = 128 + interrupted()
    ignore_signals(signal.SIGINT, signal.SIGTERM)  # the work is done: nothing is left to stop
    _flush(sys.stdout)
    leave(code or 0)


def end_as_stopped(number: int) -> NoReturn:
    """Exit with the status of a program that this signal stopped, even if the signal is repeated meanwhile.

    Call it within a `stoppable` block: after that, a repeated SIGTERM would kill the process.
    """
    ignore_signals(signal.SIGINT, signal.SIGTERM)
    raise typer.Exit(128 + number)


def _refuse(message: str) -> int:
    say(message)
    return 2


def _refuse_of_system(error: OSError) -> int:
    """Report a system error that no command has handled."""
    if error.errno == errno.EPIPE:
        return 128 + getattr(signal, "SIGPIPE", 13)
    reason = error.strerror or str(error)
    if error.filename is None:  # for files, Python fills it in
        return _refuse(f"standard output cannot be written to: {reason}")
    return _refuse(f"{error.filename}: {reason}")


def _name_a_temporary_folder() -> None:
    """If no folder for temporary files is writable, name one, because some libraries ask for it when imported."""
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.curdir


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse empty arguments: they come from unset variables, and would name the current folder."""
    for before, argument in zip(["sandbox", *arguments], arguments, strict=False):
        if not argument:
            raise InputError(f"the argument after {before} is empty: is a variable unset?")
        if argument.startswith("--") and argument.endswith("="):
            raise InputError(f"{argument} is followed by nothing: is a variable unset?")


def _flush(stream: TextIO) -> None:
    """Flush the stream; if that fails, keep Python from trying again at exit, with a traceback."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(message: str) -> None:
    """One line on standard error."""
    with suppress(OSError):  # standard error may be closed, too
        print("sandbox: " + one_line(message), file=sys.stderr, flush=True)


def say_how_to_resume(stopped: Stopped, checkpoint: Path | None) -> None:
    """One line on what becomes of a stopped run."""
    if stopped.unsaved:
        say(f"stopped: {stopped.unsaved}")
    elif checkpoint:
        say(f"stopped: run the same command to resume from {checkpoint}")
    else:
        say("stopped: only a run with --checkpoint FILE can be resumed")


def console() -> Console:
    """Standard output; if it is not a terminal, COLUMNS wide, or PAGE."""
    from sandbox.system.terminal import Screen

    screen = Screen()
    return screen if screen.is_terminal or "COLUMNS" in os.environ else Screen(width=PAGE)


@contextmanager
def progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on standard error: a label and a total (0: unknown) give a function that advances a new bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from sandbox.system.terminal import Screen

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    screen = Screen(stderr=True)
    shown = screen.is_terminal and os.environ.get("RANK", "0") == "0"  # of several processes, only the first draws
    with Progress(*columns, console=screen, transient=True, disable=not shown) as bars:

        def start(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total or None)
            return lambda done: bars.update(task, advance=done)

        yield start
