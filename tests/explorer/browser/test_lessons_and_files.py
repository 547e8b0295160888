"""Presets ask before they answer, with the numbers of the table; saved pictures are complete."""

import re
import string
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from sandbox.explorer.presets import presets
from sandbox.explorer.state import checked

XLINK = "{http://www.w3.org/1999/xlink}href"


def test_presets_set_their_state_ask_and_answer_with_the_tables_numbers(open_page):
    shown = open_page("#norm_x=0.4&seed=3")
    lesson = shown.root.locator(".lesson")
    summary, answer, notice = (lesson.locator(part) for part in ("summary", "details p", ".notice"))
    for preset in presets():
        button = shown.root.locator(f'[data-preset="{preset.key}"]')
        button.click()
        shown.settle()
        assert shown.address() == checked(preset.settings)
        assert button.get_attribute("aria-pressed") == "true"
        assert summary.inner_text().startswith(f"Predict: {preset.in_words()['question']} ")
        assert summary.inner_text().endswith(preset.claim)
        assert not answer.is_visible()
        assert not notice.is_visible()
        values = shown.root.locator("td data, .moments data, .placing input")
        given = {"norm_ratio": not preset.settings.get("population") and not preset.settings.get("merged")}
        for node in values.all():
            key = node.evaluate("(node) => node.closest('tr')?.dataset.measure ?? ''")
            assert node.is_visible() == given.get(key, False), (preset.key, key)
        summary.click()
        notice.wait_for(state="visible")
        values = shown.values()
        in_table = {key: shown.root.locator(f'tr[data-measure="{key}"] data').inner_text() for key in values}
        assert shown.root.locator("tr[data-measure] data").first.is_visible()
        for template, node in ((preset.notice, notice), (preset.answer, answer)):
            text = node.inner_text()
            assert not re.search(r"[{}]|\bnan\b|\binf\b", text), preset.key
            for _, field, _, _ in string.Formatter().parse(template):
                if field in preset.numbers:
                    assert preset.numbers[field] in text
                elif field == "too_short":
                    bias = values["relative_reconstruction_bias"]
                    assert bias is not None, preset.key
                    assert f" {100 * (1 - bias):.1f} % too short" in text, preset.key
                elif field:
                    value = values[field.removeprefix("one_over_")]
                    assert value is not None, (preset.key, field)
                    value = 1 / value if field.startswith("one_over_") else value
                    number = (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}").replace("-", "−")
                    assert re.search(rf"(?<![\d.−]){number}(?![.]?\d)", text), (preset.key, field, number)
                    if not field.startswith("one_over_"):
                        read = float(in_table[field].replace("−", "-"))
                        assert float(number.replace("−", "-")) == pytest.approx(read, abs=5.01e-4), (preset.key, field)


def visible(shown, selector):
    return [node.is_visible() for node in shown.root.locator(selector).all()]


def test_while_a_preset_asks_its_answers_are_veiled_and_the_rest_stays(shown):
    shown.root.locator('[data-preset="antiparallel"]').click()
    shown.settle()
    answers = (
        "tr:not([data-measure=norm_ratio]) td data, .moments data, .reason:not(:empty), .substituted, .tip-figures, "
        ".placing input, .none-words"
    )
    assert len(visible(shown, answers)) > 10
    assert not any(visible(shown, answers))
    for kept in (
        "tr .symbol",
        "[data-measure] strong",
        ".field .typed input[name=angle]",
        ".plane .arrow-name",
        ".saes text",
        ".parabolas .grid text",
        ".asked",
    ):
        assert all(visible(shown, kept)), kept
    shown.root.locator(".lessons summary").click()
    shown.root.locator(".notice").wait_for(state="visible")
    assert any(visible(shown, ".reason:not(:empty)"))
    assert not any(visible(shown, ".asked"))


def test_a_veiled_row_does_not_tell_whether_its_measure_is_undefined(shown):
    shown.root.locator('[data-preset="equal-lengths"]').click()
    shown.settle()
    looks = shown.root.evaluate("""(root) => ["scale_x", "equation_10_v1"].map((key) => {
      const row = root.querySelector(`tr[data-measure=${key}]`), bar = row.querySelector(".bar");
      const mark = getComputedStyle(row.querySelector("td data"), "::before");
      return [mark.fontWeight, mark.color, bar.checkVisibility({ visibilityProperty: true })].join();
    })""")
    assert shown.values()["equation_10_v1"] is None
    assert looks[0] == looks[1]


