"""Every way to change the state changes every picture; undo, redo, reset and links restore it."""

import math

import pytest

from tests.explorer.browser.driver import state_in, until

RAISE_ON_REPLACE = """addEventListener("DOMContentLoaded", () => { History.prototype.replaceState = () => {
  throw new DOMException("Attempt to use history.replaceState() more than 100 times", "SecurityError");
} })"""


def test_dragging_the_tip_of_x_leaves_x_hat_where_it_is(shown):
    x_hat, before = shown.arrow("x-hat"), shown.address()
    shown.drag_by("x", -70, 25, let_go=False)
    assert shown.arrow("x-hat") == pytest.approx(x_hat, rel=1e-9)
    shown.page.mouse.up()
    shown.settle()
    after = shown.address()
    assert after["norm_x"] < 0.9
    assert after["norm_x"] * after["norm_ratio"] == pytest.approx(before["norm_ratio"], rel=1e-12)
    assert after["angle"] == before["angle"]


def test_dragging_the_maps_point_goes_to_that_cosine_and_norm_ratio(shown):
    x, y = shown.knob("state")
    grid = shown.root.locator("svg.map-back .grid line")
    lines = grid.evaluate_all("(lines) => lines.map((line) => line.getBoundingClientRect()).map((b) => [b.x, b.y])")
    per_rho = (lines[4][0] - lines[0][0]) / 2  # the lines stand at ρ = −1, −½, 0, ½, 1, then lie at r = 0, ½, … 2
    per_r = (lines[5][1] - lines[9][1]) / 2
    shown.drag("state", (x - 100, y - 30))
    assert shown.knob("state") == pytest.approx((x - 100, y - 30), abs=1)
    state = shown.address()
    pixel = 1.01  # the mouse moves in whole pixels
    assert math.cos(math.radians(state["angle"])) == pytest.approx(
        math.cos(math.radians(40)) - 100 / per_rho, abs=pixel / per_rho
    )
    assert state["norm_ratio"] == pytest.approx(0.6 + 30 / per_r, abs=pixel / per_r)


def test_the_maps_point_stays_under_the_mouse_in_a_population(open_page):
    shown = open_page("#population=true&spread=25")
    x, y = shown.knob("state")
    shown.drag("state", (x - 60, y - 20), let_go=False)
    assert shown.knob("state") == pytest.approx((x - 60, y - 20), abs=2)


def test_pairs_at_one_angle_are_together_where_each_of_them_is(open_page):
    shown = open_page("#population=true&spread=0&norm_spread=1&angle=60&norm_ratio=0.5")
    places = [shown.root.locator(name).get_attribute("transform") for name in (".plane .pooled", ".plane .grip.x-hat")]
    assert places[0] == places[1], "on Thales' circle, however long they are"


def test_the_trail_goes_on_however_long_a_drag_is(shown):
    for turn in range(4):
        x, y = shown.knob("x-hat")
        shown.page.mouse.move(x, y)
        shown.page.mouse.down()
        shown.page.mouse.move(x + (60 if turn % 2 else -60), y, steps=60)
        shown.page.mouse.up()
        shown.settle()
        *_, end = shown.root.locator(".trail").get_attribute("points").split()
        at = shown.root.locator(".grip.state").get_attribute("transform")[len("translate(") : -1]
        gap = [float(one) - float(other) for one, other in zip(end.split(","), at.split(","), strict=True)]
        assert math.hypot(*gap) < 4


def test_sliders_move_the_vectors_and_the_vectors_the_sliders(shown):
    box = shown.slider("angle").bounding_box()
    assert box
    shown.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    shown.settle()
    angle = shown.address()["angle"]
    assert angle == pytest.approx(0.75 * 180, abs=5)  # the thumb takes up some of the slider's length
    assert shown.drawn() == pytest.approx((angle, 0.6), rel=1e-9)
    shown.drag_by("x-hat", 60, -40)
    state = shown.address()
    for name in ("angle", "norm_ratio", "norm_x"):
        assert float(shown.slider(name).input_value()) == pytest.approx(state[name], abs=1e-9)
        assert float(shown.typed(name).input_value()) == pytest.approx(
            state[name], abs=5.1e-3
        )  # two decimals, or three


