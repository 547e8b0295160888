"""JupyterLab with real kernels: Python and the picture follow each other, and the picture outlives its kernel."""

from __future__ import annotations

import ast
import json

import pytest
from playwright.sync_api import Error

from benchmarks.drag.lab import RUN_ALL, running
from tests.explorer.browser.driver import Shown, until

CELLS = [
    "from sandbox import Explorer\nfirst = Explorer()\nfirst",
    "first.sliders()",
    "second, third = Explorer(angle=100, norm_ratio=1.2), Explorer(norm_x=0.5)\nsecond",
    "third",
    "second",
]
PANEL = "window.jupyterapp.shell.currentWidget"
ASK = f"""async (expression) => {{
  const future = {PANEL}.sessionContext.session.kernel.requestExecute(
    {{ code: "", store_history: false, user_expressions: {{ answer: expression }} }});
  const answer = (await future.done).content.user_expressions.answer;
  if (answer.status !== "ok") throw new Error(answer.evalue);
  return answer.data["text/plain"];
}}"""


class Notebook:
    """An executed notebook in a page of its own."""

    def __init__(self, chromium, lab, name):
        self.page = chromium.new_page(viewport={"width": 1400, "height": 1200})
        self.page.set_default_timeout(60_000)  # a kernel imports torch, perhaps on busy cores
        self.errors: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        place = f"{lab.address}/lab/workspaces/{name}/tree/{name}.ipynb"
        self.page.goto(f"{place}?reset&token={lab.token}", wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        assert self.page.evaluate(RUN_ALL) is None
        self.page.wait_for_selector(".shrinkage-explorer")

    def explorer(self, cell: int) -> Shown:
        shown = Shown(self.page, self.page.locator(".jp-CodeCell").nth(cell).locator(".shrinkage-explorer"))
        shown.handle("x-hat").scroll_into_view_if_needed()
        shown.settle()
        return shown

    def python(self, expression: str):
        """The value of an expression in the kernel."""
        return json.loads(ast.literal_eval(self.page.evaluate(ASK, f"__import__('json').dumps({expression})")))

    def shows(self, shown: Shown, angle: float, norm_ratio: float) -> None:
        until(lambda: shown.drawn() == pytest.approx((angle, norm_ratio), rel=1e-6), 20)

    def holds(self, name: str, shown: Shown) -> None:
        """Python comes to hold what is drawn."""
        drawn = shown.drawn()
        until(lambda: self.python(f"[{name}.angle, {name}.norm_ratio]") == pytest.approx(drawn, rel=1e-6), 20)


@pytest.fixture(scope="module")
def living(chromium):
    """The notebook, executed: three explorers, one of them shown twice."""
    with running({"explorers": CELLS}) as lab:
        notebook = Notebook(chromium, lab, "explorers")
        yield notebook
        notebook.page.context.close()


@pytest.fixture(scope="module")
def orphaned(living):
    """The same notebook after its kernel was shut down. (Tests that need the kernel come before.)"""
    assert living.errors == []
    living.page.evaluate(f"{PANEL}.sessionContext.session.kernel.shutdown()")
    status = f"{PANEL}.sessionContext.session?.kernel?.connectionStatus"
    until(lambda: living.page.evaluate(status) != "connected", 20)
    return living


def test_a_drag_reaches_python(living):
    shown = living.explorer(0)
    shown.drag_by("x-hat", -70, -30)
    assert shown.drawn()[0] > 50
    living.holds("first", shown)
    found = living.python("first.values")
    assert shown.values() == {key: None if value is None else pytest.approx(value, rel=1e-9, abs=1e-14)
                              for key, value in found.items()}  # fmt: skip


ROOM = """(cell) => [...cell.querySelectorAll(".jp-OutputArea-child")].map((output) => [
  output.querySelectorAll("figure").length, output.getBoundingClientRect().height > 0])"""


def test_beside_the_widget_its_still_picture_takes_no_room(living):
    living.explorer(0)
    assert living.page.locator(".jp-CodeCell").first.evaluate(ROOM) == [[0, True], [1, False]]


def test_python_moves_the_picture_and_refuses_what_cannot_be(living):
    shown = living.explorer(0)
    living.python("[setattr(first, 'angle', 120), setattr(first, 'norm_ratio', 1.5)]")
    living.shows(shown, 120, 1.5)
    with pytest.raises(Error, match=r"angle is '500': it must be a number from 0 to 180°"):
        living.python("setattr(first, 'angle', 500)")
    shown.settle()
    assert shown.drawn() == pytest.approx((120, 1.5))


def test_linked_sliders_move_the_vectors_and_are_moved(living):
    shown = living.explorer(0)
    slider = living.page.locator(".jp-CodeCell").nth(1).locator(".widget-slider").first
    readout = slider.locator(".widget-readout")
    readout.click()
    living.page.keyboard.press("Control+a")
    living.page.keyboard.type("33")
    living.page.keyboard.press("Enter")
    until(lambda: shown.drawn()[0] == pytest.approx(33))
    living.holds("first", shown)
    living.explorer(0).drag_by("x-hat", -50, -30)
    until(lambda: float(readout.inner_text()) == pytest.approx(shown.drawn()[0], abs=0.051))  # it shows one decimal


def test_three_explorers_in_one_notebook_are_independent(living):
    first, third = (living.explorer(cell) for cell in (0, 3))
    before = first.drawn(), third.drawn()
    second = living.explorer(2)
    second.drag_by("x-hat", 40, -30)
    assert second.drawn() != pytest.approx((100, 1.2), rel=1e-3)
    living.holds("second", second)
    living.page.wait_for_timeout(200)  # longer than the pause between two messages
    assert (first.drawn(), third.drawn()) == before
    assert living.python("[third.angle, third.norm_ratio, third.norm_x]") == [40, 0.6, 0.5]


SELECTED = f"() => [{PANEL}.content.activeCellIndex, {PANEL}.content.widgets.length, {PANEL}.content.mode]"


def test_keys_that_move_an_explorer_are_none_of_the_notebooks(living):
    shown = living.explorer(2)
    before = living.page.evaluate(SELECTED)
    start = shown.drawn()
    shown.handle("x-hat").focus()
    shown.press("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowDown")
    moved = shown.drawn()
    assert moved == pytest.approx((start[0] + 1, start[1] - 0.05), rel=1e-6)
    shown.press("Control+z")
    assert shown.drawn() == pytest.approx((moved[0], moved[1] + 0.05), rel=1e-6)
    shown.press("Control+Shift+z")
    assert shown.drawn() == pytest.approx(moved)
    shown.press("d", "d", "a", "z", "Enter")  # in a notebook: delete the cell, insert one above, undo, edit
    after = living.page.evaluate(SELECTED)
    assert after[1] == before[1]
    assert after[2] == "command"
    index = living.page.evaluate(f"{PANEL}.content.activeCellIndex")
    assert index in (before[0], 2)  # a click on a cell's output may select that cell; an arrow key may not


def test_an_explorer_that_is_shown_twice_moves_in_both_places(living):
    shown, again = living.explorer(2), living.explorer(4)
    again.drag_by("x-hat", -30, 20)
    until(lambda: shown.drawn() == pytest.approx(again.drawn(), rel=1e-9))


def test_without_its_kernel_the_picture_and_its_sliders_work_on_and_say_so(orphaned):
    shown = orphaned.explorer(0)
    shown.drag_by("x-hat", 50, -60)
    drawn = shown.drawn()
    until(lambda: "Python no longer listens" in shown.silence(), 10)
    readout = orphaned.page.locator(".jp-CodeCell").nth(1).locator(".widget-readout").first
    until(lambda: float(readout.inner_text()) == pytest.approx(drawn[0], abs=0.051))  # it shows one decimal
    readout.click()
    orphaned.page.keyboard.press("Control+a")
    orphaned.page.keyboard.type("133")
    orphaned.page.keyboard.press("Enter")
    until(lambda: shown.drawn()[0] == pytest.approx(133))
    assert [error for error in orphaned.errors if "explorer" in error or "anywidget" in error] == []


def test_clearing_the_outputs_disposes_of_every_explorer(orphaned):
    orphaned.page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    until(lambda: orphaned.page.locator(".shrinkage-explorer").count() == 0)
    orphaned.page.wait_for_timeout(300)  # longer than any pause: a disposed explorer must do nothing
    assert [error for error in orphaned.errors if "explorer" in error or "anywidget" in error] == []
