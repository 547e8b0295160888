"""The argument as an article: ten scenes beside one picture, in a real Chromium."""

import csv
import math
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.explorer.penalty import penalised
from sandbox.explorer.shown import moments_of
from sandbox.explorer.state import BLOCKS
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from tests.explorer.browser.driver import QUICK, SETTLED, state_in, until
from tests.explorer.browser.test_accessibility import grave

SCENES = range(1, 11)
PAIRS = (1, 2, 3, 4, 5, 6, 7)
"""The scenes of a single pair that can be dragged freely, or along a line."""

RINGS = (2, 4, 6)
"""The scenes in which the reader predicts with a ring."""


class Article:
    """The article in a page, and ways to read and move it."""

    def __init__(self, page):
        self.page = page
        self.stage = page.locator(".stage")
        self.stage.locator("[data-handle=x]").wait_for(state="attached")
        self.settle()

    def settle(self):
        self.page.evaluate(SETTLED)

    def scene(self, number):
        return self.page.locator(f"#scene-{number}")

    def go(self, number):
        """Scroll to a scene as a reader does."""
        self.scene(number).evaluate("(scene) => scene.scrollIntoView({ block: 'start', behavior: 'instant' })")
        until(lambda: self.stage.get_attribute("data-scene") == str(number))
        self.settle()

    def answer(self, number):
        self.go(number)
        self.scene(number).locator(".ask").click()
        self.settle()

    def state(self, number):
        """The state in the scene's link to the explorer, checked by Python."""
        return state_in("#" + self.scene(number).locator(".open").get_attribute("href").partition("#")[2])

    def numbers(self, number):
        """What the text of a scene shows: name ► number, None where it is undefined."""
        found = (
            self.scene(number).locator("[data-show]").evaluate_all("(all) => all.map((d) => [d.dataset.show, d.value])")
        )
        return {name: float(value) if value else None for name, value in found}

    def readout(self):
        """What stands below the picture: name ► text."""
        rows = self.stage.locator(".readout [data-read]")
        found = rows.evaluate_all(
            "(all) => all.map((d) => [d.dataset.read, d.value, d.textContent, d.getClientRects().length])"
        )
        return {name: (float(value) if value else None, text) for name, value, text, seen in found if seen}

    def knob(self, handle):
        box = self.stage.locator(f'[data-handle="{handle}"]:visible .knob').bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def unit(self):
        """The length of x in pixels."""
        x1, x2 = self.stage.locator('line[data-arrow="x"]').evaluate(
            "(line) => [line.x1, line.x2].map((end) => end.baseVal.value)"
        )
        return x2 - x1

    def drag(self, handle, dx, dy):
        x, y = self.knob(handle)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=5)
        self.page.mouse.up()
        self.settle()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()


@pytest.fixture
def open_article(open_site):
    """A function that opens the article, without movements that take time."""

    def open_(search="", **options):
        return Article(
            open_site(f"index.html{search}", before=f"{{ {QUICK} }}", **{"reduced_motion": "reduce"} | options)
        )

    return open_


@pytest.fixture
def article(open_article):
    return open_article()


def in_python(state) -> dict[str, Any]:
    means = moments_of(state).means
    values = {key: evaluate(measure, *means).item() for key, measure in REGISTRY.items()}
    return {key: None if math.isnan(value) else value for key, value in values.items()}


def test_less_than_300_kb_are_asked_for_before_the_first_picture(open_site):
    answers = []
    page = open_site("index.html", seen=lambda tab: tab.on("response", lambda answer: answers.append(answer)))
    page.locator("[data-handle=x-hat] .knob").wait_for()
    page.wait_for_load_state("networkidle")
    sizes = {answer.url.rpartition("/")[2]: len(answer.body()) for answer in answers if answer.url.startswith("http")}
    assert {"index.html", "generated.js", "plane.js", "article.js", "site.css"} <= set(sizes)
    assert sum(sizes.values()) < 300_000, sizes