def test_typed_numbers_are_taken_exactly(shown):
    shown.type("angle", "123.456")
    shown.type("norm_ratio", "1.25")
    shown.type("norm_x", "0.5")
    state = shown.address()
    assert (state["angle"], state["norm_ratio"], state["norm_x"]) == (123.456, 1.25, 0.5)
    assert shown.drawn() == pytest.approx((123.456, 1.25), rel=1e-9)


@pytest.mark.parametrize("text", ["999", "-1", "1e", ""])
def test_a_typed_number_that_cannot_be_says_so_and_changes_nothing(shown, text):
    before = shown.drawn(), shown.values(), shown.address()
    shown.typed("angle").click(click_count=3)
    shown.press("Backspace")
    shown.page.keyboard.type(text)
    shown.press("Enter")
    assert "from 0 to 180°" in shown.said("angle")
    assert shown.typed("angle").get_attribute("aria-description") == shown.said("angle")
    assert shown.typed("angle").get_attribute("aria-invalid") == "true"
    assert (shown.drawn(), shown.values(), shown.address()) == before
    shown.type("angle", "70")
    assert shown.said("angle") == ""
    assert shown.typed("angle").get_attribute("aria-invalid") is None


def test_pairs_of_a_population_come_in_whole_blocks(open_page):
    shown = open_page("#population=true")
    shown.type("n", "75")
    assert "in steps of 50" in shown.said("n")
    shown.type("n", "150")
    assert shown.address()["n"] == 150


def test_a_drag_is_one_step_of_undo_and_comes_back_with_redo(shown):
    start = shown.drawn()
    shown.drag_by("x-hat", 60, 30)
    first = shown.drawn()
    shown.drag_by("x-hat", -90, -30)
    second = shown.drawn()
    for _ in range(2):
        shown.button("undo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx(start)
    assert shown.button("undo").get_attribute("aria-disabled") == "true"
    assert shown.address() == state_in("")
    shown.handle("x-hat").focus()
    shown.press("Control+Shift+Z")
    assert shown.drawn() == pytest.approx(first)
    shown.button("redo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx(second)
    shown.handle("x").focus()
    shown.press("Control+z")
    assert shown.drawn() == pytest.approx(first)
    shown.button("reset").click()
    shown.settle()
    assert shown.drawn() == pytest.approx(start)
    shown.press("Control+z")  # a reset is a step, too
    assert shown.drawn() == pytest.approx(first)


def test_undo_while_a_number_is_typed_is_the_fields_own(shown):
    shown.drag_by("x-hat", 60, 30)
    moved = shown.drawn()
    shown.typed("angle").click()
    shown.press("Control+z")
    assert shown.drawn() == pytest.approx(moved)


def test_a_state_that_came_from_a_link_is_a_step_of_undo(shown):
    shown.go_to("#angle=100")
    shown.drag_by("x-hat", 60, 30)
    shown.button("undo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx((100, 0.6))


def test_the_address_follows_and_a_reload_restores(shown):
    shown.drag_by("x-hat", -60, -30)
    shown.root.locator("input[name=population]").check()
    shown.root.locator("select[name=measure]").select_option("scale_x")
    shown.settle()
    before = shown.address(), shown.drawn(), shown.values()
    assert before[0]["population"]
    assert before[0]["measure"] == "scale_x"
    shown.page.reload()
    shown.settle()
    assert (shown.address(), shown.drawn(), shown.values()) == before


def test_the_copied_link_opens_what_is_seen(open_page):
    shown = open_page(permissions=["clipboard-read", "clipboard-write"])
    shown.drag_by("x-hat", -60, -30)
    shown.button("link").click()
    until(lambda: "copied" in shown.status())
    link = shown.page.evaluate("navigator.clipboard.readText()")
    other = open_page("#" + link.split("#")[1])
    assert other.drawn() == shown.drawn()
    assert other.values() == shown.values()


def test_without_the_clipboard_the_link_is_shown(open_page):
    shown = open_page(before="navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))")
    shown.type("angle", "77")
    shown.button("link").click()
    assert "#angle=77" in shown.status()


def test_a_browser_that_limits_changes_of_the_address_is_not_taken_for_a_silent_python(open_page):
    # Safari throws beyond 100 changes in 30 seconds of dragging.
    shown = open_page(before=RAISE_ON_REPLACE)
    shown.drag_by("x-hat", -60, -30, let_go=False)
    assert shown.silence() == ""
    shown.page.mouse.up()
    shown.settle()
    assert shown.silence() == ""
    assert shown.drawn()[0] > 50
