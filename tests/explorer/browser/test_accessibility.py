"""axe finds nothing serious, and screen readers hear what is shown."""

from pathlib import Path

import axe_playwright_python
import pytest

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"


def grave(page):
    """What axe-core calls a serious or critical violation, with the first element of each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("(options) => axe.run(document, options)", {"resultTypes": ["violations"]})
    assert len(found["passes"]) > 10  # it did run its rules
    return [
        (one["id"], one["nodes"][0]["failureSummary"], one["nodes"][0]["html"][:200])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation_at_first_nor_with_everything_shown(open_page, scheme):
    shown = open_page(color_scheme=scheme)
    assert grave(shown.page) == []
    shown.root.locator('[data-preset="offset"]').click()
    shown.root.locator(".lessons summary").click()
    shown.root.locator(".notice").wait_for(state="visible")
    shown.typed("n").fill("75")
    shown.press("Enter")
    assert shown.said("n")
    assert grave(shown.page) == []
    shown.go_to("#merged=true&factor=0.7")
    assert grave(shown.page) == []
    shown.go_to("#angle=180")  # shows the reason for each undefined measure
    assert grave(shown.page) == []


def test_axe_can_find_something(shown):
    shown.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')")
    assert "button-name" in [rule for rule, *_ in grave(shown.page)]


def test_every_handle_has_a_name_and_a_value_in_words_that_follows(shown):
    names = {"x-hat": "tip of x̂", "x": "tip of x", "state": "state on the map"}
    words = {"x-hat": "angle 75.0 degrees, norm ratio 1.20", "x": "norm of x 0.50",
             "state": "cosine 0.26, norm ratio 1.20"}  # fmt: skip
    before = {name: shown.handle(name).get_attribute("aria-valuetext") for name in names}
    for name, value in (("angle", "75"), ("norm_ratio", "1.2"), ("norm_x", "0.5")):
        shown.type(name, value)
    for name, label in names.items():
        handle = shown.handle(name)
        assert handle.get_attribute("role") == "slider"
        assert handle.get_attribute("aria-label") == label
        assert handle.get_attribute("aria-valuetext") == words[name] != before[name]
        low, now, high = (float(handle.get_attribute(f"aria-value{end}") or "nan") for end in ("min", "now", "max"))
        assert low <= now <= high


def test_the_end_of_a_movement_is_told_in_words(shown):
    shown.drag_by("x-hat", -60, -30)
    spoken = shown.root.locator(".spoken")
    assert spoken.get_attribute("role") == "status"
    state, values = shown.address(), shown.values()
    text = spoken.text_content() or ""
    assert f"angle {state['angle']:.1f}°, norm ratio {state['norm_ratio']:.2f}" in text
    assert f"{values['relative_reconstruction_bias']:.3f}" in text
    shown.type("angle", "180")
    assert "undefined: x̂ does not point along x (c ≤ 0)" in (spoken.text_content() or "")
