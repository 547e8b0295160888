"""An exported notebook shows a picture of the explorer where no widget can run."""

import base64
import re
from xml.etree import ElementTree

import nbformat
import pytest
from nbconvert import HTMLExporter

from sandbox import Explorer
from sandbox.explorer.fallback import picture
from sandbox.explorer.state import checked

WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_notebook_stores_a_picture_beside_the_widget():
    data, _ = Explorer(angle=60, norm_ratio=0.5)._repr_mimebundle_()
    assert WIDGET in data
    assert data["image/svg+xml"] == picture(checked({"angle": 60, "norm_ratio": 0.5}))


def test_a_notebook_exported_without_widgets_shows_the_picture_and_asks_the_network_for_none():
    data, metadata = Explorer()._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    text, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    stored = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text)
    assert data["image/svg+xml"] in [base64.b64decode(one).decode() for one in stored]
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
