"""The penalty's slider moves x̂ along the law; both thresholds are Python's, in the table, the plane and the map."""

import math

import pytest

from sandbox.explorer.module import module
from sandbox.explorer.penalty import penalised
from sandbox.explorer.state import CONTROLS

GATES = ("soft", "hard")
COEFFICIENTS = [0.01, 0.2, 1, 2.345, 6]


def in_table(shown, gate):
    return [
        float(shown.root.locator(f'[data-law="{gate} {name}"]').get_attribute("value"))
        for name in ("γ measured", "γ predicted", "P", "a", "b", "c", "active")
    ]


def in_python(each):
    return [
        each.values["relative_reconstruction_bias"],
        each.predicted,
        each.penalty,
        each.a,
        each.b,
        each.c,
        each.active,
    ]


def ring(shown, picture, gate):
    """The centre of a ring, in the picture's pixels."""
    node = shown.root.locator(f"svg.{picture} .penalised.{gate} .ring")
    return node.evaluate("(c) => { const m = c.transform.baseVal[0].matrix; return [m.e, m.f]; }")


def slide(shown, value):
    """Move the slider as a hand does, in steps."""
    shown.slider("penalty").evaluate(
        """(slider, end) => {
          for (let i = 1; i <= 5; i++) {
            slider.value = (i / 5) * end;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
          }
          slider.dispatchEvent(new Event("change", { bubbles: true }));
        }""",
        value,
    )
    shown.settle()


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_both_thresholds_are_pythons_to_nine_digits(open_page, coefficient):
    shown = open_page(f"#penalty={coefficient}")
    for gate, each in penalised(coefficient).items():
        assert in_table(shown, gate) == pytest.approx(in_python(each), rel=1e-9, abs=1e-14)
        x, y = shown.origin()
        box = shown.root.locator("svg.plane").bounding_box()
        unit = shown.arrow("x")[0]
        turn, length = math.radians(each.settings["angle"]), each.settings["norm_ratio"] * unit
        u, v = ring(shown, "plane", gate)
        tip = (u + box["x"] - x, y - v - box["y"])
        assert tip == pytest.approx((length * math.cos(turn), length * math.sin(turn)), abs=0.02)


def test_the_slider_takes_x_hat_along_and_the_hard_threshold_stays_on_the_circle(shown):
    shown.type("norm_x", "0.8")
    slide(shown, 2.5)
    soft, hard = (penalised(2.5)[gate] for gate in GATES)
    state = shown.address()
    assert state["penalty"] == 2.5
    assert {name: state[name] for name in ("angle", "norm_ratio")} == pytest.approx(soft.settings, rel=1e-9)
    assert state["norm_x"] == 0.8
    assert shown.values()["relative_reconstruction_bias"] == pytest.approx(soft.predicted, rel=1e-9)
    # Thales: seen from the hard threshold's ring, both ends of x are at a right angle
    box = shown.root.locator("svg.plane").bounding_box()
    (u, v), (x, y), unit = ring(shown, "plane", "hard"), shown.origin(), shown.arrow("x")[0]
    along, across = u + box["x"] - x, y - v - box["y"]
    assert along * (unit - along) - across**2 == pytest.approx(0, abs=0.02 * unit)
    assert hard.predicted == 1
    knob = shown.knob("state")
    where = shown.root.locator("svg.map").bounding_box()
    u, v = ring(shown, "map", "soft")
    assert (where["x"] + u, where["y"] + v) == pytest.approx(knob, abs=0.5)


def test_undo_takes_back_the_whole_movement_and_zero_turns_it_off(shown):
    before = shown.address()
    slide(shown, 4)
    shown.button("undo").click()
    shown.settle()
    assert shown.address() == before
    assert not shown.root.locator(".law").is_visible()
    assert not shown.root.locator("svg.plane .ring").first.is_visible()
    slide(shown, 4)
    assert shown.root.locator(".law").is_visible()
    drawn = shown.drawn()
    slide(shown, 0)
    assert not shown.root.locator(".law").is_visible()
    assert shown.drawn() == drawn, "x̂ stays where the penalty left it"


