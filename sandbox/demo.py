"""The demo: prove the two scales, simulate them, measure two real SAEs, and draw the results."""

from __future__ import annotations

from collections.abc import Callable
from math import radians
from pathlib import Path

from rich.console import Console

from sandbox import plots
from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.maths.derivations import prove
from sandbox.measuring.measure import measure
from sandbox.report import Report, tables, to_json
from sandbox.simulate.theory import against_theory, against_theory_table, at_an_angle
from sandbox.simulate.vectors import stream
from sandbox.system.files import write_text

PAIRS = 1_000_000


def run(out: Path, console: Console, progress: Callable[[str, int], Callable[[int], None]]) -> list[Report]:
    """Print to `console`, write the figures and report.json into the folder `out`, and return both reports."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {out}: {error.strerror}; choose another with --out") from error
    console.rule("1. Prove: two optimal scales", align="left")
    for number in ("C1", "C2"):
        console.print(prove(number).text, highlight=False, markup=False)
        console.print()

    console.rule(f"2. Simulate: {PAIRS:,} pairs of equal norms at each angle", align="left")
    for degrees in (89.9, 30.0):
        moments = stream(radians(degrees), 1.0, n=PAIRS, progress=progress(f"{degrees:g}°", PAIRS))
        comparison = against_theory(moments, at_an_angle(radians(degrees), 1.0))
        console.print(against_theory_table(comparison, f"{degrees:g}°", console.width))
        console.print()

    console.rule("3. Measure: two real SAEs on real activations", align="left")
    saes = [embedded(name) for name in ("minilm-relu", "minilm-gated")]
    documents, bar = embedded("documents"), progress("tokens", 0)
    reports = measure(saes, embedded("activations"), documents=documents, progress=bar)
    for report in reports:
        console.print(tables.measures(report, console.width))
        console.print()
    for report in reports:
        console.print(report.in_words(), highlight=False, markup=False)
    console.print()

    with plots.figure(11.5, 4.8, 2) as (figure, axes):
        for report, ax in zip(reports, axes, strict=True):
            plots.parabolas(report.moments, ax, report.name)
        plots.save(figure, out / "parabolas.png")
    with plots.figure(7.2, 6.6) as (figure, (ax,)):
        plots.plane(reports, ax)
        plots.save(figure, out / "plane.png")
    with plots.figure(7.2, 5.6) as (figure, (ax,)):
        plots.intervals(reports, ax)
        plots.save(figure, out / "measures.png")
    write_text(out / "report.json", to_json(reports) + "\n")
    console.print(f"Wrote parabolas.png, plane.png, measures.png and report.json to {out}", highlight=False)
    return reports