@pytest.mark.parametrize("number", SCENES)
def test_scrolling_to_a_scene_changes_the_picture_and_hides_its_answer_until_it_is_asked_for(article, number):
    article.go(number)
    scene, button = article.scene(number), article.scene(number).locator(".ask")
    assert article.page.locator(".scene.current").count() == 1
    assert "current" in scene.get_attribute("class")
    assert article.stage.locator(".where").inner_text() == f"{number} of {len(SCENES)}"
    before = article.stage.get_attribute("data-shown")
    secrets = article.stage.locator(".readout:visible .secret data").all_inner_texts()
    assert set(secrets) <= {"?"}
    assert not scene.locator(".answer").is_visible()
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    article.settle()
    assert scene.locator(".answer").is_visible()
    assert button.get_attribute("aria-expanded") == "true"
    assert article.stage.locator(".readout:visible .secret").count() == 0
    assert "?" not in article.stage.locator(".readout").all_inner_texts()
    after = article.stage.get_attribute("data-shown")
    assert secrets or number == 9
    assert set(before.split()) <= set(after.split())
    button.click()
    assert not scene.locator(".answer").is_visible()
    assert article.stage.get_attribute("data-shown") == before


@pytest.mark.parametrize("number", PAIRS)
def test_the_numbers_are_pythons_at_the_dragged_state(article, number):
    article.answer(number)
    first = article.state(number)
    article.drag("x-hat", 21, 34)
    state, values = article.state(number), None
    assert state["angle"] != first["angle"]
    values = in_python(state)
    shown = article.numbers(number) | {key: value for key, (value, _) in article.readout().items()}
    known = {key: values[key] for key in shown if key in REGISTRY}
    assert known
    assert {key: shown[key] for key in known} == pytest.approx(known, rel=1e-9)
    others = {
        "angle": state["angle"],
        "product": values["scale_x"] * values["scale_x_hat"],
        "cosine_squared": values["cosine"] ** 2,
        "distance": math.sqrt(values["relative_loss"]),
        "error": (values["equation_10_v1"] or math.nan) - values["relative_reconstruction_bias"],
    }
    more = {key: others[key] for key in shown if key in others}
    assert {key: shown[key] for key in more} == pytest.approx(more, rel=1e-9)


def test_the_text_of_an_answer_types_no_measured_number(site_files):
    text = site_files["index.html"].decode()
    scenes = re.findall(r'<section class="scene".*?</section>', text, re.DOTALL)
    assert len(scenes) == len(SCENES)
    for scene in scenes:
        words = re.sub(r"<[^>]*>", " ", scene)
        assert not re.findall(r"\d[.,]\d", words)


@pytest.mark.parametrize("number", SCENES)
def test_a_scene_is_short(article, number):
    text = article.scene(number).evaluate(
        """(scene) => [...scene.querySelectorAll(":scope > p:not(.more), :scope > .answer > p:not([data-slider])")]
          .map((p) => p.textContent).join(" ")"""
    )
    assert 40 <= len(text.split()) <= 135


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
    assert article.scene(number).locator(".if-guessed").is_visible()
    article.drag("x-hat", 20, 10)
    assert article.stage.locator(".ghost-name:visible").count() == 0
    assert not article.scene(number).locator(".if-guessed").is_visible()


def origin(article):
    box = article.stage.locator("svg.plane").bounding_box()
    x1, y1 = article.stage.locator('line[data-arrow="x"]').evaluate(
        "(line) => [line.x1, line.y1].map((end) => end.baseVal.value)"
    )
    return box["x"] + x1, box["y"] + y1


def test_a_ring_that_was_not_moved_is_no_prediction(article):
    article.answer(2)
    assert not article.scene(2).locator(".if-guessed").is_visible()