def test_the_keyboard_and_typing_do_the_same(shown):
    shown.slider("penalty").focus()
    shown.press("ArrowRight", "ArrowRight", "Shift+ArrowLeft")
    coefficient = 2 * CONTROLS["penalty"].key_step - 0.01
    assert shown.address()["penalty"] == pytest.approx(coefficient)
    assert shown.address()["angle"] == pytest.approx(penalised(coefficient)["soft"].settings["angle"], rel=1e-9)
    shown.type("penalty", "3")
    assert shown.address()["norm_ratio"] == pytest.approx(penalised(3)["soft"].settings["norm_ratio"], rel=1e-9)
    shown.type("penalty", "7")
    assert "L1 penalty λ is “7”: it must be a number from 0 to 6" in shown.said("penalty")
    assert "L1 penalty 3.00: γ 0.566 for the lasso (L1), γ 1.000" in shown.root.locator(".spoken").text_content()


def test_x_hat_can_be_dragged_away_and_the_rings_stay(shown):
    slide(shown, 2)
    before = [ring(shown, picture, gate) for picture in ("plane", "map") for gate in GATES]
    shown.drag_by("x-hat", -30, -20)
    assert shown.address()["penalty"] == 2
    assert shown.address()["angle"] != pytest.approx(penalised(2)["soft"].settings["angle"], abs=1)
    assert [ring(shown, picture, gate) for picture in ("plane", "map") for gate in GATES] == before


def test_the_laws_table_says_whose_units_it_has_and_can_be_checked_by_hand(shown):
    slide(shown, 2)
    assert "means over the features" in shown.root.locator(".law caption").inner_text()
    assert "arrows x and x̂" in shown.root.locator(".law caption").inner_text()
    assert shown.root.locator(".numbers h3 small").inner_text() == "of the arrows x and x̂"
    measured, predicted, grows, a, b, c, _ = in_table(shown, "soft")
    assert (b / c, 1 - 2 * grows / (2 * c)) == pytest.approx((measured, predicted), rel=1e-12)
    pair = shown.moments()  # the same shape at another size
    assert (a / pair[0], b / pair[1]) == pytest.approx((c / pair[2],) * 2, rel=1e-9)


def overlap(first, second):
    gaps = [max(first[at], second[at]) - min(first[at] + first[of], second[at] + second[of]) for at, of in ("xw", "yh")]
    return max(gaps) < -6  # a text's box is taller and wider than its letters


def boxes(shown, *texts):
    found = {}
    for name in texts:
        for i, node in enumerate(shown.root.locator(name).all()):
            if box := node.is_visible() and node.bounding_box():
                found[name, i] = {"x": box["x"], "y": box["y"], "w": box["width"], "h": box["height"]}
    return found


@pytest.mark.parametrize("width", [390, 1600])
def test_the_presets_names_and_rings_lie_beside_one_another(open_page, width):
    shown = open_page(viewport={"width": width, "height": 1000})
    shown.preset("penalty")
    shown.root.locator(".lesson summary").click()
    shown.settle()
    assert not shown.root.locator(".foot-name.of-x-hat").is_visible()
    for picture in (".plane", ".map"):
        names = (".ring", ".ring-name", ".arrow-name", ".foot-name")
        placed = boxes(
            shown, *(f"svg{picture} {name}" for name in names), *(["svg.map-back .saes text"] * (picture == ".map"))
        )
        assert len(placed) >= 4
        for first, one in placed.items():
            for second, other in placed.items():
                assert first == second or not overlap(one, other), (first, second)


def test_each_ring_says_what_it_is(shown):
    slide(shown, 2)
    for picture in ("plane", "map"):
        for gate, words in zip(GATES, ("lasso (L1): γ 0.663", "hard threshold (L0): γ 1.000"), strict=True):
            node = shown.root.locator(f"svg.{picture} .penalised.{gate}")
            assert node.get_attribute("aria-label").startswith(words)
            assert node.get_attribute("role") == "img"


def test_the_preset_hides_both_rings_and_numbers_until_the_penalty_moves(shown):
    shown.root.locator('[data-preset="penalty"]').click()
    shown.settle()
    rings = [
        shown.root.locator(f"svg.{picture} .penalised.{gate} .ring") for picture in ("plane", "map") for gate in GATES
    ]
    hidden = [*rings, shown.root.locator(".law data").first]
    assert not any(node.is_visible() for node in hidden)
    slide(shown, 1)
    assert all(node.is_visible() for node in hidden)


