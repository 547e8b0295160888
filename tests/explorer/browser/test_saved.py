"""A notebook that was run, saved and exported as HTML: its reader sees the widget, or a picture and what it is."""

import copy
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import anywidget
import nbformat
import pytest
from nbconvert import HTMLExporter

from sandbox.explorer.fallback import WORDS
from sandbox.site.python import _node
from sandbox.site.server import server

pytestmark = pytest.mark.slow

CELLS = ["from sandbox import Explorer\nexplorer = Explorer(angle=60, norm_ratio=0.5)\nexplorer", "explorer"]
STATE = "application/vnd.jupyter.widget-state+json"
LOADER = {"require.js": "require.js", "embed-amd.js": "dist/embed-amd.js"}  # by name, the file in its npm package
PACKAGES = ("requirejs@2.3.8", "@jupyter-widgets/html-manager@1.0.15")
LOCAL = {"require_js_url": "require.js", "widget_renderer_url": "embed-amd.js"}
PICTURES = """() => [...document.querySelectorAll("figure img")].filter((one) => one.getClientRects().length)
  .map((one) => one.naturalWidth > 0 && one.getBoundingClientRect().right <= innerWidth)"""
EXPLORERS = "() => document.querySelectorAll('.shrinkage-explorer').length"
TYPED = "() => document.querySelector('.typed input[name=angle]').value"
TIP = '.plane [data-handle="x-hat"] .knob'


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """As `jupyter nbconvert --execute` saves it: with the state of its widgets."""
    folder = tmp_path_factory.mktemp("saved")
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "explorer.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--inplace", "explorer.ipynb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    saved = nbformat.read(folder / "explorer.ipynb", 4)
    assert STATE in saved.metadata.widgets
    return saved


def exported(notebook, file, **options):
    text, _ = HTMLExporter(**options).from_notebook_node(copy.deepcopy(notebook))
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """The scripts that an export loads from a CDN, which has them from npm."""
    folder = tmp_path_factory.mktemp("npm")
    command = [*_node("npm"), "pack", "--silent", *PACKAGES]
    names = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()
    files = {"anywidget.js": (Path(anywidget.__file__).parent / "nbextension/index.js").read_bytes()}  # npm's, too
    for name, archive in zip(LOADER, names, strict=True):
        with tarfile.open(folder / archive) as content:
            member = content.extractfile(f"package/{LOADER[name]}")
            assert member
            files[name] = member.read()
    return files


@pytest.fixture
def reader(browser_engine):
    yield browser_engine
    browser_engine.cut_off(False)
    browser_engine.resize(1280, 1000)


def sees_the_pictures(reader):
    """Both cells' pictures, whole, each with its line; and nothing that looks like a failure."""
    reader.until(lambda: reader.evaluate(PICTURES) == [True, True], "the pictures are not seen")
    assert reader.text("figcaption") == f"{WORDS} {WORDS}"
    assert "no longer listens" not in reader.text("body")


@pytest.mark.parametrize("state", ["with widget state", "without"])
def test_without_a_network_a_picture_and_a_line_are_seen(reader, notebook, tmp_path, state):
    held = copy.deepcopy(notebook)
    if state == "without":
        del held.metadata["widgets"]
    file = exported(held, tmp_path / "page.html")
    reader.cut_off()
    for width in (1280, 390):
        reader.resize(width, 900)
        reader.open(file.as_uri())
        sees_the_pictures(reader)
    assert reader.evaluate(EXPLORERS) == 0


@pytest.fixture
def served(notebook, loader, tmp_path):
    """A function that serves the export, with the loader's files beside it less some, and gives its address."""
    running = []

    def serve(*less):
        page = exported(notebook, tmp_path / "page.html", **LOCAL).read_text(encoding="utf-8")
        policy = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"  # no other server, as in many a firm
        page = page.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{policy}">', 1)
        files = {name: data for name, data in loader.items() if name not in less}
        running.append(server({"index.html": page.encode(), **files}))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}/"

    yield serve
    for one in running:
        one.shutdown()
        one.server_close()


def test_with_its_scripts_the_widget_works_in_the_place_of_the_picture(reader, served):
    reader.open(served())
    reader.until(lambda: reader.evaluate(EXPLORERS) == 2, "the widget is not drawn")
    assert reader.evaluate(PICTURES) == []
    assert WORDS not in reader.text("body")
    x, y = reader.where(TIP)
    reader.drag([(x, y), (x - 20, y), (x - 40, y - 10)])
    reader.until(lambda: float(reader.evaluate(TYPED)) > 65, "the tip did not move")
    reader.wait(3)  # longer than the explorer waits for an answer of Python
    assert "no longer listens" not in reader.text("body")


@pytest.mark.parametrize("less", [*LOADER, "anywidget.js"])
def test_where_a_script_does_not_load_the_picture_stays(reader, served, less):
    reader.open(served(less))
    sees_the_pictures(reader)
    assert reader.evaluate(EXPLORERS) == 0
