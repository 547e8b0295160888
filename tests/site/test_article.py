"""The pictures of the argument in a real Chromium: each can be moved by hand, and its numbers are Python's."""

import math

import pytest

from sandbox.explorer.penalty import penalised
from tests.explorer.browser.driver import until
from tests.site.article import RINGS, expected, in_python, sweep

PAIRS = (1, 2, 3, 4, 5, 6, 7)
"""The scenes of a single pair that can be dragged freely, or along a line."""


@pytest.mark.parametrize("number", PAIRS)
def test_the_numbers_are_pythons_at_the_dragged_state(article, number):
    article.answer(number)
    first = article.state(number)
    article.drag("x-hat", 21, 34)
    state = article.state(number)
    assert state["angle"] != first["angle"]
    shown = article.numbers(number) | {key: value for key, (value, _) in article.readout().items()}
    wanted = {key: value for key, value in expected(state).items() if key in shown}
    assert wanted
    assert {key: shown[key] for key in wanted} == pytest.approx(wanted, rel=1e-9)


def test_equal_lengths_stay_equal_and_a_gated_x_hat_stays_on_the_circle(article):
    for number, key in ((4, "norm_ratio"), (7, "relative_reconstruction_bias")):
        article.go(number)
        article.drag("x-hat", -40, -60)
        assert in_python(article.state(number))[key] == pytest.approx(1, rel=1e-12)
        article.drag("x", 60, 0)
        assert in_python(article.state(number))[key] == pytest.approx(1, rel=1e-12)


def test_rescaling_takes_x_hat_to_the_circle_at_its_angle(article):
    article.answer(6)
    article.drag("x-hat", 50, -20)
    state = article.state(6)
    assert in_python(state)["relative_reconstruction_bias"] != pytest.approx(1, abs=0.05)
    article.scene(6).locator('[data-action="rescale"]').click()
    article.settle()
    after = article.state(6)
    assert after["angle"] == state["angle"]
    assert in_python(after)["relative_reconstruction_bias"] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("number", RINGS)
def test_a_prediction_is_a_ring_to_drag_and_its_distance_is_told_with_the_answer(article, number):
    article.go(number)
    x, _ = article.knob("guess")
    article.drag("guess", 40, -30)
    assert article.knob("guess")[0] > x
    assert "away" not in article.stage.locator(".ghost-name:visible").text_content()
    article.scene(number).locator(".ask").click()
    article.settle()
    unit = article.unit()
    (zx, zy), (gx, gy), values = origin(article), article.knob("guess"), in_python(article.state(number))
    ring = ((gx - zx) / unit, (zy - gy) / unit)
    turn = math.radians(article.state(number)["angle"])
    wanted = {
        2: math.hypot(ring[0] - values["scale_x"], ring[1]),
        4: abs(math.hypot(*ring) - values["scale_x_hat"] * values["norm_ratio"]),
        6: abs(math.hypot(ring[0] - 0.5, ring[1]) - 0.5),
    }[number]
    if number == 4:
        assert math.atan2(ring[1], ring[0]) == pytest.approx(turn, abs=0.01)
    told = article.numbers(number)["guess"]
    assert told == pytest.approx(wanted, abs=1.5 / unit)  # half a pixel for each of three positions
    assert f"{told:.2f} away" in article.stage.locator(".ghost-name:visible").text_content()
    assert article.scene(number).locator("[data-if=guessed]").is_visible()
    article.drag("x-hat", 20, 10)
    assert article.stage.locator(".ghost-name:visible").count() == 0
    assert not article.scene(number).locator("[data-if=guessed]").is_visible()


def origin(article):
    box = article.stage.locator("svg.plane").bounding_box()
    x1, y1 = article.stage.locator('line[data-arrow="x"]').evaluate(
        "(line) => [line.x1, line.y1].map((end) => end.baseVal.value)"
    )
    return box["x"] + x1, box["y"] + y1


@pytest.mark.parametrize("number", RINGS)
def test_a_ring_that_was_not_moved_is_no_prediction(article, number):
    article.answer(number)
    assert not article.scene(number).locator("[data-if=guessed]").is_visible()
    assert article.scene(number).locator(".verdict").inner_text() == "You have not moved the ring."
    assert not article.stage.locator(".ghost-name:visible").count()


def test_no_name_in_the_picture_covers_another_or_a_handle(article):
    """The name of the foot on x̂ lay on the arrow, or on the name of x̂."""
    for number in (2, 3, 4, 5, 6):
        article.answer(number)
        boxes = article.stage.locator(".plane :is(.foot-name, .arrow-name, .grip .knob):visible").evaluate_all(
            """(all) => all.map((node) =>
              [node.textContent || node.parentNode.dataset.handle, node.getBoundingClientRect()])"""
        )
        for i, (name, one) in enumerate(boxes):
            for other, two in boxes[:i]:
                apart = one["right"] <= two["left"] or two["right"] <= one["left"]
                assert apart or one["bottom"] <= two["top"] or two["bottom"] <= one["top"], (number, name, other)


def test_the_cloud_is_pooled_as_in_python_and_its_means_are_others(article):
    article.answer(8)
    article.drag("x-hat", 30, 10)
    state, shown = article.state(8), article.numbers(8)
    assert state["population"]
    wanted = expected(state)
    for key in ("relative_reconstruction_bias", "mean_of_batches", "batch"):
        assert shown[key] == pytest.approx(wanted[key], rel=1e-9)
    assert shown["mean_of_tokens"] > shown["relative_reconstruction_bias"] + 0.1
    article.scene(8).locator('input[name="spread"]').focus()
    article.press("ArrowLeft", "ArrowLeft")
    assert article.state(8)["spread"] == state["spread"] - 2
    assert article.numbers(8)["relative_reconstruction_bias"] != shown["relative_reconstruction_bias"]