def test_a_drag_recomputes_no_population_of_features(chromium, silence):
    tab = silence(chromium.new_page())
    tab.goto("data:text/html,")
    text = module() + "\nexport { sceneOf, defaults };"
    off, same, other = tab.evaluate(
        """async (text) => {
          const { sceneOf, defaults } = await import(URL.createObjectURL(
            new Blob([text], { type: "text/javascript" })));
          const off = sceneOf({ ...defaults, angle: 50 }, sceneOf(defaults, null));
          const on = sceneOf({ ...defaults, penalty: 2 }, off);
          const dragged = sceneOf({ ...on.state, angle: 60 }, on);
          const raised = sceneOf({ ...on.state, penalty: 3 }, dragged);
          return [off.penalty, dragged.penalty === on.penalty, raised.penalty === on.penalty];
        }""",
        text,
    )
    tab.context.close()
    assert (off, same, other) == (None, True, False)


def test_what_the_penalty_moves_besides_itself_is_said_beside_it(shown):
    line = shown.root.locator(".sliders > .said")
    assert line.get_attribute("role") == "status"
    assert line.inner_text().startswith("A penalty above 0 moves x̂")
    shown.type("angle", "50")
    shown.type("penalty", "2")
    to = penalised(2)["soft"].settings
    assert f"angle 50 → {to['angle']:.2f}°, norm ratio 0.6 → {to['norm_ratio']:.3f}. Undo" in line.inner_text()
    slide(shown, 3)
    assert f"angle {to['angle']:.2f} → " in line.inner_text(), "a slide is one action"
    shown.drag_by("x-hat", -30, -20)
    assert "→" not in line.inner_text()
    shown.button("undo").click()
    shown.button("undo").click()
    shown.button("undo").click()
    shown.settle()
    assert (shown.address()["angle"], shown.address()["penalty"]) == (50, 0)


@pytest.mark.parametrize(("switch", "many"), [("merged", "the cells"), ("population", "the population")])
def test_many_points_hide_the_settings_of_one_pair_say_so_and_keep_them(shown, switch, many):
    slide(shown, 2)
    before = shown.address()
    of_one = [shown.typed("cosine"), shown.slider("penalty"), shown.button("rescale"), shown.root.locator(".law")]
    line = shown.root.locator(".picture > .said")
    assert all(node.is_visible() for node in of_one)
    assert line.inner_text() == ""
    shown.root.locator(f'input[name="{switch}"]').check()
    shown.settle()
    assert shown.address() == before | {switch: True}
    assert not any(node.is_visible() for node in of_one)
    assert not shown.root.locator("svg.plane .ring").first.is_visible()
    assert line.inner_text().endswith(f"until you untick {many}.")
    assert "pooled over " in shown.root.locator(".numbers h3").inner_text()
    shown.root.locator(f'input[name="{switch}"]').uncheck()
    shown.settle()
    assert shown.address() == before
    assert all(node.is_visible() for node in of_one)


@pytest.mark.parametrize("view", ["merged=true", "population=true"])
def test_a_link_to_many_points_shows_no_penalty(open_page, view):
    shown = open_page(f"#penalty=2&{view}")
    assert not shown.root.locator(".law").is_visible()
    assert not shown.root.locator("svg.plane .ring").first.is_visible()


def test_a_key_that_leaves_the_penalty_at_its_limit_changes_nothing(open_page):
    shown = open_page("#angle=60&norm_ratio=0.5")
    before = shown.address()
    shown.slider("penalty").focus()
    shown.press("ArrowLeft")
    shown.type("penalty", "0")
    assert shown.address() == before
    assert shown.button("undo").get_attribute("aria-disabled") == "true"


def test_a_link_with_only_a_penalty_shows_its_lasso_and_one_with_x_hat_keeps_it(open_page):
    shown = open_page("#penalty=2")
    assert shown.values()["relative_reconstruction_bias"] == pytest.approx(penalised(2)["soft"].predicted, rel=1e-9)
    for name, text in (("angle", "40"), ("norm_ratio", "0.6")):
        shown.type(name, text)
    address = shown.page.evaluate("location.hash")
    shown.go_to("#angle=100")
    shown.go_to(address)
    assert shown.drawn() == pytest.approx((40, 0.6)), "the defaults are a place like any other"
    assert shown.address()["penalty"] == 2
