"""The page shows Python's numbers, wherever the tip is dragged and whatever the address, for one pair and for many."""

import math
import random
from urllib.parse import quote, urlencode

import pytest
import torch

from sandbox.explorer import page
from sandbox.explorer.module import module
from sandbox.explorer.shown import moments_of, population
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from tests.explorer.browser.driver import near, report_of, state_in


def agrees(shown, state):
    """Every number in the page is Python's, and every reason, word for word."""
    report = report_of(state)
    assert shown.moments() == near(report.moments.means.tolist()), state
    for key, row in shown.measures().items():
        expected = report.raw[key]
        assert row["value"] == near(expected.value), (key, state)
        if expected.value is None:
            assert row["reason"] == expected.reason, (key, state)


@pytest.mark.parametrize("to", [(150, -100), (-90, -160), (60, -20), (-150, -3)], ids=str)
def test_the_tip_goes_where_it_is_dragged_and_every_measure_is_pythons(shown, to):
    x, y = shown.origin()
    unit = shown.arrow("x")[0]
    place = (x + to[0], y + to[1])
    shown.drag("x-hat", place, let_go=False)
    assert shown.knob("x-hat") == pytest.approx(place, abs=1)  # the mouse moves in whole pixels
    shown.page.mouse.up()
    shown.settle()
    state = shown.address()
    turn, length = math.radians(state["angle"]), state["norm_ratio"] * unit
    assert (length * math.cos(turn), -length * math.sin(turn)) == pytest.approx(to, abs=1)
    assert state["norm_x"] == 1
    agrees(shown, state)
    measure = REGISTRY["relative_reconstruction_bias"]  # once more straight from the formula, without the report
    bias = evaluate(measure, *moments_of(state).means).item()
    assert shown.values()[measure.key] == near(bias)


def test_the_tip_cannot_be_dragged_below_the_axis_nor_out_of_the_picture(shown):
    x, y = shown.origin()
    shown.drag("x-hat", (x + 100, y + 300))
    assert shown.address()["angle"] == 0
    shown.drag("x-hat", (1, 1))
    state = shown.address()
    assert 90 < state["angle"] < 180
    assert state["norm_ratio"] <= 2
    agrees(shown, state)


def random_states(count, seed=0):
    """Settings across their ranges; at every third pair some measure is undefined."""
    draw = random.Random(seed)
    for i in range(count):
        state = {"angle": draw.uniform(0, 180), "norm_ratio": draw.uniform(0, 2), "norm_x": draw.uniform(0.01, 2)}
        if i % 3 == 0:
            state |= draw.choice([{"norm_ratio": 0}, {"norm_x": 0}, {"angle": 90}, {"angle": 60, "norm_ratio": 1}])
        yield state


def test_twenty_random_pairs_from_the_address_have_pythons_numbers_and_reasons(shown):
    undefined = set()
    for state in random_states(20):
        shown.go_to(f"#{urlencode(state)}")
        agrees(shown, state_in(urlencode(state)))
        undefined |= {row["reason"] for row in shown.measures().values()}
    assert len(undefined) > 4  # "" and several reasons: some words were compared


POPULATIONS = [
    {"spread": 15, "norm_spread": 0.5},
    {"angle": 50, "norm_ratio": 0.8, "spread": 20, "norm_spread": 1, "measure": "cosine"},
    {"angle": 10, "norm_ratio": 0.7, "offset": 2, "seed": 7, "n": 2500, "measure": "equation_10_v1"},
    {"angle": 120, "spread": 60, "norm_x": 0.3, "n": 50, "measure": "scale_x"},
    {
        "angle": 85,
        "norm_ratio": 1.7,
        "spread": 3,
        "norm_spread": 0,
        "seed": 9999,
        "n": 10_000,
        "measure": "length_loss",
    },
]


@pytest.mark.parametrize("settings", POPULATIONS, ids=lambda settings: urlencode(settings))
def test_a_population_has_pythons_moments_measures_intervals_and_means(open_page, settings):
    shown = open_page(f"#{urlencode(settings)}&population=true")
    state = state_in(f"{urlencode(settings)}&population=true")
    agrees(shown, state)
    report = report_of(state)
    for key, row in shown.measures().items():
        one = report.raw[key]
        if one.value is not None:  # shown to three decimals; another test compares all digits
            ends = [float(end.replace("−", "-")) for end in row["interval"].split(" … ")]
            assert ends == pytest.approx([one.low, one.high], abs=5.1e-4), key
    x, x_hat = population(state)
    measure = REGISTRY[state["measure"]]
    per_pair = evaluate(measure, (x * x).sum(1), (x_hat * x_hat).sum(1), (x * x_hat).sum(1))
    batches = [part.reshape(50, -1).mean(1) for part in ((x * x).sum(1), (x_hat * x_hat).sum(1), (x * x_hat).sum(1))]
    assert shown.mean("pairs") == near(torch.nanmean(per_pair).item())
    assert shown.mean("batches") == near(torch.nanmean(evaluate(measure, *batches)).item())
    assert shown.mean("pooled") == near(report.raw[measure.key].value)
    bare = [mean - state["offset"] ** 2 for mean in report.moments.means.tolist()]
    assert shown.mean("bare") == near(evaluate(measure, *bare).item())


WITHOUT_INTERVALS = [
    {"n": 50, "norm_spread": 1, "seed": 306},  # one pair is as long as all others together
    {"n": 50, "norm_spread": 1, "angle": 85, "spread": 30},  # without one of the pairs, c is negative
]


