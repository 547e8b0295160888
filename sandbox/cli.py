"""The commands. Nothing heavy is imported before a command that needs it has been chosen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
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


Out = Annotated[Path, typer.Option(help="Folder for the figures and report.json; made if missing.")]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output, with nothing else on it."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


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
        print("sandbox: stopped", file=sys.stderr)
        code = 130
    sys.exit(code or 0)


def _refuse(message: str) -> int:
    print("sandbox: " + " ".join(message.split()), file=sys.stderr)
    return 2


@app.command(epilog="Example: [bold]sandbox demo --out sandbox-demo[/]")
def demo(out: Out = Path("sandbox-demo")) -> None:
    """Prove the two scales, simulate them, measure two real SAEs, write figures and report.json."""
    from sandbox.demo import run

    with _progress() as progress:
        run(out, _console(), progress)


@app.command(epilog="Example: [bold]sandbox prove C1 C2[/]   or   [bold]sandbox prove equation-10-v1[/]")
def prove(
    claims: Annotated[list[str] | None, typer.Argument(help="Numbers or names of claims.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Prove every claim.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the claims, prove nothing.")] = False,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Change every sign, factor and exponent: does the proof refuse? Slow.")
    ] = False,
) -> None:
    """Derive claims from random vectors, every step checked by SymPy."""
    from sandbox import derivations

    console = _console()
    if listed:
        for one in map(derivations.named, claims or [one.number for one in derivations.claims()]):
            console.print(f"{one.number:>4}  {one.name:<30} {one.statement}", highlight=False, markup=False)
        return
    if not (claims or every):
        raise InputError("name a claim, such as C1, or --all (sandbox prove --list shows them)")
    for which in claims if claims and not every else [one.number for one in derivations.claims()]:
        derivation = derivations.prove(which)
        console.print(derivation.text, highlight=False, markup=False)
        if mutants:
            from sandbox.derivations.mutants import mutate

            console.print(f"  {mutate(derivation)}", highlight=False, markup=False)
        console.print()


@app.command(epilog="Example: [bold]sandbox check 'c/a * c/b == 1' --plot counterexample.png[/]")
def check(
    claim: Annotated[str, typer.Argument(help="Such as 'c/a * c/b == 1', in quotes.")],
    json: Json = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="The counterexample as .png, .svg or .pdf.")] = None,
) -> None:
    """Decide a claim of your own: a proof, two vectors that refute it, or what was tried.

    It compares two formulas with ==, !=, <, <=, > or >=, also in a chain. Names: a = E‖x‖², b = E‖x̂‖²,
    c = E\\[x·x̂]; r and rho, the norm ratio and the cosine; theta, the angle in radians, 0 to pi; L = E‖x̂ − x‖²; gamma;
    and the measures: scale_x, scale_x_hat, relative_reconstruction_bias, equation_10_v1, norm_ratio, cosine,
    relative_loss, angle_loss, length_loss. Functions: sqrt, abs, and cos, sin, tan of theta. Write 2*c, not 2c.

    The exit status is 0 whatever the verdict (--json says which), and 2 for a text that is no claim.
    """
    from json import dumps

    from sandbox.checking.verdict import check
    from sandbox.files import check_outputs, write_text

    check_outputs([path for path in (json, plot) if path not in (None, "-")])
    if plot:
        from sandbox.plots import check_format

        check_format(plot)
    verdict = check(claim)
    text = dumps(verdict.to_dict(), indent=2, ensure_ascii=False)
    if json == "-":
        print(text)
    else:
        _console().print(str(verdict), highlight=False, markup=False)
    if json not in (None, "-"):
        write_text(json, text + "\n")
    if plot:
        if verdict.counterexample is None:
            print(f"sandbox: the claim is {verdict.verdict}, so there is no counterexample to draw", file=sys.stderr)
            return
        from sandbox.plots import figure, save

        with figure(6, 5.2) as (made, (ax,)):
            verdict.figure(ax)
            save(made, plot)


@app.command(
    epilog="Example: [bold]sandbox simulate --angle 89.9[/]   or   [bold]sandbox simulate --threshold 1 --gate hard[/]"
)
def simulate(
    angle: Annotated[float | None, typer.Option(help="Between x and x̂, in degrees, 0 to 180; 45 if not given.")] = None,
    norm_ratio: Annotated[float | None, typer.Option(help="‖x̂‖/‖x‖; 1 if not given.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="In place of an angle: x̂ is what a threshold leaves of d features ~ Exp(1).")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="With --threshold: soft (an L1 penalty; if not given) or hard (a gate).")
    ] = None,
    d: Annotated[int, typer.Option(help="Dimension, 2 or more; features, with --threshold.")] = 64,
    n: Annotated[int, typer.Option(help="Pairs.")] = 1_000_000,
    norm: Annotated[
        str | None, typer.Option(help="Distribution of ‖x‖: fixed (if not given), chi or log-normal.")
    ] = None,
    device: Device = "cpu",
    seed: Annotated[int, typer.Option(help="Of the generator.", min=0, max=2**63 - 1)] = 0,
    json: Json = None,
) -> None:
    """Simulate pairs at an angle, or features behind a threshold, and compare every measure with theory."""
    from json import dumps
    from math import radians

    from sandbox.features import stream_features
    from sandbox.files import check_outputs, write_text
    from sandbox.simulate import stream
    from sandbox.theory import against_theory, against_theory_table, at_an_angle, behind_a_threshold

    check_outputs([json] if json not in (None, "-") else [])
    if threshold is None and gate is not None:
        raise InputError("--gate needs --threshold, the strength below which features are off")
    if threshold is not None and not angle is norm_ratio is norm is None:
        raise InputError("--threshold simulates features, and takes no --angle, --norm-ratio or --norm")
    angle, norm_ratio = 45.0 if angle is None else angle, 1.0 if norm_ratio is None else norm_ratio
    if not 0 <= angle <= 180:
        raise InputError(f"--angle is {angle:g}: degrees from 0 to 180 are needed")
    with _progress() as progress:
        options = {"device": device, "seed": seed, "progress": progress("pairs", n)}
        if threshold is None:
            moments = stream(radians(angle), norm_ratio, d, n, norm=norm or "fixed", **options)
            setting, exact = {"angle": angle, "norm_ratio": norm_ratio}, at_an_angle(radians(angle), norm_ratio)
            title = f"{n:,} pairs at {angle:g}°, ‖x̂‖ = {norm_ratio:g}·‖x‖, d = {d}"
        else:
            gate = gate or "soft"
            moments, share = stream_features(threshold, gate, d, n, **options)
            exact, active = behind_a_threshold(threshold, gate)
            setting = {"threshold": threshold, "gate": gate, "active": {"value": share.item(), "theory": active}}
            title = f"{n:,} tokens of {d} features behind a {gate} threshold {threshold:g}"
            title += f"; active: {share.item():.5f} (theory: {active:.5f})"
    compared = against_theory(moments, exact)
    if json == "-":
        print(dumps(setting | {"d": d, "n": n, "measures": compared}, indent=2))
        return
    console = _console()
    console.print(against_theory_table(compared, title, narrow=console.width < 115))
    if json:
        write_text(json, dumps(setting | {"d": d, "n": n, "measures": compared}, indent=2) + "\n")


@app.command(
    epilog="Example: [bold]sandbox measure --sae embedded:minilm-gated --activations embedded:activations "
    "--documents embedded:documents --plot gated.png[/]"
)
def measure(
    sae: Annotated[
        str | None, typer.Option(help="Folder in SAELens' layout (cfg.json, sae_weights.safetensors).")
    ] = None,
    activations: Annotated[str | None, typer.Option(help=".npy or .safetensors, shape (..., d).")] = None,
    x: Annotated[str | None, typer.Option("--x", help="In place of --sae: activations …")] = None,
    x_hat: Annotated[str | None, typer.Option("--x-hat", help="… and their reconstructions, a file each.")] = None,
    documents: Annotated[str | None, typer.Option(help="A document id for each token, .npy or .safetensors.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the SAE, in the output.")] = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="To compute the SAE in: float32, float64 or bfloat16.")] = "float32",
    batch_size: Annotated[int, typer.Option(min=1, help="Tokens at a time.")] = 4096,
    drop_nonfinite: Annotated[
        bool, typer.Option("--drop-nonfinite", help="Leave out tokens with NaN or infinity.")
    ] = False,
    json: Json = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a figure: .png, .svg or .pdf.")] = None,
) -> None:
    """Measure shrinkage of an SAE on activations: every definition side by side, with its 95 % interval.

    The small real pair that comes with the sandbox is named embedded:minilm-relu and embedded:minilm-gated,
    its data embedded:activations and embedded:documents.
    """
    from sandbox import report
    from sandbox.files import check_outputs, write_text
    from sandbox.sae import measure as engine
    from sandbox.sae.activations import activations as opened

    _check_sources(sae, activations, x, x_hat)
    outputs = [path for path in (json, csv, plot) if path not in (None, "-")]
    check_outputs(outputs, [path for path in (activations, x, x_hat, documents) if path])
    if plot:
        from sandbox import plots

        plots.check_format(plot)
    options = {
        "documents": documents,
        "name": name,
        "batch_size": batch_size,
        "drop_nonfinite": drop_nonfinite,
    }
    source = activations or x or ""
    with _progress() as progress:
        options["progress"] = progress("tokens", len(opened(source)))
        if sae is not None:
            made = engine.measure(sae, source, device=device, dtype=dtype, **options)
        else:
            made = engine.measure_pairs(source, x_hat or "", **options)
    if json == "-":
        print(report.to_json([made]))
    else:
        console = _console()
        console.print(made.table(narrow=console.width < 130))
        console.print(made.in_words(), highlight=False, markup=False)
    if json not in (None, "-"):
        write_text(json, report.to_json([made]) + "\n")
    if csv:
        write_text(csv, report.to_csv([made]))
    if plot:
        with plots.figure(11.5, 5.4, 2) as (figure, (left, right)):
            plots.intervals([made], left)
            plots.plane([made], right)
            plots.save(figure, plot)


Reports = Annotated[
    list[Path] | None,
    typer.Option("--report", metavar="FILE", help="What 'measure --json' wrote: its SAEs become points of the map."),
]


@app.command(epilog="Example: [bold]sandbox explore --report gated.json[/]")
def explore(
    report: Reports = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Drag the vectors: the explorer as a page, served to this machine alone, until Ctrl-C."""
    import webbrowser

    from sandbox.explorer import page

    with page.server(page.html(_points(report)), port) as server:
        address = f"http://{page.HOST}:{server.server_address[1]}/"
        print(f"The explorer is at {address} (Ctrl-C ends it)", flush=True)
        if browser and not webbrowser.open(address):
            print("sandbox: no browser could be opened: open that address yourself", file=sys.stderr)
        server.serve_forever()


