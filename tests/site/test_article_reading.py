"""Reading the argument in a real Chromium: by scrolling, with buttons and keys, on a phone, in a class."""

import re

import pytest

from sandbox.site.build import PAGES
from sandbox.site.proofs import proofs
from tests.explorer.browser.driver import until
from tests.explorer.browser.test_accessibility import grave
from tests.site.article import SCENES, WINDOWS, in_python


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
    assert set(secrets) <= {"?", ""}  # "" where the very name of the number is still hidden
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
          .filter((p) => p.style.display !== "none").map((p) => p.cloneNode(true)).map((p) => {
            for (const node of p.querySelectorAll("[data-if]")) if (node.style.display === "none") node.remove();
            return p.textContent;
          }).join(" ")"""
    )
    assert 40 <= len(text.split()) <= 135


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


@pytest.mark.parametrize("number", [1, 4, 6, 7, 8, 10])
def test_a_teachers_link_can_begin_with_the_picture_as_it_was_left(article, open_article, number):
    article.go(number)
    article.answer(number) if number == 10 else None
    article.drag("x-hat", -35, -20)
    left = article.arrow()
    article.page.locator('.teachers select[name="scene"]').select_option(str(number))
    article.page.locator('.teachers [name="state"]').check()
    link = article.page.locator('[data-text="link"]').inner_text()
    other = open_article("?" + link.partition("?")[2])
    assert other.page.locator("main > .wrong").is_hidden()
    assert other.stage.get_attribute("data-scene") == str(number)
    if number == 10:
        other = open_article("?" + link.partition("?")[2].replace("&answers=hidden", ""))
        other.answer(10)
    assert other.arrow() == pytest.approx(left, abs=0.5)


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


@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_the_picture_leaves_the_text_most_of_any_window(open_article, width, height):
    article = open_article("?scene=5", viewport={"width": width, "height": height})
    assert article.covered() < 0.45
    article.page.wait_for_timeout(1000)  # the time for which scrolling to a scene may pass others
    article.page.mouse.wheel(0, 1)
    article.settle()
    assert article.stage.get_attribute("data-scene") == "5"
    assert article.page.evaluate("document.documentElement.scrollWidth") <= width


def test_from_right_to_left_nothing_is_wider_than_the_window(open_site):
    for page in PAGES:
        tab = open_site(f"{page.name}.html")
        tab.evaluate("document.documentElement.dir = 'rtl'")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 1280, page.name


def test_without_javascript_the_page_says_so_first(open_site):
    page = open_site("index.html", java_script_enabled=False)
    assert page.locator("main").inner_text().startswith("This site draws and computes with JavaScript")


def test_whoever_uses_keys_gets_to_the_picture_and_back(open_article):
    for options in ({}, {"viewport": {"width": 320, "height": 225}}):
        article = open_article(**options)
        for number, handle in ((2, "guess"), (3, "x-hat"), (9, "guess-0")):
            article.go(number) if not options else article.scene(number).locator(".ask").focus()
            article.stage.locator(".chart .point").first.wait_for() if number == 9 else None
            article.scene(number).get_by_role("button", name="To the picture").focus()
            article.press("Enter")
            assert article.page.evaluate("document.activeElement.dataset.handle") == handle
            assert article.stage.get_attribute("data-scene") == str(number)
            article.stage.get_by_role("button", name="Back to the text").focus()
            article.press("Enter")
            assert article.page.evaluate("document.activeElement.getAttribute('aria-controls')") == f"answer-{number}"


def test_the_picture_follows_the_focus(article):
    for number in (4, 2):
        article.scene(number).locator(".ask").evaluate("(button) => button.focus({ preventScroll: true })")
        assert article.stage.get_attribute("data-scene") == str(number)


def test_after_a_reload_and_on_the_way_back_all_is_as_the_reader_left_it(article):
    article.answer(6)
    article.drag("x-hat", 40, -20)
    left = article.state(6)
    article.page.reload()
    for leave in (lambda: None, lambda: (article.page.goto(article.proof(6)), article.page.go_back())):
        leave()
        article.stage.locator("[data-handle=x]").wait_for(state="attached")
        article.go(6)
        assert article.state(6) == left
        assert article.scene(6).locator(".answer").is_visible()
        assert not article.scene(5).locator(".answer").is_visible()


@pytest.mark.parametrize("number", [1, 3, 5, 7, 8, 10])
def test_a_choice_is_a_prediction_that_the_answer_judges(article, number):
    article.go(number)
    labels, verdict = article.scene(number).locator(".predict label"), article.scene(number).locator(".verdict")
    assert 2 <= labels.count() <= 3
    judged = []
    for label in labels.all():
        label.click()
        assert not verdict.is_visible()
        article.answer(number)
        words = verdict.inner_text()
        assert words.startswith(f"You predicted “{label.inner_text().strip()}”: ")
        judged.append(words.rpartition(": ")[2])
        article.scene(number).locator(".ask").click()
    assert sorted(judged) == ["not so."] * (labels.count() - 1) + ["right."]


def test_an_answer_without_a_prediction_judges_none(article):
    article.answer(3)
    assert not article.scene(3).locator(".verdict").is_visible()


@pytest.mark.parametrize(("number", "secret"), [(1, "angle"), (3, "cos²")])
def test_no_name_of_a_number_gives_the_answer_away(article, number, secret):
    article.go(number)
    assert secret not in article.stage.inner_text()
    article.answer(number)
    assert secret in article.stage.inner_text()


def plain(mathml: str) -> str:
    return re.sub(r"<[^>]*>", "", mathml)


@pytest.mark.parametrize(
    ("number", "claim", "formula"),
    [
        (5, "C7", "ba−L=b2·c−b"),  # what the slip gave, and what it amounts to: square roots of fractions
        (5, "C7", "L∗=a−c2b"),
        (5, "C7", "ba−L∗=bc"),
        (10, "C19", "bc=1−P·λ2·c"),
    ],
)
def test_a_formula_in_the_text_is_a_step_of_the_proof_that_the_scene_leads_to(article, number, claim, formula):
    scene = article.scene(number)
    quoted = scene.locator("[data-step] math").evaluate_all("(all) => all.map((math) => math.innerHTML)")
    assert formula in map(plain, quoted)
    assert scene.locator(f'.more a[href="proofs.html#{claim}"]').count() == 1
    (proof,) = (proof for proof in proofs() if proof["number"] == claim)
    parts = re.split("<mo>=</mo>(?![^<]*</m(?:row|frac))", next(one for one in quoted if plain(one) == formula))
    assert any(step["terms"][: len(parts)] == parts for step in proof["steps"])


def test_the_numbers_of_scene_5_obey_its_formulas(article):
    """The old equation 10 is what L gives, and γ what the optimised loss gives."""
    article.answer(5)
    article.drag("x-hat", -25, -40)
    shown, values = article.numbers(5), in_python(article.state(5))
    b, loss = values["norm_ratio"] ** 2, values["relative_loss"]  # of a = 1
    least = 1 - values["cosine"] ** 2
    assert shown["equation_10_v1"] == pytest.approx((b / (1 - loss)) ** 0.5, rel=1e-9)
    assert shown["relative_reconstruction_bias"] == pytest.approx((b / (1 - least)) ** 0.5, rel=1e-9)


def test_the_address_names_the_scene_in_one_entry_of_the_history(open_article, site):
    article = open_article()
    page = article.page
    entries = page.evaluate("history.length")
    for by, search in (("next", "?scene=2"), ("next", "?scene=3"), ("back", "?scene=2"), ("back", "")):
        article.stage.locator(f'[data-action="{by}"]').click()
        until(lambda search=search: page.evaluate("location.href") == f"{site}index.html{search}")
    article.go(7)
    until(lambda: page.evaluate("location.search") == "?scene=7")
    assert page.evaluate("history.length") == entries
    article.answer(7)
    page.reload()
    article.stage.locator("[data-handle=x]").wait_for(state="attached")
    until(lambda: article.stage.get_attribute("data-scene") == "7")
    assert article.scene(7).locator(".answer").is_visible()
    assert open_article("?scene=7").stage.get_attribute("data-scene") == "7", "a bookmark"


def test_what_the_text_says_of_the_picture_stays_true_when_it_is_moved(article):
    for number, first, later in (
        (6, "This x̂ has γ = 1.", "Where x̂ is now, γ is not 1"),
        (7, "Here is a real one:", "Here is a real one, turned:"),
    ):
        article.go(number)
        text = article.scene(number)
        assert first in text.inner_text()
        assert later not in text.inner_text()
        article.drag("x-hat", -30, 20)
        assert later in text.inner_text()
        assert first not in text.inner_text()
        article.stage.locator('[data-action="reset"]').click()
        article.settle()
        assert first in text.inner_text()


@pytest.mark.parametrize("number", SCENES)
def test_a_scene_alone_has_no_menu_and_says_what_its_letters_mean(open_article, number):
    article = open_article(f"?scene={number}&answers=hidden")
    assert not article.page.locator("header.site").is_visible()
    assert article.page.locator("a:visible").count() == 0, "the way to the answer"
    text = article.page.locator("main").inner_text()
    for letter in ("γ", "c/a", "c/b"):
        if letter in article.scene(number).locator(".question").inner_text():
            told = re.search(rf"^{letter}( =.*)?: .*\?$", text, re.MULTILINE | re.DOTALL)
            assert told or f"Call it {letter}" in text
    assert "x̂" in text.partition("copy")[0]