def test_the_browsers_intervals_are_the_reports_to_every_digit(chromium, silence):
    tab = silence(chromium.new_page())
    tab.goto("data:text/html,")
    text = module() + "\nexport { populated, interval, measures, defaults };"
    found = tab.evaluate(
        """async ([text, states]) => {
          const { populated, interval, measures, defaults } = await import(URL.createObjectURL(
            new Blob([text], { type: "text/javascript" })));
          return states.map((state) => {
            const drawn = populated({ ...defaults, ...state }, null);
            return Object.entries(measures).map(([key, measure]) =>
              [key, measure.whyUndefined(...drawn.means) ? null : interval(measure, drawn)]);
          });
        }""",
        [text, POPULATIONS + WITHOUT_INTERVALS],
    )
    tab.context.close()
    for settings, ends in zip(POPULATIONS + WITHOUT_INTERVALS, found, strict=True):
        report = report_of(state_in(f"{urlencode(settings)}&population=true"))
        for key, pair in ends:
            one = report.raw[key]
            expected = None if one.low is None else [one.low, one.high]
            assert pair == (expected and pytest.approx(expected, rel=1e-9, abs=1e-12)), (key, settings)


def test_equal_angles_in_a_population_are_as_exact_as_a_single_pair(shown):
    # At 90°, c is 0 and γ has no value: neither in the browser nor, by a rounding error, in Python.
    shown.go_to("#population=true&spread=0&angle=90")
    agrees(shown, shown.address())


def test_the_page_opens_in_the_state_of_its_address(open_page):
    shown = open_page("#angle=120&norm_ratio=1.5&norm_x=0.5&measure=cosine")
    assert shown.drawn() == pytest.approx((120, 1.5), rel=1e-9)
    assert shown.root.locator("select[name=measure]").input_value() == "cosine"
    assert [shown.typed(name).input_value() for name in ("angle", "norm_ratio", "norm_x")] == ["120", "1.5", "0.5"]


HOSTILE = {
    "no number": "angle=NaN",
    "infinite": "norm_ratio=Infinity",
    "too large": "norm_x=1e300",
    "negative": "norm_ratio=-5",
    "empty": "angle=",
    "blank": "angle=%20",
    "a null": "angle=%00",
    "unknown name": "colour=red",
    "inherited name": "__proto__=1",
    "another inherited name": "constructor=1",
    "neither true nor false": "population=maybe",
    "inherited measure": "measure=__proto__",
    "a part of a pair": "n=1000.5",
    "no multiple of 50": "n=75",
    "very long": "angle=" + "9" * 50_000,
    "markup": "angle=" + quote("<img src=x onerror=alert(1)>"),
    "broken escape": "angle=%E0%A4%A",
}


def test_hostile_addresses_are_answered_in_words_and_the_page_stays_usable(shown):
    for kind, hash_ in HOSTILE.items():
        shown.go_to(f"#{hash_}&seed=5")
        assert shown.status().startswith("Left out of the link: "), kind
        assert len(shown.status()) < 300, kind
        assert shown.drawn() == pytest.approx((40, 0.6)), kind  # the defaults are used instead
        assert shown.typed("norm_x").input_value() == "1", kind
    shown.drag_by("x-hat", 30, -10)
    assert shown.address()["angle"] != pytest.approx(40, abs=0.1)
    assert shown.address()["seed"] == 5  # the valid parts of the link are kept
    agrees(shown, shown.address())


@pytest.mark.parametrize("kind", ["no number", "inherited name", "very long"])
def test_a_page_can_be_opened_at_a_hostile_address(open_page, kind):
    shown = open_page(f"#{HOSTILE[kind]}")
    assert shown.status().startswith("Left out of the link: ")
    shown.drag_by("x-hat", 30, -10)
    assert shown.status() == ""
    agrees(shown, shown.address())


def test_each_message_about_an_address_goes_away_with_the_next_movement(shown):
    for hash_ in ("#angle=oops", "#angle=again"):
        shown.go_to(hash_)
        assert "Left out of the link" in shown.status()
        shown.drag_by("x-hat", 10, -10)
        assert shown.status() == ""


NAMES = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "/*ADDRESS*/",
    "/*SAES*/",
    "\u2028'\"`${1}\\",
    "<b>γ</b>",
]


def test_any_name_of_an_sae_is_shown_as_it_is(open_page, tmp_path):
    file = tmp_path / "named.html"
    saes = [{"name": name, "cosine": 0.5, "norm_ratio": 0.2 * i} for i, name in enumerate(NAMES)]
    file.write_text(page.html(saes), encoding="utf-8")
    shown = open_page(file=file)
    assert set(shown.root.locator(".saes text").all_text_contents()) == set(NAMES)
    assert shown.drawn() == pytest.approx((40, 0.6))


def test_the_glossary_explains_the_words_of_the_presets(shown):
    words = shown.root.locator(".help dt").all_text_contents()
    assert {"Thales’ circle", "latent", "b_dec", "soft, hard threshold", "L1 penalty λ"} <= set(words)


@pytest.mark.parametrize(("preset", "control"), [("merge", "cells"), ("pooled", "spread"), ("regression", "spread")])
def test_what_a_preset_asks_to_move_is_on_a_desktops_screen(open_page, preset, control):
    shown = open_page(viewport={"width": 1600, "height": 1000})
    shown.root.locator(f'[data-preset="{preset}"]').click()
    shown.settle()
    box = shown.slider(control).bounding_box()
    assert box["y"] + box["height"] < 1000
