"""A name from the command line or a file never runs as a formula in a spreadsheet."""

import csv
import io

import pytest
import torch

from sandbox.moments.moments import Moments
from sandbox.report import Report, to_csv
from sandbox.report.csv_text import csv_text

FORMULAS = ["=1+2", "+1+2", "-1+2", "@SUM(A1)", "＝1", "＋1+2", "－1+2", "＠A1", "﹦1"]
"""With OWASP's first characters, their full-width forms, and a small form."""

HIDDEN_BY = [
    "\t",
    "\n",
    "\r",
    "\0",
    "\x1b",
    "\x85",
    " ",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\ufeff",
    "\u200b",
    " \ufeff\t ",
]
"""What a spreadsheet may strip: control characters, spaces, a BOM, a zero-width space, and several of these."""


def name_in_csv(name):
    """The name of a report as a spreadsheet reads it from the CSV."""
    report = Report(name, Moments.from_pairs(torch.eye(2), torch.eye(2)))
    (read,) = {row["name"] for row in csv.DictReader(io.StringIO(to_csv([report]), newline=""))}
    return read


@pytest.mark.parametrize("name", FORMULAS)
def test_a_name_that_looks_like_a_formula_gets_an_apostrophe(name):
    assert name_in_csv(name) == f"'{name}"


@pytest.mark.parametrize("before", HIDDEN_BY)
def test_a_formula_is_seen_behind_characters_that_a_spreadsheet_strips(before):
    assert name_in_csv(f"{before}=1+2") == f"'{before}=1+2".replace("\r", "\n")


@pytest.mark.parametrize("control", ["\t", "\n", "\r", "\0"])
def test_a_control_character_in_front_gets_an_apostrophe_whatever_follows(control):
    assert name_in_csv(f"{control}relu") == f"'{control}relu".replace("\r", "\n")


def test_a_carriage_return_is_written_as_a_line_feed_and_begins_no_row():
    assert csv_text(("name",), [("a\r=1+2",)]) == 'name\n"a\n=1+2"\n'


@pytest.mark.parametrize(
    "cell", ["relu", "a=b", "", "-0.5", "-inf", " -0.5", "γ", "it's", " relu", "\ufeffrelu", "\u200b"]
)
def test_other_text_and_numbers_stay_as_they_are(cell):
    assert csv_text(("name",), [(cell,), (-0.5,), (None,)]).splitlines()[1:] == [cell or '""', "-0.5", '""']
