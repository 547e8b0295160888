"""A prediction is an act: a ring is dragged to where the best multiple should end, and the answer says how far off."""

import pytest

from sandbox.explorer.presets import presets


@pytest.mark.parametrize("preset", [preset for preset in presets() if preset.predict], ids=lambda preset: preset.key)
def test_a_ring_is_dragged_to_the_prediction_and_the_answer_says_how_far_off_it_is(shown, preset):
    ring = shown.handle("ghost")
    assert not ring.is_visible()
    shown.root.locator(f'[data-preset="{preset.key}"]').click()
    assert ring.locator("text").text_content() == "your guess"
    shown.settle()
    assert "Drag the dashed ring" in shown.root.locator(".lessons summary").inner_text()
    before, (x, y) = shown.address(), shown.origin()
    u, v = shown.arrow("x" if preset.predict == "scale_x" else "x-hat")
    shown.drag("ghost", (x + 0.7 * u - v / 9, y - 0.7 * v - u / 9))  # beside the line; the ring stays on it
    assert shown.knob("ghost") == pytest.approx((x + 0.7 * u, y - 0.7 * v), abs=1.5)
    assert shown.address() == before
    assert not shown.root.locator("td data").first.is_visible(), "still asked"
    line = shown.root.locator(".ghost-off")
    assert line.evaluate("(line) => line.style.display") == "none"
    shown.root.locator(".lessons summary").click()
    shown.root.locator(".notice").wait_for(state="visible")
    best = shown.values()[preset.predict]
    share = float(ring.get_attribute("aria-valuenow") or "nan")
    assert share == pytest.approx(0.7, abs=0.02)  # the mouse moves in whole pixels
    assert f"the best multiple of {'x' if preset.predict == 'scale_x' else 'x̂'} is {best:.3f}" in shown.status()
    assert float(shown.status().split(": ")[-1].removesuffix(" off.")) == pytest.approx(abs(share - best), abs=0.006)
    assert line.evaluate("(line) => line.style.display") == ""
    shown.drag_by("x-hat", -20, -10)
    assert not ring.is_visible()


def test_the_ring_is_moved_by_keys_too_and_no_other_preset_has_one(shown):
    shown.root.locator('[data-preset="equal-lengths"]').click()
    shown.settle()
    shown.handle("ghost").focus()
    shown.press("ArrowLeft", "ArrowDown", "Shift+ArrowRight")
    assert shown.handle("ghost").get_attribute("aria-valuenow") == "1.16"
    assert shown.address()["angle"] == 60
    shown.root.locator('[data-preset="half"]').click()
    shown.settle()
    assert not shown.handle("ghost").is_visible()


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("key", [preset.key for preset in presets() if preset.predict])
def test_the_rings_name_lies_in_the_picture_and_not_on_the_tips_figures(open_page, key, width):
    shown = open_page(viewport={"width": width, "height": 900})
    shown.preset(key)
    shown.root.locator(".lessons summary").click()
    shown.root.locator(".notice").wait_for(state="visible")
    picture, name, figures = (
        shown.root.locator(f"svg.plane{part}").bounding_box() for part in ("", " .ghost-name", " .tip-figures")
    )
    assert picture["x"] <= name["x"]
    assert name["x"] + name["width"] <= picture["x"] + picture["width"]
    assert picture["y"] <= name["y"] + 4  # a text's box is taller than its letters
    beside = name["x"] >= figures["x"] + figures["width"] or name["x"] + name["width"] <= figures["x"]
    assert beside or name["y"] >= figures["y"] + figures["height"] - 4 or name["y"] + name["height"] <= figures["y"] + 4
