"""Merged points (C21): Python's numbers, on Thales' circle for any number of cells, and off it off the means."""

import re
from urllib.parse import urlencode

import numpy as np
import pytest

from sandbox.explorer.shown import merged
from sandbox.explorer.state import checked
from tests.explorer.browser.driver import report_of, state_in
from tests.explorer.browser.test_page import agrees, near

MERGED = "#merged=true&cells=8"


@pytest.mark.parametrize("seed", [0, 7, 9999])
def test_merged_points_have_pythons_moments_and_measures(open_page, seed):
    shown = open_page(MERGED)
    for cells, factor in ((64, 1), (33, 0.9), (12, 1), (5, 1.5), (2, 0.4), (1, 1), (3, 0)):
        hash_ = urlencode({"merged": "true", "cells": cells, "factor": factor, "seed": seed, "norm_x": 0.8})
        shown.go_to(f"#{hash_}")
        agrees(shown, state_in(hash_))
        report = report_of(state_in(hash_))
        for key in ("relative_reconstruction_bias", "cosine", "norm_ratio", "scale_x"):
            text = shown.root.locator(f'[data-merged="{key}"]').get_attribute("value")
            assert (float(text) if text else None) == near(report.raw[key].value)


def test_the_drawn_tip_is_where_the_points_put_it_together(open_page):
    shown = open_page("#merged=true&cells=6&factor=0.8")
    values = shown.values()
    angle, ratio = shown.drawn()
    assert (np.cos(np.radians(angle)), ratio) == pytest.approx((values["cosine"], values["norm_ratio"]), rel=1e-9)


def path_points(node):
    return np.array(re.findall(r"M([-\d.]+),([-\d.]+)", node.get_attribute("d")), float)


def test_each_cell_is_drawn_with_its_mean_and_its_points(open_page):
    shown = open_page(MERGED)
    x, x_hat = (vectors.numpy() for vectors in merged(checked({"merged": True, "cells": 8})))
    drawn = path_points(shown.root.locator(".points.of-x"))
    means = path_points(shown.root.locator(".points.of-x-hat"))
    assert (len(drawn), len(means)) == (64, 8)
    scale, *_ = np.linalg.lstsq(x[:, :1] - x[0, 0], drawn[:, 0] - drawn[0, 0], rcond=None)[0]
    flipped = np.array([1, -1]) * scale
    assert drawn - drawn[0] == pytest.approx((x - x[0]) * flipped, abs=0.2)  # pixels, written with one digit
    expected = np.unique((x_hat - x[0]) * flipped, axis=0)
    order = np.lexsort((means - drawn[0]).T[::-1])
    assert (means - drawn[0])[order] == pytest.approx(expected, abs=0.2)


def test_all_numbers_of_cells_stand_on_the_circle(open_page):
    shown = open_page(MERGED)
    stations = path_points(shown.root.locator(".points.stations"))
    assert len(stations) == 64
    arrow = shown.root.locator(".merge-circle .arrow.x")
    left, line, right = (float(arrow.get_attribute(name) or "nan") for name in ("x1", "y1", "x2"))
    radii = np.hypot(*(stations - ((left + right) / 2, line)).T)
    assert radii == pytest.approx(np.full(64, (right - left) / 2), abs=0.1)
    assert (np.diff(stations[:, 0]) >= 0).all(), "more cells are nearer to x"


def test_dragging_x_hat_along_the_circle_merges_cells_and_keeps_it_on_the_means(open_page):
    shown = open_page(MERGED)
    x, y = shown.origin()
    unit = shown.arrow("x")[0]
    rho = 0.75
    shown.drag("x-hat", (x + unit * rho**2, y - unit * rho * np.sqrt(1 - rho**2)))
    state = shown.address()
    assert state["cells"] < 8
    assert state["factor"] == 1
    assert shown.values()["relative_reconstruction_bias"] == near(1.0)
    cosines = [report_of(state | {"cells": cells}).raw["cosine"].value for cells in range(1, 65)]
    assert state["cells"] == 1 + int(np.abs(np.array(cosines) - rho).argmin())
    assert shown.measures()["cosine"]["value"] == near(cosines[state["cells"] - 1])


def test_dragging_x_hat_to_the_origin_shrinks_the_means_and_leaves_the_circle(open_page):
    shown = open_page(MERGED)
    (x, y), (u, v) = shown.origin(), shown.arrow("x-hat")
    shown.drag("x-hat", (x + 0.6 * u, y - 0.6 * v))
    state = shown.address()
    assert state["cells"] == 8
    assert state["factor"] == pytest.approx(0.6, abs=0.01)
    assert shown.values()["relative_reconstruction_bias"] == near(state["factor"])
    assert len(path_points(shown.root.locator(".points.of-mean"))) == 8
    agrees(shown, state)


def test_the_maps_point_moves_the_merged_points_too(open_page):
    shown = open_page(MERGED)
    x, y = shown.knob("state")
    shown.drag("state", (x, y + 30))
    state = shown.address()
    assert state["factor"] < 0.9
    assert (state["angle"], state["norm_ratio"], state["merged"]) == (40, 0.6, True)
    agrees(shown, state)


