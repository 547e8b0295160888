"""Every table fits the screen: no line is longer, no value is cut or broken, at any usual width."""

import re
from io import StringIO
from math import radians

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from sandbox.cli.figure6 import _table
from sandbox.measuring.latents import Latents
from sandbox.measuring.measure import measure
from sandbox.measuring.rescale import rescale
from sandbox.report import tables
from sandbox.report.differences import known_differences
from sandbox.report.layout import number
from sandbox.report.parts import PARTS
from sandbox.report.points import Point
from sandbox.simulate.theory import against_theory, against_theory_table, at_an_angle
from sandbox.simulate.vectors import stream
from tests.helpers.runs import N, sandbox, save_sae, tokens

WIDTHS = [60, 80, 100, 120, 160]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """With b_dec, libraries, latents and outliers; one of a long name; and numbers of every size."""
    folder, x = tmp_path_factory.mktemp("saes"), tokens()
    save_sae(folder / "sae-0", 0)
    settings = {"documents": np.arange(N) // 37, "device": "cpu", "published": 512, "look": False}
    plain = measure(folder / "sae-0", x, latents=True, **settings)
    harmed = x.clone()
    harmed[::500] *= 1000
    outliers = measure(
        lambda t: 0.9 * t + 0.1 * t.abs(), harmed, name="a-very-long-name-of-an-sae/layer_12/w-65k", **settings
    )
    turned = measure(lambda t: -t, 1e20 * x, **settings)
    tiny = measure(lambda t: 0.9 * t + 0.001 * t.abs(), 1e-20 * x, **settings)
    return [plain, outliers, turned, tiny]


def printed(table, width) -> str:
    text = StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


def check(text: str, width: int) -> None:
    for line in text.splitlines():
        assert cell_len(line) <= width, line
    assert not re.search(r"\S…|…\S", text), text  # how rich shows that something was cut


def cells(estimates) -> list[str]:
    return [cell for one in estimates for cell in tables.cells_of(one) if cell != "—"]


@pytest.mark.parametrize("width", WIDTHS)
def test_measures_and_statistics(width, reports):
    for report in reports:
        shown = printed(tables.measures(report, width), width)
        check(shown, width)
        every = [
            *report.origins.values(),
            *(report.without_outliers.origins.values() if report.without_outliers else []),
        ]
        for cell in cells(one for estimates in every for one in estimates.values()):
            assert cell in shown, cell
        shown = printed(tables.where_lost(report, width), width)
        check(shown, width)
        for parts in report.loss_parts.values():
            for cell in cells(parts[key] for key in PARTS):
                assert cell in shown, cell
        shown = printed(tables.statistics(report, width), width)
        check(shown, width)
        for cell in cells(report.per_token.values()):
            assert cell in shown, cell
        for library, held in report.published.items():
            assert library in shown
            named = [theirs.get(library, key) for key, (_, theirs) in tables.PUBLISHED_AS.items() if key != "l0"]
            assert all(number(held[name]) in shown for name in named if name in held)
        for note in (tables.WHY_THEY_DIFFER, tables.WHAT_THE_LINE_IS_NOT):
            assert "".join(note.split()) in "".join(shown.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_comparisons_and_latents(width, reports):
    shown = printed(tables.comparison(reports, width), width)
    check(shown, width)
    for report in reports:
        for key in tables.COMPARED:
            assert tables.plus_minus(report.raw[key]) in shown
    saes = [lambda t, s=s: s * t + 0.1 * t.abs() for s in (0.9, 0.5, -1.0)]
    paired = measure(saes, tokens(), name=["a", "a-very-long-name-of-an-sae/layer_12/w-65k", "c"], look=False)
    for compared in (reports, paired):  # of different tokens, and of the same
        every = known_differences(compared)
        shown = printed(tables.differences(every, width), width)
        check(shown, width)
        for one in every:
            if one.origin == "raw" and one.measure in tables.COMPARED:
                assert tables.difference_cell(one.estimate) in shown
    for l1 in (None, 0.5):
        shown = printed(reports[0].latents.table(width=width, l1=l1), width)
        check(shown, width)
        for row in reports[0].latents.most_shrunk(l1=l1):
            assert f"{number(row['low'])} … {number(row['high'])}" in shown
            assert l1 is None or number(row["predicted"]) in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_simulations(width):
    compared = against_theory(stream(radians(89.9), 1.0, n=1000), at_an_angle(radians(89.9), 1.0))
    for exact in (True, False):
        if not exact:
            compared = {key: {k: v for k, v in one.items() if k != "theory"} for key, one in compared.items()}
        shown = printed(against_theory_table(compared, "1,000 pairs at 89.9°, ‖x̂‖ = 1·‖x‖, d = 64", width), width)
        check(shown, width)
        for one in compared.values():
            assert one["value"] is None or f"{one['value']:.7g}" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_corrections(width, tmp_path):
    save_sae(tmp_path / "sae", 0)
    made = rescale(tmp_path / "sae", tokens(), documents=np.arange(N) // 37, device="cpu")
    shown = printed(made.table(width), width)
    check(shown, width)
    for side in (made.before, made.after):
        for estimates in (side.report.raw, side.report.centred, side.about_bias.raw):
            for cell in cells([estimates["relative_reconstruction_bias"], estimates["relative_loss"]]):
                assert cell in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_sweeps(width, reports):
    facts = {"architecture": "relu", "coefficient": 1.25, "seed": 0, "steps": 10, "finished": True}
    facts |= {"measured_on": "held-out", "tokens": N, "documents": 60, "l0": 41.5}
    shown = printed(_table([Point(**facts, origins=reports[0].origins)], width), width)
    check(shown, width)
    assert tables.plus_minus(reports[0].centred["relative_reconstruction_bias"], 4) in shown


def test_what_is_no_terminal_is_as_wide_as_a_page_or_as_columns_says(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    for columns, width in ((None, 120), ("60", 60)):
        if columns:
            monkeypatch.setenv("COLUMNS", columns)
        done = sandbox("simulate", "--angle", 89.9, "--n", 1000)
        check(done.stdout, width)
        assert max(map(cell_len, done.stdout.splitlines())) > width / 3


def test_a_report_as_a_string_is_a_page_wide(reports):
    for report in reports:
        check(str(report), 120)


def test_the_columns_of_latents_are_those_that_are_documented(reports, monkeypatch):
    said = " ".join((Latents.columns.__doc__ or "").split())
    monkeypatch.setenv("COLUMNS", "250")
    told = sandbox("measure", "--help").stdout
    for column in reports[0].latents.columns():
        assert column in said
        assert column in told