def test_the_cloud_is_pooled_as_in_python_and_its_means_are_others(article):
    article.answer(8)
    article.drag("x-hat", 30, 10)
    state, shown = article.state(8), article.numbers(8)
    assert state["population"]
    moments = moments_of(state)
    bias = REGISTRY["relative_reconstruction_bias"]
    pooled = evaluate(bias, *moments.means).item()
    batches = evaluate(bias, *moments.totals.unbind(-1))
    assert shown["relative_reconstruction_bias"] == pytest.approx(pooled, rel=1e-9)
    assert shown["mean_of_batches"] == pytest.approx(batches.nanmean().item(), rel=1e-9)
    assert shown["batch"] == state["n"] / BLOCKS
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
        both = penalised(state["penalty"])
        assert shown["law_predicted"] == pytest.approx(both["soft"].predicted, rel=1e-9)
        assert shown["law_measured"] == pytest.approx(both["soft"].values["relative_reconstruction_bias"], rel=1e-9)
        assert shown["law_of_count"] == pytest.approx(1, rel=1e-9)
        assert {key: state[key] for key in both["soft"].settings} == pytest.approx(both["soft"].settings, rel=1e-9)
    assert state["penalty"] != pytest.approx(2.2)


def test_the_picture_of_figure_6_has_the_numbers_of_the_committed_sweep(article):
    with Path("results/figure-6/figure-6.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["finished"] == "True" and row["measured_on"] == "held-out"]
    seen = [row for row in rows if row["origin"] == "raw" and row["measure"] == "relative_reconstruction_bias"]
    own = {
        name: [(float(row["l0"]), float(row["value"])) for row in seen if row["architecture"] == name]
        for name in ("relu", "gated")
    }
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
    points.last.hover()
    assert article.stage.locator(".looked data").all_inner_texts()[0] != ""


def test_every_scene_can_be_reached_with_the_buttons_and_with_the_keys(article):
    for number in (2, 3):
        article.stage.locator('[data-action="next"]').click()
        until(lambda now=number: article.stage.get_attribute("data-scene") == str(now))
    article.stage.locator('[data-action="back"]').click()
    until(lambda: article.stage.get_attribute("data-scene") == "2")
    article.page.evaluate("document.activeElement.blur()")
    for number in range(3, 11):
        article.press("ArrowRight")
        until(lambda now=number: article.stage.get_attribute("data-scene") == str(now))
        assert article.scene(number).locator("h2").is_visible()
    article.press("ArrowRight")
    assert article.stage.get_attribute("data-scene") == "10"
    article.press("ArrowLeft")
    until(lambda: article.stage.get_attribute("data-scene") == "9")


def test_the_arrow_keys_move_what_has_the_focus_and_not_the_page(article):
    for number in (1, 4, 7, 10):
        article.answer(number)
        before = article.state(number)
        article.stage.locator('[data-handle="x-hat"]').focus()
        article.press("ArrowRight", "ArrowRight")
        assert article.stage.get_attribute("data-scene") == str(number)
        assert article.state(number)["angle"] != before["angle"]
    article.go(2)
    article.stage.locator('[data-handle="guess"]:visible').focus()
    x, _ = article.knob("guess")
    article.press("ArrowRight")
    assert article.knob("guess")[0] == pytest.approx(x + 0.05 * article.unit(), abs=0.6)
    assert article.stage.locator('[data-handle="guess"]:visible').get_attribute("aria-valuetext") == "0.30 of x"


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


def finger(cdp, kind, *points):
    cdp.send(
        "Input.dispatchTouchEvent",
        {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]},
    )