def test_arrow_keys_merge_and_split_cells_and_change_the_factor(open_page):
    shown = open_page(MERGED)
    shown.handle("x-hat").focus()
    shown.press("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowLeft")
    assert shown.address()["cells"] == 6
    shown.handle("state").focus()
    shown.press("ArrowDown", "Shift+ArrowDown")
    assert shown.address()["factor"] == pytest.approx(0.945)
    shown.slider("cells").focus()
    shown.press("ArrowUp")
    assert shown.address()["cells"] == 7
    shown.type("cells", "2.5")
    assert "cells is “2.5”: it must be a whole number from 1 to 64" in shown.said("cells")
    assert shown.address()["cells"] == 7


def test_dragging_x_scales_all_points(open_page):
    shown = open_page(MERGED)
    before = shown.values()
    shown.drag_by("x", -60, 0)
    state = shown.address()
    assert state["norm_x"] < 0.9
    assert (state["cells"], state["factor"]) == (8, 1)
    assert shown.values()["cosine"] == near(before["cosine"])
    agrees(shown, state)


def test_the_hidden_norm_ratio_does_not_hold_x_back(open_page):
    shown = open_page("#merged=true&norm_ratio=2")
    shown.handle("x").focus()
    shown.press("ArrowLeft", "ArrowLeft")
    state = shown.address()
    assert (state["norm_x"], state["norm_ratio"]) == (0.9, 2)
    shown.go_to("#merged=true&factor=1.5&cells=64")
    (x, y), unit = shown.origin(), shown.arrow("x")[0]
    shown.drag("x", (x + 0.3 * unit, y))
    assert shown.address()["norm_x"] == pytest.approx(0.3, abs=0.02)


def test_one_of_pair_population_and_merged_points_is_shown_and_undo_leads_back(shown):
    many, merge = (shown.root.locator(f"input[name={name}]") for name in ("population", "merged"))
    many.check()
    merge.check()
    shown.settle()
    state = shown.address()
    assert (state["population"], state["merged"]) == (False, True)
    assert not many.is_checked()
    assert not shown.slider("angle").is_visible()
    assert shown.slider("cells").is_visible()
    many.check()
    shown.settle()
    assert (shown.address()["population"], shown.address()["merged"]) == (True, False)
    shown.button("undo").click()
    shown.settle()
    assert (shown.address()["population"], shown.address()["merged"]) == (False, True)
    assert merge.is_checked()
    merge.uncheck()
    shown.settle()
    assert shown.drawn() == pytest.approx((40, 0.6), rel=1e-9)


def test_with_both_switches_on_the_merged_points_are_shown_as_in_python(open_page):
    shown = open_page(MERGED + "&population=true")
    agrees(shown, shown.address())
    assert not shown.root.locator("input[name=population]").is_checked()
    assert not shown.root.locator(".regression").is_visible()


def test_the_preset_asks_first_and_the_slider_answers(shown):
    shown.root.locator('[data-preset="merge"]').click()
    shown.settle()
    figure = shown.root.locator('[data-merged="relative_reconstruction_bias"]')
    tip = shown.root.locator(".merge-tip .touch")
    assert not figure.is_visible()
    assert not tip.is_visible()
    assert not shown.root.locator(".stations").is_visible()
    assert not any(node.is_visible() for node in shown.root.locator(".plane .locus, .plane .locus-name").all())
    circle = shown.root.locator("svg.merge-circle")
    assert circle.get_attribute("aria-label") == "all points together"
    shown.root.locator(".lesson summary").click()
    shown.settle()
    assert circle.get_attribute("aria-label") == "all points together: x̂ is on Thales’ circle"
    assert shown.root.locator(".plane .locus").first.is_visible()
    for cells in (4, 3, 2, 1):
        shown.type("cells", str(cells))
        assert figure.inner_text() == "1.000"
    assert tip.is_visible()


def test_merged_points_are_told_in_words(open_page):
    shown = open_page(MERGED)
    labels = [shown.root.locator(name).get_attribute("aria-label") for name in ("svg.merge-points", "svg.merge-circle")]
    assert labels == ["64 points in 8 cells, and their means", "all points together: x̂ is on Thales’ circle"]
    shown.type("factor", "0.7")
    assert shown.root.locator("svg.merge-circle").get_attribute("aria-label").endswith("inside Thales’ circle")
    shown.type("cells", "1")
    spoken = shown.root.locator(".spoken").text_content() or ""
    assert "cells 1, factor 0.70" in spoken
    assert "γ 0.700" in spoken


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_merged_points_are_in_the_saved_picture(open_page, tmp_path, kind):
    shown = open_page(MERGED)
    with shown.page.expect_download() as download:
        shown.button(kind).click()
    file = tmp_path / "saved"
    download.value.save_as(file)
    if kind == "svg":
        text = file.read_text(encoding="utf-8")
        assert "Cells, and where their means lie" in text
        assert text.count("<svg ") == 1 + 4 + 2
    else:
        width = int.from_bytes(file.read_bytes()[16:20], "big")
        boxes = [
            shown.root.locator(name).bounding_box() for name in ("svg.plane", "svg.merge-points", "svg.merge-circle")
        ]
        plane, *both = [box["width"] for box in boxes if box]
        assert width > 2 * (2 * plane + sum(both)), "the points and the semicircle are beside the other pictures"