def test_the_law_is_pythons_wherever_the_slider_or_the_tip_goes(article):
    article.answer(10)
    article.scene(10).locator('input[name="penalty"]').focus()
    article.press("ArrowRight", "ArrowRight")
    for move in (lambda: None, lambda: article.drag("x-hat", -40, 5)):
        move()
        state, shown = article.state(10), article.numbers(10)
        wanted = {key: value for key, value in expected(state).items() if key.startswith("law_")}
        assert {key: shown[key] for key in wanted} == pytest.approx(wanted, rel=1e-9)
        assert shown["law_of_count"] == pytest.approx(1, rel=1e-9)
        placed = penalised(state["penalty"])["soft"].settings
        assert {key: state[key] for key in placed} == pytest.approx(placed, rel=1e-9)
    assert state["penalty"] != pytest.approx(2.2)
    article.scene(10).locator('input[name="penalty"]').focus()
    article.press("Home")
    shown = article.numbers(10)
    assert article.state(10)["penalty"] == 0
    assert shown["law_predicted"] == shown["law_measured"] == 1
    assert shown["law_P"] == pytest.approx(penalised(0)["soft"].penalty, rel=1e-9)


def test_the_picture_of_figure_6_has_the_numbers_of_the_committed_sweep(article):
    own = sweep("relative_reconstruction_bias")
    article.go(9)
    points = article.stage.locator(".figure6 .point")
    points.first.wait_for()
    assert points.count() == 2, "until the answer, one SAE of each family"
    article.answer(9)
    until(lambda: points.count() == len(own["relu"] + own["gated"]))
    shown = article.numbers(9)
    assert shown["relu_densest_relative_reconstruction_bias"] == max(own["relu"])[1]
    assert shown["relu_sparsest_relative_reconstruction_bias"] == min(own["relu"])[1]
    assert shown["gated_off"] == pytest.approx(max(abs(value - 1) for _, value in own["gated"]), rel=1e-12)
    before = points.last.get_attribute("transform")
    article.stage.locator('.choices input[value="scale_x"]').check()
    until(lambda: points.last.get_attribute("transform") != before)
    box = points.first.bounding_box()
    article.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(lambda: article.stage.locator(".row.looked .name").inner_text().startswith("Gated"))
    assert article.stage.locator(".row.looked data").all_inner_texts()[0] != ""


def test_a_picture_can_be_reset(article):
    first = article.state(1)
    article.drag("x-hat", 30, 30)
    assert article.state(1) != first
    article.stage.locator('[data-action="reset"]').click()
    article.settle()
    assert article.state(1) == first


def test_each_scene_keeps_its_own_picture(article):
    article.drag("x-hat", 30, 30)
    left = article.state(1)
    article.go(2)
    article.go(1)
    assert article.state(1) == left
    assert article.state(2) != left


def test_the_ring_of_each_family_predicts_the_bias_of_its_sparsest_sae(article):
    article.go(9)
    article.stage.locator(".chart .point").first.wait_for()
    for i, dy in enumerate((-30, 25)):
        before = article.knob(f"guess-{i}")
        article.drag(f"guess-{i}", 40, dy)
        assert article.knob(f"guess-{i}") == pytest.approx((before[0], before[1] + dy), abs=1)
    predicted = [
        float(article.stage.locator(f'[data-handle="guess-{i}"]').get_attribute("aria-valuenow")) for i in (0, 1)
    ]
    article.answer(9)
    own, told = sweep("relative_reconstruction_bias"), article.numbers(9)
    for name, value in zip(("relu", "gated"), predicted, strict=True):
        assert told[f"guess_{name}"] == pytest.approx(abs(value - own[name][0][1]), abs=5e-4)  # of three digits
    assert article.scene(9).locator("[data-if^=guessed]:visible").count() == 2
    article.stage.locator('.choices input[value="norm_ratio"]').check()
    assert article.stage.locator(".ghost-name:visible").count() == 0, "the rings are about γ"


def test_the_handle_goes_from_sae_to_sae_and_the_small_arrows_are_those_of_that_sae(article):
    article.answer(9)
    article.stage.locator(".chart .point").nth(20).wait_for()
    ratio, along, bias = (sweep(key)["relu"] for key in ("norm_ratio", "scale_x", "relative_reconstruction_bias"))
    places = {}
    for dx in (0, -180, -400):
        article.drag("sae", dx, 0)
        assert article.stage.locator(".row.looked .name").inner_text().startswith("ReLU")
        shown = [
            float(data)
            for data in article.stage.locator(".row.looked data").evaluate_all("(all) => all.map((d) => d.value)")
        ]
        at = next(i for i, (l0, _) in enumerate(ratio) if l0 == pytest.approx(shown[0]))
        assert shown[1:4] == [bias[at][1], ratio[at][1], along[at][1]]
        (x1, y1, x2, _), (_, _, u, v) = (
            article.stage.locator(f".sae-arrows .arrow.{arrow}").evaluate(
                '(line) => ["x1", "y1", "x2", "y2"].map((end) => +line.getAttribute(end))'
            )
            for arrow in ("x", "x-hat")
        )
        assert math.hypot(u - x1, v - y1) / (x2 - x1) == pytest.approx(ratio[at][1], rel=1e-6)
        assert shown[-1] == pytest.approx(math.degrees(math.atan2(y1 - v, u - x1)), rel=1e-6)
        places[at] = shown
    assert len(places) == 3, "it moved"