def test_on_a_phone_a_finger_drags_the_tip_below_the_top_edge_while_the_text_scrolls(open_article):
    article = open_article(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    article.go(3)
    box, tall = article.stage.bounding_box(), article.page.evaluate("innerHeight")
    assert box["y"] == pytest.approx(0, abs=1)
    assert box["height"] < 0.45 * tall
    top, first = article.page.evaluate("scrollY"), article.state(3)
    cdp = article.page.context.new_cdp_session(article.page)
    x, y = article.knob("x-hat")
    finger(cdp, "touchStart", (x, y))
    for i in range(1, 6):
        finger(cdp, "touchMove", (x - 8 * i, y + 6 * i))
    until(lambda: article.knob("x-hat") == pytest.approx((x - 40, y + 30), abs=1))
    finger(cdp, "touchEnd")
    article.settle()
    assert article.page.evaluate("scrollY") == top
    assert article.state(3)["angle"] != first["angle"]


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(open_article, width):
    article = open_article(viewport={"width": width, "height": 844})
    for number in SCENES:
        article.answer(number)
        assert article.page.evaluate("document.documentElement.scrollWidth") <= width
        beyond = article.scene(number).evaluate(
            """(scene) => [...scene.querySelectorAll("*")].filter((node) =>
              !node.closest(".wide") && node.getBoundingClientRect().right > innerWidth + 0.5).length"""
        )
        assert beyond == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_article, scheme):
    article = open_article(color_scheme=scheme)
    assert grave(article.page) == []
    for number in SCENES:
        article.answer(number)
    for number in (2, 7, 9, 10):
        article.go(number)
        assert grave(article.page) == []


def test_an_assignment_is_one_scene_without_its_answer(open_article):
    article = open_article("?scene=4&answers=hidden")
    page = article.page
    assert page.locator(".scene:visible").count() == 1
    assert article.scene(4).is_visible()
    assert page.locator(".answer").count() == page.locator(".ask").count() == 0
    assert page.locator(".assignment").is_visible()
    assert not page.locator('[data-action="next"]').is_visible()
    article.page.keyboard.press("ArrowRight")
    article.drag("x-hat", 20, 20)
    assert article.stage.get_attribute("data-scene") == "4"
    assert "?" in [text for _, text in article.readout().values()]


def test_an_embedded_scene_has_no_header_and_answers(open_article):
    article = open_article("?scene=7&embed=1&angle=40", viewport={"width": 700, "height": 700})
    page = article.page
    assert not page.locator("header.site").is_visible()
    assert not page.locator(".teachers").is_visible()
    assert page.locator(".scene:visible").count() == 1
    assert article.state(7)["angle"] == 40
    article.scene(7).locator(".ask").click()
    assert article.scene(7).locator(".answer").is_visible()


def test_teachers_get_the_links_that_do_this(article, site):
    page = article.page
    page.locator('.teachers select[name="scene"]').select_option("4")
    assert page.locator('[data-text="link"]').inner_text() == f"{site}index.html?scene=4&answers=hidden"
    snippet = page.locator('[data-text="embed"]').inner_text()
    assert f'src="{site}index.html?scene=4&amp;answers=hidden&amp;embed=1"' in snippet
    page.locator('.teachers [name="answers"]').uncheck()
    assert page.locator('[data-text="link"]').inner_text() == f"{site}index.html?scene=4"


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?scene=11", "scene is “11”: it must be a whole number from 1 to 10"),
        ("?scene=4&answers=no", "answers is “no”: it can only be “hidden”"),
        ("?answers=hidden", "the address names no scene: add scene=1"),
        ("?scene=4&angle=200", "angle between x and x̂ is “200”: it must be a number from 0 to 180°"),
    ],
)
def test_a_wrong_address_is_told_and_the_article_is_there(open_article, search, said):
    article = open_article(search)
    assert said in article.page.locator("main > .wrong").inner_text()
    assert article.page.locator(".scene:visible").count() == len(SCENES)


def test_a_link_to_a_scene_starts_there(open_article):
    article = open_article("?scene=6")
    assert article.stage.get_attribute("data-scene") == "6"
    assert (
        article.scene(6)
        .locator("h2")
        .evaluate("(h) => { const { top } = h.getBoundingClientRect(); return top > 0 && top < innerHeight; }")
    )


def test_every_link_within_the_site_leads_somewhere(article, site_files):
    hrefs = article.page.locator("main a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
    pages = {href.partition("#")[0].partition("?")[0] for href in hrefs if not href.startswith("https:")}
    assert pages <= set(site_files)


def test_the_end_of_a_movement_is_told_in_words(article):
    article.answer(2)
    article.drag("x-hat", 20, 20)
    values = in_python(article.state(2))
    assert f"c/a {values['scale_x']:.3f}" in article.stage.locator(".spoken").text_content()
