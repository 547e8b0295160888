"""Notebook 7 with a real kernel: keys that are typed into an explorer are none of the notebook's."""

from __future__ import annotations

import pytest

from benchmarks.drag.lab import running
from tests.explorer.browser.driver import Shown, until

CELLS = ["from sandbox import Explorer\nexplorer = Explorer()\nexplorer", "1", "2"]


def ran_first_cell(page):
    """Run the first cell; whether the notebook was ready for it."""
    page.locator(".jp-Cell .jp-InputPrompt").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_timeout(500)
    return page.locator(".jp-Cell .jp-InputPrompt").first.inner_text() != "[ ]:"


@pytest.fixture(scope="module")
def notebook(chromium):
    """An executed notebook in Notebook 7, served by the same server as JupyterLab."""
    with running({"explorers": CELLS}) as lab:
        page = chromium.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(60_000)  # a kernel on busy cores
        page.goto(f"{lab.address}/notebooks/explorers.ipynb?token={lab.token}", wait_until="domcontentloaded")
        page.locator(".jp-Notebook .jp-Cell").nth(2).wait_for()
        until(lambda: ran_first_cell(page), 60)
        page.locator("line[data-arrow=x-hat][x2]").wait_for(state="attached")
        yield page
        page.context.close()


@pytest.mark.parametrize("focused", ["a handle", "a button", "a slider", "a typed value", "a real SAE"])
def test_letters_typed_into_an_explorer_change_no_cell(notebook, focused):
    shown = Shown(notebook)
    node = {
        "a handle": shown.handle("x-hat"),
        "a button": shown.button("undo"),
        "a slider": shown.slider("angle"),
        "a typed value": shown.typed("angle"),
        "a real SAE": shown.root.locator(".target").first,
    }[focused]
    node.scroll_into_view_if_needed()
    node.focus()
    for key in ("d", "d", "a", "b", "m", "x"):  # in a notebook: delete, insert above and below, to Markdown, cut
        notebook.keyboard.press(key)
    notebook.wait_for_timeout(300)  # as long as the notebook takes to act
    assert notebook.locator(".jp-Cell").count() == len(CELLS)
    assert notebook.locator(".jp-CodeCell").count() == len(CELLS)


def test_the_notebooks_own_keys_work_beside_it(notebook):
    notebook.locator(".jp-Cell .jp-InputPrompt").last.click()
    notebook.keyboard.press("b")
    until(lambda: notebook.locator(".jp-Cell").count() == len(CELLS) + 1)


def test_arrow_keys_move_the_vectors(notebook):
    shown = Shown(notebook)
    before = shown.drawn()
    shown.handle("x-hat").focus()
    shown.press("ArrowLeft", "ArrowUp")
    assert shown.drawn() == pytest.approx((before[0] + 1, before[1] + 0.05), rel=1e-6)
