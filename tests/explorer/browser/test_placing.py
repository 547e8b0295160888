"""Where x̂ can be put: by typing ρ, γ or a decimal comma, by clicking a real SAE, by rescaling."""

import pytest

from sandbox.explorer.saes import measured_saes
from tests.explorer.browser.driver import until


def test_a_decimal_comma_is_a_decimal_point(shown):
    shown.type("angle", "4,5")
    assert shown.address()["angle"] == 4.5
    assert shown.typed("angle").input_value() == "4.5"
    shown.go_to("#population=true")
    shown.type("n", "5,000")
    assert "pairs is “5,000”: it must be a whole number" in shown.said("n")
    assert shown.address()["n"] == 1000


def test_arrow_keys_in_a_typed_value_take_its_steps(shown):
    shown.typed("angle").focus()
    shown.press("ArrowUp", "Shift+ArrowUp", "ArrowDown")
    assert shown.address()["angle"] == pytest.approx(40.1)


def test_rho_and_gamma_can_be_typed(shown):
    shown.type("cosine", "0,5")
    assert shown.address() | {"angle": 60, "norm_ratio": 0.6} == shown.address()
    shown.type("relative_reconstruction_bias", "0.9")
    assert shown.address()["angle"] == pytest.approx(60)
    assert shown.values()["relative_reconstruction_bias"] == pytest.approx(0.9, rel=1e-12)
    shown.type("norm_ratio", "1")
    assert float(shown.typed("relative_reconstruction_bias").input_value()) == pytest.approx(2)
    for name, text, words in (
        ("cosine", "2", "ρ is “2”: it must be a number from −1 to 1"),
        ("cosine", "half", "ρ is “half”"),
        ("relative_reconstruction_bias", "4.1", "at this angle it must be a number above 0 and at most 4.00"),
        ("relative_reconstruction_bias", "0", "above 0"),
    ):
        before = shown.address()
        shown.type(name, text)
        assert words in shown.said(name)
        assert shown.address() == before
    shown.type("angle", "100")
    shown.type("relative_reconstruction_bias", "1")
    assert "γ is undefined from 90° on" in shown.said("cosine")


@pytest.mark.parametrize("by", ["mouse", "key"])
@pytest.mark.parametrize("index", [0, 1])
def test_a_real_saes_point_takes_x_hat_there_and_says_its_name(shown, by, index):
    sae, target = measured_saes()[index], shown.root.locator(".target").nth(index)
    target.scroll_into_view_if_needed()
    assert sae["name"] in (target.get_attribute("aria-label") or "")
    if by == "mouse":
        box = target.locator(".reach").bounding_box()
        shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # the other one is 15 px away
    else:
        target.focus()
        shown.press("Enter")
    shown.settle()
    values = shown.values()
    assert (values["cosine"], values["norm_ratio"]) == pytest.approx((sae["cosine"], sae["norm_ratio"]), abs=1e-12)
    assert sae["name"] in shown.said("measure")
    shown.button("undo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx((40, 0.6))


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_rescaling_takes_x_hat_to_its_foot_and_only_the_lengths_loss_goes(open_page, motion):
    shown = open_page(reduced_motion=motion)
    before = shown.values()
    seen = shown.page.evaluate("""async () => {
      const tip = document.querySelector("line[data-arrow=x-hat]"), seen = new Set();
      document.querySelector("[data-action=rescale]").click();
      for (let i = 0; i < 20; i++) {
        await new Promise(requestAnimationFrame);
        seen.add(tip.getAttribute("x2"));
      }
      return seen.size;
    }""")
    assert (seen > 5) == (motion == "no-preference")  # it can be watched
    until(lambda: "the length’s loss is gone" in shown.said("rescale"))
    shown.settle()
    after = shown.values()
    assert after["relative_reconstruction_bias"] == pytest.approx(1, rel=1e-12)
    assert after["cosine"] == pytest.approx(before["cosine"], rel=1e-12)
    assert after["length_loss"] == pytest.approx(0, abs=1e-15)
    assert after["relative_loss"] == pytest.approx(before["angle_loss"], rel=1e-12)
    shown.button("undo").click()
    shown.settle()
    assert shown.drawn() == pytest.approx((40, 0.6))


def test_a_hand_takes_over_from_rescaling_and_where_gamma_is_undefined_it_is_refused(shown):
    shown.button("rescale").click()
    shown.drag_by("x-hat", -80, -20)
    placed = shown.drawn()
    shown.page.wait_for_timeout(1200)  # longer than the movement
    assert shown.drawn() == pytest.approx(placed)
    shown.type("angle", "120")
    shown.button("rescale").click()
    assert "γ is undefined: x̂ does not point along x" in shown.said("rescale")


def test_the_measures_of_the_loci_stand_beside_the_tip(shown):
    shown.drag_by("x-hat", -40, -30)
    values = shown.values()
    figures = shown.root.locator(".tip-figures")
    for key in ("relative_reconstruction_bias", "scale_x", "norm_ratio"):
        assert figures.locator(f".{key}").text_content().endswith(f" {values[key]:.3f}")
    box, (x, y) = figures.bounding_box(), shown.knob("x-hat")
    assert box
    assert abs(box["x"] + box["width"] / 2 - x) < 90
    assert abs(box["y"] + box["height"] / 2 - y) < 60


def test_the_grey_half_of_the_map_says_why(shown):
    words = shown.root.locator(".none-words")
    assert " ".join(words.locator("text").all_text_contents()).startswith(
        "γ is undefined: x̂ does not point along x (c ≤ 0)"
    )
    shown.go_to("#measure=norm_ratio")
    assert words.locator("text").count() == 0
