"""A name from the command line or a file never runs as a formula in a spreadsheet."""

import csv
import io

import pytest
import torch

from sandbox.moments.moments import Moments
from sandbox.report import Report, to_csv
from sandbox.report.csv_text import csv_text


@pytest.mark.parametrize("name", ["=1+2", "+1+2", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_a_name_that_looks_like_a_formula_gets_an_apostrophe(name):
    report = Report(name, Moments.from_pairs(torch.eye(2), torch.eye(2)))
    rows = list(csv.DictReader(io.StringIO(to_csv([report]), newline="")))
    assert {row["name"] for row in rows} == {"'" + name.replace("\r", "\n")}


@pytest.mark.parametrize("cell", ["relu", "a=b", "", "-0.5", "-inf", "γ", "it's"])
def test_other_text_and_numbers_stay_as_they_are(cell):
    assert csv_text(("name",), [(cell,), (-0.5,), (None,)]).splitlines()[1:] == [cell or '""', "-0.5", '""']
