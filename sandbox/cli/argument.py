"""The commands of the argument: demo, prove, check, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.program import Device, Json, app, console, progress, say
from sandbox.errors import InputError

Out = Annotated[Path, typer.Option(help="Folder for the figures and report.json; made if missing.")]


@app.command(epilog="Example: [bold]sandbox demo --out sandbox-demo[/]")
def demo(out: Out = Path("sandbox-demo")) -> None:
    """Prove the two scales, simulate them, measure two real SAEs, write figures and report.json."""
    from sandbox.demo import run

    with progress() as bars:
        run(out, console(), bars)


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
    from sandbox.maths import derivations

    screen = console()
    if listed:
        for one in map(derivations.named, claims or [one.number for one in derivations.claims()]):
            screen.print(f"{one.number:>4}  {one.name:<30} {one.statement}", highlight=False, markup=False)
        return
    if not (claims or every):
        raise InputError("name a claim, such as C1, or --all (sandbox prove --list shows them)")
    for which in claims if claims and not every else [one.number for one in derivations.claims()]:
        derivation = derivations.prove(which)
        screen.print(derivation.text, highlight=False, markup=False)
        if mutants:
            from sandbox.maths.proof.mutants import mutate

            screen.print(f"  {mutate(derivation)}", highlight=False, markup=False)
        screen.print()


@app.command(
    epilog="Example: [bold]sandbox check 'c/a * c/b == 1' --plot counterexample.png[/]   or   "
    "[bold]sandbox check 'gamma < 1 => r < 1'[/]"
)
def check(
    claim: Annotated[str, typer.Argument(help="Such as 'c/a * c/b == 1', in quotes.")],
    json: Json = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="The counterexample as .png, .svg or .pdf.")] = None,
) -> None:
    """Decide a claim of your own: true, refuted by explicit vectors, undefined everywhere, or undecided.

    Z3 decides; vectors that refute are evaluated exactly by SymPy, which shows the steps of a proof where it finds them
    quickly. A claim is true if it holds wherever all of its terms are defined.

    [bold]Names[/]: a = E‖x‖², b = E‖x̂‖², c = E\\[x·x̂]; r and rho, the norm ratio and the cosine; theta, the angle,
    0 to pi; L = E‖x̂ − x‖²; gamma, gamma_10; and the measures: scale_x, scale_x_hat, relative_reconstruction_bias,
    equation_10_v1, norm_ratio, cosine, relative_loss, angle_loss, length_loss. Also as γ, ρ, θ, γ₁₀. With a number they
    speak of two SAEs on the same x: gamma1 < gamma2 => c1/a < c2/a.

    [bold]Vectors[/]: norm(x_hat - x)**2, dot(x, x_hat), ‖x̂‖, x·x̂ of one pair; E\\[x·x̂], E‖x̂ − 2x‖² over all; x̂ = x.

    [bold]Formulas[/]: + - * / ** (or ^, ², ³), 2c for 2*c, sqrt √ abs |rho| min max, cos sin tan acos. Angles are in
    radians, or say so: theta <= 90 deg.

    [bold]Claims[/]: == != < <= > >= (or = ≠ ≤ ≥), also in a chain, 0 < rho <= 1; gamma in (0, 2]; not, and, or,
    => (if ... then), <=>; for all s > 0: a + b*s**2 >= 2*s*c.

    The exit status is 0 whatever the verdict (--json says which), and 2 for a text that is no claim, with one line that
    says which word is at fault, or in which two ways it can be read (1/2c).
    """
    from json import dumps

    from sandbox.claims.check import check
    from sandbox.system.files import write_all, write_text
    from sandbox.system.outputs import check_outputs

    check_outputs([path for path in (json, plot) if path not in (None, "-")])
    if plot:
        from sandbox.plots import check_format

        check_format(plot)
    verdict = check(claim)
    text = dumps(verdict.to_dict(), indent=2, ensure_ascii=False)

    def show() -> None:
        if json == "-":
            print(text)
        else:
            console().print(str(verdict), highlight=False, markup=False)

    def draw() -> None:
        if verdict.counterexample is None:
            say(f"the claim is {verdict.verdict}, so there is no counterexample to draw")
            return
        from sandbox.plots import figure, save

        with figure(6, 5.2) as (made, (ax,)):
            verdict.figure(ax)
            save(made, plot or "")

    written = [lambda: write_text(json or "", text + "\n")] if json not in (None, "-") else []
    write_all(show, *written, *([draw] if plot else []))


@app.command(
    epilog="Example: [bold]sandbox simulate --angle 89.9[/]   or   [bold]sandbox simulate --threshold 1 --gate hard[/]"
)
def simulate(
    angle: Annotated[float | None, typer.Option(help="Between x and x̂, in degrees, 0 to 180; 45 if not given.")] = None,
    norm_ratio: Annotated[float | None, typer.Option(help="‖x̂‖/‖x‖; 1 if not given.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="In place of an angle: x̂ is what a threshold leaves of d random features.")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="With --threshold: soft (an L1 penalty; if not given) or hard (a gate).")
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="With --threshold: strengths that are exponential (if not given), half-normal or log-normal, of mean "
            "1. Theory is of exponential ones alone.",
        ),
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

    from sandbox.simulate.distributions import DISTRIBUTIONS
    from sandbox.simulate.features import stream_features
    from sandbox.simulate.theory import against_theory, against_theory_table, at_an_angle, behind_a_threshold
    from sandbox.simulate.vectors import stream
    from sandbox.system.files import write_all, write_text
    from sandbox.system.outputs import check_outputs

    check_outputs([json] if json not in (None, "-") else [])
    if threshold is None and gate is not None:
        raise InputError("--gate needs --threshold, the strength below which features are off")
    if threshold is None and strengths is not None:
        raise InputError("--features needs --threshold, the strength below which features are off")
    strengths = strengths or "exponential"
    if strengths not in DISTRIBUTIONS:
        raise InputError(f"--features is {strengths!r}: choose {', '.join(DISTRIBUTIONS)}")
    if threshold is not None and not angle is norm_ratio is norm is None:
        raise InputError("--threshold simulates features, and takes no --angle, --norm-ratio or --norm")
    angle, norm_ratio = 45.0 if angle is None else angle, 1.0 if norm_ratio is None else norm_ratio
    if not 0 <= angle <= 180:
        raise InputError(f"--angle is {angle:g}: degrees from 0 to 180 are needed")
    with progress() as bars:
        options = {"device": device, "seed": seed, "progress": bars("pairs", n)}
        if threshold is None:
            moments = stream(radians(angle), norm_ratio, d, n, norm=norm or "fixed", **options)
            setting, exact = {"angle": angle, "norm_ratio": norm_ratio}, at_an_angle(radians(angle), norm_ratio)
            title = f"{n:,} pairs at {angle:g}°, ‖x̂‖ = {norm_ratio:g}·‖x‖, d = {d}"
        else:
            gate = gate or "soft"
            moments, share = stream_features(threshold, gate, d, n, distribution=strengths, **options)
            setting = {"threshold": threshold, "gate": gate, "features": strengths, "active": {"value": share.item()}}
            title = f"{n:,} tokens of {d} {strengths} features behind a {gate} threshold {threshold:g}"
            title += f"; active: {share.item():.5f}"
            if strengths == "exponential":
                exact, setting["active"]["theory"] = behind_a_threshold(threshold, gate)
                title += f" (theory: {setting['active']['theory']:.5f})"
            else:
                exact = None
                title += "; no theory: C17 and C18 are of exponential features"
    compared = against_theory(moments, exact)
    if json == "-":
        print(dumps(setting | {"d": d, "n": n, "measures": compared}, indent=2))
        return
    screen = console()
    table = against_theory_table(compared, title, screen.width)
    text = dumps(setting | {"d": d, "n": n, "measures": compared}, indent=2) + "\n"
    write_all(lambda: screen.print(table), *([lambda: write_text(json, text)] if json else []))