def test_the_circle_that_would_answer_is_veiled_unless_the_question_names_it(shown):
    circle = shown.root.locator(".plane .locus.relative_reconstruction_bias")
    for preset, seen in (("gated", False), ("thales", False), ("penalty", True)):
        shown.root.locator(f'[data-preset="{preset}"]').click()
        shown.settle()
        assert circle.is_visible() == seen


def test_a_presets_question_is_announced(shown):
    shown.root.locator('[data-preset="thales"]').click()
    shown.settle()
    assert "Would lengthening it bring it nearer to x?" in (shown.root.locator(".spoken").text_content() or "")


def test_what_is_veiled_is_seen_once_something_is_moved(shown):
    shown.root.locator('[data-preset="thales"]').click()
    value = shown.root.locator("tr[data-measure] data").first
    assert not value.is_visible()
    shown.drag_by("x-hat", 10, -10)
    assert value.is_visible()


def test_a_veiled_answer_is_not_spoken_either(shown):
    shown.root.locator('[data-preset="thales"]').click()
    shown.settle()
    bias = shown.values()["relative_reconstruction_bias"]
    assert f"{bias:.3f}" not in (shown.root.locator(".spoken").text_content() or "")


def test_reset_and_undo_end_a_lesson_and_undo_leads_back_from_it(shown):
    shown.root.locator('[data-preset="half"]').click()
    shown.settle()
    assert shown.drawn() == pytest.approx((0, 0.5), abs=1e-9)
    shown.button("undo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx((40, 0.6))
    assert not shown.root.locator(".lesson").is_visible()


def test_a_lesson_ends_when_a_link_leads_elsewhere(shown):
    shown.root.locator('[data-preset="half"]').click()
    shown.settle()
    shown.go_to("#angle=100")
    assert not shown.root.locator(".lesson").is_visible()


def saved(shown, kind, folder):
    with shown.page.expect_download() as download:
        shown.button(kind).click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == f"shrinkage.{kind}"
    assert f"Saved as shrinkage.{kind}" in shown.status()
    return file


@pytest.mark.parametrize("hash_", ["#angle=70", "#population=true&angle=70"])
def test_the_saved_svg_stands_alone_and_holds_the_picture(open_page, tmp_path, hash_):
    shown = open_page(hash_)
    text = saved(shown, "svg", tmp_path).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    nodes = list(root.iter())
    links = [node.get(name) for node in nodes for name in ("href", XLINK) if node.get(name)]
    assert all(link.startswith("data:image/png") for link in links)
    assert not re.search(r"url\(|@import|var\(", text)  # no external styles
    [arrow] = [node for node in nodes if node.get("data-arrow") == "x-hat"]
    u, v = (float(arrow.get(f"{axis}2", 0)) - float(arrow.get(f"{axis}1", 0)) for axis in "xy")
    assert (u, -v) == pytest.approx(shown.arrow("x-hat"))
    assert "stroke:rgb(" in arrow.get("style", "")
    assert "angle 70.0°, norm ratio 0.600" in "".join(root.itertext())
    width, height = (float(root.get(name, 0)) for name in ("width", "height"))
    assert width > 1500, "three panels beside one another"
    assert height > 300
    tops = [node for node in root if node.tag.endswith("}svg")]
    # the plane, the losses, the map's two layers, and a population's lines of regression
    assert len(tops) == 4 + ("population" in hash_)
    for node in tops:
        assert float(node.get("x", -1)) + float(node.get("width", 0)) <= width
        assert float(node.get("y", -1)) + float(node.get("height", 0)) <= height


def test_every_circle_of_the_saved_svg_has_a_radius(shown, tmp_path):
    root = ElementTree.fromstring(saved(shown, "svg", tmp_path).read_text(encoding="utf-8"))
    circles = [node for node in root.iter() if node.tag.endswith("}circle")]
    assert len(circles) > 6
    for circle in circles:
        assert float(circle.get("r", 0)) > 0 or re.search(r"\br:\s*[1-9]", circle.get("style", "")), circle.attrib


def test_the_saved_png_is_the_picture_at_twice_its_size(shown, tmp_path):
    file = saved(shown, "png", tmp_path)
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = matplotlib.image.imread(file)[..., :3]
    assert pixels.shape[1] > 2 * 1000  # the window is 1280 wide
    for colour in ("#c44f00", "#0072b2"):  # --of-x-hat and --of-x: both arrows are there
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels - rgb).max(-1) < 0.02).sum() > 500  # an arrow of 100 × 2.6 px at twice the size
