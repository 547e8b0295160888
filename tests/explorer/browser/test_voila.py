"""Voilà with a real kernel: a page of outputs alone, in which Python and the picture follow each other."""

from __future__ import annotations

import urllib.request

import pytest

from benchmarks.drag.lab import running
from sandbox.explorer.fallback import WORDS
from tests.explorer.browser.driver import Shown, until

pytestmark = pytest.mark.slow

CELLS = [
    "from ipywidgets import Button, Label\nfrom sandbox import Explorer\nexplorer = Explorer()\nexplorer",
    """said = Label()
def say(change):
    said.value = f"{explorer.angle!r} {explorer.norm_ratio!r}"
explorer.observe(say, ["angle", "norm_ratio"])
go = Button(description="From Python")
go.on_click(lambda button: explorer.preset("antiparallel"))
display(said, go)""",
]


@pytest.fixture(scope="module")
def voila(chromium):
    """The notebook as Voilà serves it, without any other network: its page asks a CDN for icons and MathJax."""
    with running({"explorers": CELLS}) as lab:
        page = chromium.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(60_000)  # a kernel on busy cores
        page.errors, page.sockets = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
        page.on("websocket", lambda socket: page.sockets.append(socket.url))
        page.route(lambda url: not url.startswith((lab.address, "data:", "blob:")), lambda route: route.abort())
        page.lab = lab
        page.goto(f"{lab.address}/voila/render/explorers.ipynb?token={lab.token}", wait_until="domcontentloaded")
        page.locator("line[data-arrow=x-hat][x2]").wait_for(state="attached")
        yield page
        page.context.close()


@pytest.fixture
def shown(voila):
    shown = Shown(voila)
    shown.settle()
    yield shown
    assert [error for error in voila.errors if "explorer" in error or "anywidget" in error] == []


def holds(shown):
    """Python comes to hold what is drawn."""
    drawn = shown.drawn()
    said = shown.page.locator(".widget-label")

    def told():
        words = said.inner_text().split()
        return len(words) == 2 and [float(word) for word in words] == pytest.approx(drawn, rel=1e-6)

    until(told, 20)


def test_only_the_widget_is_shown(shown):
    assert shown.page.locator("figure").count() == 1
    assert WORDS not in shown.page.inner_text("body")
    for width in (1600, 390):
        shown.page.set_viewport_size({"width": width, "height": 1000})
        shown.settle()
        box = shown.root.bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
    shown.page.set_viewport_size({"width": 1400, "height": 1200})


def test_a_drag_reaches_python(shown):
    shown.drag_by("x-hat", -70, -30)
    assert shown.drawn()[0] > 50
    holds(shown)


def test_keys_move_the_vectors_and_undo_leads_back(shown):
    before = shown.drawn()
    shown.handle("x-hat").focus()
    shown.press("ArrowLeft", "ArrowUp")
    assert shown.drawn() == pytest.approx((before[0] + 1, before[1] + 0.05), rel=1e-6)
    holds(shown)
    shown.press("Control+z", "Control+z")
    assert shown.drawn() == pytest.approx(before, rel=1e-6)
    holds(shown)


def test_a_preset_asks_and_answers(shown):
    shown.root.locator('[data-preset="thales"]').click()
    shown.settle()
    summary = shown.root.locator(".lesson summary")
    assert summary.inner_text().startswith("Predict: ")
    summary.click()
    shown.root.locator(".lesson details p").first.wait_for(state="visible")
    assert shown.values()["relative_reconstruction_bias"] == pytest.approx(1)
    holds(shown)


def test_python_moves_the_picture(shown):
    shown.page.locator("button", has_text="From Python").click()
    until(lambda: shown.drawn()[0] == pytest.approx(180), 20)


def test_the_picture_is_saved(shown):
    with shown.page.expect_download() as saved:
        shown.button("svg").click()
    assert saved.value.suggested_filename == "shrinkage.svg"


def test_without_its_kernel_the_picture_works_on_and_says_so(voila, shown):
    [kernel] = {url.split("/kernels/")[1].split("/")[0] for url in voila.sockets if "/kernels/" in url}
    address = f"{voila.lab.address}/api/kernels/{kernel}?token={voila.lab.token}"
    urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=60).close()
    shown.drag_by("x-hat", 50, -60)
    until(lambda: "Python no longer listens" in shown.silence(), 10)
    before = shown.drawn()
    shown.drag_by("x-hat", 20, -20)
    assert shown.drawn() != pytest.approx(before)
