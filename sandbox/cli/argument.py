"""The commands of the argument: demo, prove, check, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.program import Device, Json, app, console, files_of, progress, say, show_and_write
from sandbox.errors import InputError

Out = Annotated[Path, typer.Option(help="Folder for the figures and report.json; created if missing.")]


@app.command(epilog="Example: [bold]sandbox demo --out sandbox-demo[/]")
def demo(out: Out = Path("sandbox-demo")) -> None:
    """Prove the two scales, simulate them, measure two real SAEs, write figures and report.json."""
    from sandbox.demo import run

    with progress() as bars:
        run(out, console(), bars)


@app.command(epilog="Example: [bold]sandbox prove C1 C2[/]   or   [bold]sandbox prove equation-10-v1[/]")
def prove(
    claims: Annotated[list[str] | None, typer.Argument(help="Claims, by number or name.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Prove every claim.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the claims instead of proving them.")] = False,
    mutants: Annotated[
        bool,
        typer.Option(
            "--mutants", help="Change every sign, factor and exponent, and see whether the proof fails. Slow."
        ),
    ] = False,
) -> None:
    """Derive claims about random vectors; SymPy checks every step."""
    from sandbox.maths import derivations

    screen = console()
    if listed:
        for claim in map(derivations.named, claims or [claim.number for claim in derivations.claims()]):
            screen.print(f"{claim.number:>4}  {claim.name:<30} {claim.statement}", highlight=False, markup=False)
        return
    if not (claims or every):
        raise InputError("name a claim, such as C1, or --all (sandbox prove --list shows them)")
    for name in claims if claims and not every else [claim.number for claim in derivations.claims()]:
        derivation = derivations.prove(name)
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
    claim: Annotated[str, typer.Argument(help="In quotes, such as 'c/a * c/b == 1'.")],
    json: Json = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the counterexample: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Decide a claim of your own: true, refuted by explicit vectors, undefined everywhere, or undecided.

    Z3 decides. SymPy evaluates refuting vectors exactly, and shows the steps of a proof if it finds them quickly. A
    claim is true if it holds wherever all its terms are defined.

    [bold]Names[/]: a = E‖x‖², b = E‖x̂‖², c = E\\[x·x̂]; r and rho, the norm ratio and the cosine; theta, the angle,
    0 to pi; L = E‖x̂ − x‖²; gamma, gamma_10; and the measures: scale_x, scale_x_hat, relative_reconstruction_bias,
    equation_10_v1, norm_ratio, cosine, relative_loss, angle_loss, length_loss. γ, ρ, θ and γ₁₀ work too. Numbered
    names compare two SAEs on the same x: gamma1 < gamma2 => c1/a < c2/a.

    [bold]Vectors[/]: norm(x_hat - x)**2, dot(x, x_hat), ‖x̂‖, x·x̂ of one pair; E\\[x·x̂], E‖x̂ − 2x‖² over all; x̂ = x.

    [bold]Formulas[/]: + - * / ** (or ^, ², ³), 2c for 2*c, sqrt √ abs |rho| min max, cos sin tan acos. Angles are in
    radians unless you write deg: theta <= 90 deg.

    [bold]Claims[/]: == != < <= > >= (or = ≠ ≤ ≥), also chained, 0 < rho <= 1; gamma in (0, 2]; not, and, or,
    => (if ... then), <=>; for all s > 0: a + b*s**2 >= 2*s*c.

    The exit status is 0 whatever the verdict (--json says which), and 2 if the text is not a claim; one line then names
    the word at fault, or the two ways to read an ambiguous formula (1/2c).
    """
    from json import dumps

    from sandbox.claims.check import check
    from sandbox.system.outputs import check_outputs

    check_outputs(files_of(json, plot))
    if plot:
        from sandbox.plots import check_format

        check_format(plot)
    verdict = check(claim)

    def show() -> None:
        console().print(str(verdict), highlight=False, markup=False)

    def draw() -> None:
        if verdict.counterexample is None:
            say(f"the claim is {verdict.verdict}, so there is no counterexample to draw")
            return
        from sandbox.plots import figure, save

        with figure(6, 5.2) as (made, (ax,)):
            verdict.figure(ax)
            save(made, plot or "")

    show_and_write(
        json, lambda: dumps(verdict.to_dict(), indent=2, ensure_ascii=False), show, *([draw] if plot else [])
    )


@app.command(
    epilog="Example: [bold]sandbox simulate --angle 89.9[/]   or   [bold]sandbox simulate --threshold 1 --gate hard[/]"
)
def simulate(
    angle: Annotated[
        float | None, typer.Option(help="Angle between x and x̂ in degrees, 0 to 180; 45 by default.")
    ] = None,
    norm_ratio: Annotated[float | None, typer.Option(help="‖x̂‖/‖x‖; 1 by default.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Instead of an angle: x̂ is what this threshold leaves of d random features.")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="With --threshold: soft (an L1 penalty; default) or hard (a gate).")
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="With --threshold: distribution of the strengths, with mean 1: exponential (default), half-normal or "
            "log-normal. Only exponential has a theory to compare with.",
        ),
    ] = None,
    d: Annotated[int, typer.Option(help="Dimension, 2 or more; with --threshold, the number of features.")] = 64,
    n: Annotated[int, typer.Option(help="Number of pairs.")] = 1_000_000,
    norm: Annotated[str | None, typer.Option(help="Distribution of ‖x‖: fixed (default), chi or log-normal.")] = None,
    device: Device = "cpu",
    seed: Annotated[int, typer.Option(help="Random seed.", min=0, max=2**63 - 1)] = 0,
    json: Json = None,
) -> None:
    """Simulate pairs at an angle, or features behind a threshold, and compare every measure with theory."""
    from json import dumps
    from math import radians

    from sandbox.simulate.distributions import DISTRIBUTIONS
    from sandbox.simulate.features import stream_features
    from sandbox.simulate.theory import against_theory, against_theory_table, at_an_angle, behind_a_threshold
    from sandbox.simulate.vectors import stream
    from sandbox.system.outputs import check_outputs

    check_outputs(files_of(json))
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
        raise InputError(f"--angle is {angle:g}: give degrees from 0 to 180")
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
                title += "; no theory: C17 and C18 cover exponential features"
    compared = against_theory(moments, exact)
    screen, text = console(), dumps(setting | {"d": d, "n": n, "measures": compared}, indent=2)
    show_and_write(json, lambda: text, lambda: screen.print(against_theory_table(compared, title, screen.width)))
