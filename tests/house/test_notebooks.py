"""Every notebook runs without errors in a clean kernel, has short cells, and is small including its saved outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from the kernel's own libraries
@pytest.mark.slow
def test_the_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    kept = [cell for cell in notebook.cells if cell.get("outputs")]
    assert kept, "save the outputs, so that a reader sees them"
    assert path.stat().st_size < 300_000
    assert all(len(cell.source.splitlines()) <= 8 for cell in notebook.cells)
    execute(notebook, path)


def execute(notebook, path):
    where = {"metadata": {"path": path.parent}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()


IN_MEMORY = """
import warnings

from sandbox.data import embedded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sae_lens
SAE = sae_lens.SAE.load_from_disk(embedded("minilm-gated"))
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_the_notebook_for_your_own_sae_takes_an_object_in_memory():
    (path,) = (path for path in NOTEBOOKS if path.stem == "4-real-sae")
    notebook = nbformat.read(path, as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith("SAE = "))
    cell.source = cell.source.replace('SAE = "embedded:minilm-relu"', IN_MEMORY)
    printed = "".join(
        output.get("text", "") for cell in execute(notebook, path).cells for output in cell.get("outputs", [])
    )
    assert "GatedSAE does not shrink" in printed