@app.command(epilog="Example: [bold]sandbox page explorer.html[/]")
def page(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The file to write.")],
    report: Reports = None,
) -> None:
    """Write the explorer as one HTML file that needs no Python and no network."""
    from sandbox.explorer import page
    from sandbox.files import check_outputs, write_text

    check_outputs([out], report or [])
    write_text(out, page.html(_points(report)))
    print(f"Written: {out}, a page by itself; its address holds its state, so a link to it can be shared")


def _points(reports: list[Path] | None) -> list[dict] | None:
    """The SAEs of report files as points of the map; None without any, for the embedded pair."""
    from sandbox.explorer.presets import saes_of

    return [point for path in reports for point in saes_of(path)] if reports else None


def _check_sources(sae: str | None, activations: str | None, x: str | None, x_hat: str | None) -> None:
    """Either --sae with --activations, or --x with --x-hat."""
    given = {"--sae": sae, "--activations": activations, "--x": x, "--x-hat": x_hat}
    named = [option for option, value in given.items() if value is not None]
    if named not in (["--sae", "--activations"], ["--x", "--x-hat"]):
        found = " ".join(named) or "none of them"
        raise InputError(f"give --sae with --activations, or --x with --x-hat; found {found}")


def _console() -> Console:
    """Standard output; as wide as a table needs when it is not a terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=150)


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on standard error: call with a label and a total (0: unknown) for a function that moves one on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def start(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total or None)
            return lambda done: bars.update(task, advance=done)

        yield start
