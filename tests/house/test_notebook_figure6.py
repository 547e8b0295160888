"""Notebook 5 presents figure 6 from the committed numbers: its prose quotes none, and its saved output is current."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
PATH = ROOT / "notebooks" / "5-figure-6.ipynb"
NO_RESULT = ("2404.16014", "95 %")  # the paper's number, and the level of every interval


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(PATH, as_version=4)


def is_live(cell) -> bool:
    return "live" in cell.metadata.get("tags", ())


def draws(cell) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))


def printed(cell) -> str:
    """A cell's text output without table rules, whose positions depend on the width of the screen."""
    texts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ()))
    return " ".join(re.sub("[─-╿]", " ", "".join(texts)).split())


def test_the_prose_quotes_no_result(notebook):
    prose = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for known in NO_RESULT:
        prose = prose.replace(known, "")
    assert re.findall(r"\d+[.,]\d+|\d\s?%", prose) == []


def test_only_the_live_cells_train(notebook):
    training = [cell for cell in notebook.cells if "sandbox.figure6(" in cell.source and cell.cell_type == "code"]
    assert training
    assert all(is_live(cell) for cell in training)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from the kernel's own libraries
def test_its_saved_output_matches_the_committed_numbers(notebook):
    kept = [cell for cell in notebook.cells if cell.cell_type == "code" and not is_live(cell) and not draws(cell)]
    expected = [printed(cell) for cell in kept]
    tokens = json.loads((ROOT / "results/figure-6/figure-6.json").read_text("utf-8"))["activations"]["tokens"]
    assert any(f"{tokens:,} tokens" in text for text in expected)
    again = nbformat.v4.new_notebook(cells=[nbformat.from_dict(cell) for cell in kept])
    where = {"metadata": {"path": PATH.parent}}
    NotebookClient(again, timeout=300, kernel_name="python3", resources=where).execute()
    assert [printed(cell) for cell in again.cells] == expected
