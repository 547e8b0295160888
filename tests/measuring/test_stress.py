"""Where published metrics break, ours are right: every claim of the stress table holds on any machine."""

import io

from rich.console import Console

from benchmarks import stress


def test_every_claim_of_the_stress_table_holds(capsys):
    results = list(stress.claims())
    assert all(results), capsys.readouterr().out


def test_the_table_shows_what_is_printed_and_marks_what_is_wrong():
    text = io.StringIO()
    case = stress.in_float16()
    Console(file=text, width=170, color_system="standard", force_terminal=True).print(stress.table({"float16": [case]}))
    shown = text.getvalue()
    assert any("\x1b[31m" in line and "nan" in line for line in shown.splitlines())
    assert f"{case.truth[stress.GAMMA]:.4f}" in shown
