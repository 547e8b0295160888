"""The three lines of regression (C22) are those of Python's coordinates, and touch the ellipse where they should."""

from urllib.parse import urlencode

import numpy as np
import pytest

from sandbox.explorer.module import module
from sandbox.explorer.shown import population
from tests.explorer.browser.driver import state_in

KEYS = ("scale_x", "norm_ratio", "relative_reconstruction_bias")
POPULATIONS = [
    {"spread": 15, "norm_spread": 0.5},
    {"angle": 50, "norm_ratio": 1.3, "spread": 20, "norm_spread": 1, "seed": 3},
    {"angle": 10, "norm_ratio": 0.7, "offset": 2, "n": 500, "norm_x": 0.4},
    {"angle": 85, "norm_ratio": 1.7, "spread": 3, "norm_spread": 0, "n": 2500},
]


def slopes(x, x_hat):
    """Least squares of x̂ on x, the geometric mean, and the inverse of least squares of x on x̂, all through 0."""
    on_x, on_x_hat = (np.linalg.lstsq(u[:, None], v, rcond=None)[0].item() for u, v in ((x, x_hat), (x_hat, x)))
    return on_x, np.sqrt(on_x / on_x_hat), 1 / on_x_hat


def lines(shown):
    """Each line as drawn: its slope on the screen, its slope as data, where its ring stands."""
    found = {}
    for key in KEYS:
        node = shown.root.locator(f".regression-line.{key}")
        ends = node.locator(".slope").evaluate("(l) => ['x1', 'y1', 'x2', 'y2'].map((e) => +l.getAttribute(e))")
        ring = node.locator(".touch").evaluate("(c) => { const m = c.transform.baseVal[0].matrix; return [m.e, m.f]; }")
        slope = (ends[1] - ends[3]) / (ends[2] - ends[0])
        found[key] = (slope, float(node.get_attribute("data-slope")), ring)
    return found


@pytest.mark.parametrize("settings", POPULATIONS, ids=urlencode)
def test_the_lines_are_the_regressions_of_pythons_coordinates(open_page, settings):
    hash_ = urlencode(settings | {"population": "true"})
    shown = open_page(f"#{hash_}")
    x, x_hat = (vectors.numpy().ravel() for vectors in population(state_in(hash_)))
    expected = slopes(x, x_hat)
    assert expected == tuple(sorted(expected))  # C22
    for (drawn, told, _), slope in zip(lines(shown).values(), expected, strict=True):
        assert (drawn, told) == pytest.approx((slope, slope), rel=1e-9)


def test_the_dots_have_the_same_lines_and_the_browser_draws_them(chromium, silence):
    tab = silence(chromium.new_page())
    tab.goto("data:text/html,")
    text = module() + "\nexport { populated, coordinates, defaults };"
    found = tab.evaluate(
        """async ([text, states]) => {
          const { populated, coordinates, defaults } = await import(URL.createObjectURL(
            new Blob([text], { type: "text/javascript" })));
          return states.map((state) => [...coordinates(populated({ ...defaults, ...state }, null), state.offset ?? 0)]);
        }""",
        [text, POPULATIONS],
    )
    tab.context.close()
    for settings, numbers in zip(POPULATIONS, found, strict=True):
        dots = np.asarray(numbers).reshape(-1, 2)
        state = state_in(urlencode(settings | {"population": "true"}))
        dotted = min(state["n"], 1500)
        assert len(dots) == 2 * dotted
        dots = np.vstack((dots, np.full((dotted, 2), float(state["offset"]))))
        x, x_hat = (vectors[:dotted].numpy().ravel() for vectors in population(state))
        assert slopes(*dots.T) == pytest.approx(slopes(x, x_hat), rel=1e-9)


def test_the_lines_touch_the_ellipse_on_the_right_at_the_top_and_its_rectangle_in_the_corner(open_page):
    shown = open_page("#population=true&angle=35&norm_ratio=0.8")
    matrix = shown.root.locator(".ellipse").evaluate(
        "(c) => { const m = c.transform.baseVal[0].matrix; return [[m.a, m.c, m.e], [m.b, m.d, m.f]]; }"
    )
    turn = np.linspace(0, 2 * np.pi, 100_001)
    u, v = np.asarray(matrix) @ (np.cos(turn), np.sin(turn), np.ones_like(turn))
    rightmost, topmost = u.argmax(), v.argmin()
    of_x, ratio, bias = (ring for _, _, ring in lines(shown).values())
    assert of_x == pytest.approx((u[rightmost], v[rightmost]), abs=0.05)
    assert bias == pytest.approx((u[topmost], v[topmost]), abs=0.05)
    assert ratio == pytest.approx((u[rightmost], v[topmost]), abs=0.05)


def test_each_line_has_a_name_and_its_number_in_words(open_page):
    shown = open_page("#population=true&angle=35&norm_ratio=0.8")
    values = shown.values()
    words = ("least squares of x̂ on x: slope c/a", "geometric mean of both slopes: slope r",
             "least squares of x on x̂: slope γ")  # fmt: skip
    for key, name in zip(KEYS, words, strict=True):
        line = shown.root.locator(f".regression-line.{key}")
        assert line.get_attribute("role") == "img"
        assert line.get_attribute("aria-label") == f"{name} = {values[key]:.3f}"
        assert line.locator("text").text_content() == f"{name.split()[-1]} = {values[key]:.3f}"


def test_where_c_is_negative_only_the_slope_of_x_hat_on_x_is_left(open_page):
    shown = open_page("#population=true&angle=130")
    seen = [shown.root.locator(f".regression-line.{key}").is_visible() for key in KEYS]
    assert seen == [True, False, False]
    note = shown.root.locator(".regression .note").inner_text()
    assert shown.measures()["relative_reconstruction_bias"]["reason"] in note
    shown.go_to("#population=true&norm_x=0")  # and of pairs that are all zero, nothing
    assert not any(shown.root.locator(f".regression-line.{key}").is_visible() for key in KEYS)


def test_the_preset_hides_the_lines_until_its_question_is_opened(shown):
    shown.root.locator('[data-preset="regression"]').click()
    shown.settle()
    line = shown.root.locator(".regression-line.scale_x")
    assert shown.root.locator(".ellipse").is_visible()
    assert not line.is_visible()
    shown.root.locator(".lessons summary").click()
    line.wait_for(state="visible")


def test_the_lines_follow_the_width_and_a_drag(open_page):
    shown = open_page("#population=true")
    before = lines(shown)["norm_ratio"][1]
    shown.page.set_viewport_size({"width": 390, "height": 900})
    shown.settle()
    right = shown.root.locator("svg.scatter").bounding_box()
    assert right["x"] + right["width"] <= 390
    assert lines(shown)["norm_ratio"][0] == pytest.approx(before, rel=1e-9)
    shown.type("norm_ratio", "0.9")
    assert lines(shown)["norm_ratio"][0] == pytest.approx(0.9, rel=1e-9)
