"""An exported notebook shows a picture of the explorer where no widget can run."""

import base64
import re
from xml.etree import ElementTree

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter

from sandbox import Explorer
from sandbox.explorer.fallback import WORDS, picture
from sandbox.explorer.state import checked

WIDGET = "application/vnd.jupyter.widget-view+json"
IMAGE = r'src="data:image/svg\+xml;base64,([\w+/=]+)"'


@pytest.fixture
def displayed():
    """A function that shows an object as a notebook does: every output's data and metadata."""
    shell = InteractiveShell.instance()

    def show(shown):
        with capture_output() as captured:
            result = shell.display_formatter.format(shown)
        return [*((output.data, output.metadata) for output in captured.outputs), *([result] if result[0] else [])]

    yield show
    InteractiveShell.clear_instance()


def test_a_notebook_stores_the_widget_and_a_picture(displayed):
    (widget, _), (fallback, _) = displayed(Explorer(angle=60, norm_ratio=0.5))
    assert widget.keys() == {"text/plain", WIDGET}
    assert widget["text/plain"] == "Explorer(angle=60.0, norm_ratio=0.5)"
    [image] = re.findall(IMAGE, fallback["text/html"])
    assert base64.b64decode(image).decode() == picture(checked({"angle": 60, "norm_ratio": 0.5}), words=False)
    assert WORDS in fallback["text/html"]


def test_of_an_explorer_that_was_closed_a_notebook_shows_the_name(displayed):
    explorer = Explorer(angle=50)
    explorer.close()
    assert displayed(explorer) == [({"text/plain": "Explorer(angle=50.0)"}, {})]


def test_a_host_that_asks_for_a_single_bundle_gets_both():
    data, _ = Explorer(angle=60, norm_ratio=0.5)._repr_mimebundle_()
    assert WIDGET in data
    assert data["image/svg+xml"] == picture(checked({"angle": 60, "norm_ratio": 0.5}))


def test_two_explorers_do_not_hide_each_others_picture():
    assert Explorer()._still != Explorer()._still


def test_a_notebook_exported_without_widgets_shows_the_picture_and_asks_the_network_for_none(displayed):
    outputs = [
        nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in displayed(Explorer())
    ]
    cell = nbformat.v4.new_code_cell("explorer", outputs=outputs)
    text, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert len(re.findall(IMAGE, text)) == text.count("<figcaption>") == 1
    assert WIDGET not in text


@pytest.mark.parametrize(
    "state", [{}, {"angle": 180, "norm_ratio": 2}, {"angle": 90, "norm_ratio": 2}, {"norm_ratio": 0}]
)
def test_the_picture_is_whole_and_x_hat_is_in_it(state):
    root = ElementTree.fromstring(picture(checked(state)))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for node in root.iter():
        for name, most in (("cx", width), ("cy", height)):
            assert 0 <= float(node.get(name, 0)) <= most
