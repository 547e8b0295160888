"""The results in a real Chromium: points, their rows and the explorer are linked, by mouse, keys and touch."""

import math
from itertools import pairwise

import pytest

from sandbox.maths.measures import REGISTRY
from sandbox.report.estimates import ORIGINS
from sandbox.site import results
from tests.explorer.browser.driver import Shown
from tests.explorer.browser.test_accessibility import grave

DATA = results.sweep(results.FIGURES["figure-6"])
HELD_OUT = [point for point in DATA["points"] if point["measured_on"] == "held-out"]
BIAS, RATIO = (DATA["measures"].index(key) for key in ("relative_reconstruction_bias", "norm_ratio"))


class Figure:
    """One figure of the page, when it is drawn."""

    def __init__(self, tab, name):
        self.tab, self.root = tab, tab.locator(f"#{name}")
        self.root.scroll_into_view_if_needed()
        self.points.first.wait_for()

    @property
    def points(self):
        return self.root.locator(".point")

    @property
    def rows(self):
        return self.root.locator("tbody tr")

    def point(self, sae):
        return self.root.locator(f'.point[data-id="{sae}"]')

    def aim(self, sae):
        """Moves the mouse to the centre of a point, which another may cover."""
        self.point(sae).scroll_into_view_if_needed()
        u, v = self.centre(sae)
        box = self.root.locator("svg.chart").bounding_box()
        self.tab.mouse.move(box["x"] + u, box["y"] + v)

    def click(self, sae):
        self.aim(sae)
        self.tab.mouse.down()
        self.tab.mouse.up()

    def row(self, sae):
        return self.root.locator(f'tr[data-id="{sae}"]')

    def choose(self, label, option):
        self.root.get_by_role("combobox", name=label, exact=True).select_option(option)

    def card(self):
        return self.root.locator(".card").inner_text()

    def marked(self, how):
        """The points and the rows that are "looked" or "chosen"."""
        ids = "(found) => found.map((one) => one.dataset.id)"
        return self.root.locator(f".point.{how}").evaluate_all(ids), self.root.locator(f"tr.{how}").evaluate_all(ids)

    def column(self, name):
        place = self.root.locator("thead th").evaluate_all("(all) => all.map((one) => one.innerText.trim())")
        at = next(i for i, text in enumerate(place) if text.split("\n")[0].strip(" ↕↑↓") == name)
        return self.rows.evaluate_all(f"(all) => all.map((row) => row.children[{at}].innerText)")

    def centre(self, sae):
        """Of a point, in the picture's pixels."""
        text = self.point(sae).get_attribute("transform").removeprefix("translate(").removesuffix(")")
        return tuple(float(part) for part in text.split(","))

    def heights(self):
        """Of every point, in pixels from the top."""
        places = "(all) => all.map((one) => [one.dataset.id, Number(one.getAttribute('transform').split(/[,)]/)[1])])"
        return dict(self.points.evaluate_all(places))

    def ticks(self, anchor):
        """The values of the ticks with that anchor ("end": of y, "middle": of x) and their place along the axis."""
        axis = "x" if anchor == "middle" else "y"
        found = self.root.locator(f'.scales text[text-anchor="{anchor}"]:not(.name):not(.halo)').evaluate_all(
            f"(all) => all.map((one) => [one.textContent, Number(one.getAttribute('{axis}'))])"
        )
        return [(float(text.replace("−", "-")), at) for text, at in found]


@pytest.fixture
def figure(open_site):
    """A function that opens a figure of the page."""
    return lambda name="sparsity", **options: Figure(open_site("results.html", **options), name)


def of(point, measure, origin):
    """The estimate of a measure."""
    kept = measure == "length_share"
    return point[measure][origin] if kept else point[origin][DATA["measures"].index(measure)]


def name_of(point):
    return f"{point['architecture']}-{point['coefficient']:g}-seed-{point['seed']}"


def test_every_held_out_sae_is_a_point_and_a_row_in_its_place(figure):
    """The ticks say where: L0 along the logarithmic axis and γ along the other, to the pixel that ticks are put on."""
    shown = figure()
    assert shown.points.count() == shown.rows.count() == len(HELD_OUT)
    (x0, u0), *_, (x1, u1) = shown.ticks("middle")
    (y0, v0), *_, (y1, v1) = shown.ticks("end")
    for point in HELD_OUT:
        u, v = shown.centre(name_of(point))
        assert u == pytest.approx(u0 + (u1 - u0) * math.log(point["l0"] / x0) / math.log(x1 / x0), abs=1)
        assert v == pytest.approx(v0 - 4 + (v1 - v0) * (point["raw"][BIAS][0] - y0) / (y1 - y0), abs=1)
    assert {value for value, _ in shown.ticks("middle")} == {5, 10, 20, 50, 100}


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_figure_is_seen_whole_without_scrolling(open_site, width, height):
    tab = open_site("results.html", viewport={"width": width, "height": height})
    tab.locator("#sparsity .point").first.wait_for()
    box = tab.locator("#sparsity svg.chart").bounding_box()
    assert box["y"] + box["height"] <= height


def test_a_phone_shows_what_is_drawn_first_in_the_table(figure):
    shown = figure(viewport={"width": 390, "height": 844})
    for measure, title in (("scale_x_hat", "c/b"), ("norm_ratio", "r")):
        shown.choose("Measure", measure)
        frame = shown.root.locator(".rows").bounding_box()
        right = frame["x"] + frame["width"]
        heads = shown.root.locator("thead th").all()[:3]
        assert [head.inner_text().split()[0].strip("↕") for head in heads] == ["SAE,", title, "L0"]
        assert all(head.bounding_box()["x"] + head.bounding_box()["width"] <= right for head in heads)


def test_a_choice_is_explained_in_the_registrys_words_and_counted_from_the_data(figure):
    shown = figure()
    said = shown.root.locator(".note[aria-live]")
    shown.choose("Measure", "scale_x_hat")
    entry = REGISTRY["scale_x_hat"]
    assert f"c/b: {entry.question} At 1: {entry.at_one}." in said.inner_text()
    assert "no interval" not in said.inner_text()
    shown.choose("Measure", "length_share")
    bare = [one for one in HELD_OUT if one["length_share"]["raw"][1] is None]
    assert bare
    assert f"{len(bare)} have no interval: their sweep kept none" in said.inner_text()
    shown.choose("Model", "smollm2")
    points = [one for one in results.sweep(results.FIGURES["smollm2"])["points"] if one["measured_on"] == "held-out"]
    kept = [one for one in points if one["finished"]]
    kinds = len({one["architecture"] for one in kept})
    shown.root.get_by_text(
        f"{len(kept)} SAEs. They are {len(kept)} settings of {kinds} architectures, with one seed each."
    ).wait_for()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_words_of_a_rule_cover_no_point(figure, width):
    shown = figure(viewport={"width": width, "height": 900})
    shown.root.get_by_role("checkbox", name="ReLU + L1").uncheck()
    words = shown.root.locator(".scales text.halo").bounding_box()
    for mark in shown.root.locator(".point .mark").all():
        box = mark.bounding_box()
        beside = box["x"] >= words["x"] + words["width"] or box["x"] + box["width"] <= words["x"]
        assert beside or box["y"] >= words["y"] + words["height"] or box["y"] + box["height"] <= words["y"]


def test_whiskers_end_where_the_interval_does(figure):
    shown = figure()
    shown.choose("Measure", "norm_ratio")
    (y0, v0), *_, (y1, v1) = shown.ticks("end")
    point = next(one for one in HELD_OUT if one["architecture"] == "relu")
    value, low, high = point["raw"][RATIO]
    drawn = shown.point(name_of(point)).locator(".whisker").get_attribute("d")
    ends = [float(part) for part in drawn.split("M0,")[1].split("V")]
    scale = (v1 - v0) / (y1 - y0)
    assert ends == pytest.approx([(low - value) * scale, (high - value) * scale], abs=0.1)


def test_pointing_shows_a_points_row_and_a_click_keeps_it(figure):
    shown = figure()
    sae = "relu-5-seed-0"
    shown.aim(sae)
    assert shown.marked("looked") == ([sae], [sae])
    assert "0.8270 ± 0.0015" in shown.card()
    shown.click(sae)
    shown.tab.mouse.move(5, 5)
    assert shown.marked("looked") == ([], [])
    assert shown.marked("chosen") == ([sae], [sae])
    assert "0.8270 ± 0.0015" in shown.card()
    shown.root.get_by_role("button", name="Its row in the table").click()
    assert shown.row(sae).locator("button").evaluate("(node) => node === document.activeElement")


def test_pointing_at_a_row_shows_its_point_and_its_button_keeps_it(figure):
    shown = figure()
    sae = "gated-2.1-seed-1"
    shown.row(sae).hover()
    assert shown.marked("looked") == ([sae], [sae])
    shown.row(sae).get_by_role("button").press("Enter")
    assert shown.marked("chosen") == ([sae], [sae])
    assert shown.row(sae).get_attribute("aria-current") == "true"
    assert shown.point(sae).get_attribute("aria-pressed") == "true"


def test_keys_walk_along_an_architecture_and_to_another(figure):
    shown = figure()
    shown.root.get_by_role("checkbox", name="1", exact=True).uncheck()  # one seed
    assert shown.root.locator('.point[tabindex="0"]').count() == 1
    shown.root.locator('.point[tabindex="0"]').focus()
    press = shown.tab.keyboard.press
    press("Home")
    (first, *_), _ = shown.marked("looked")
    kind = first.partition("-")[0]
    own = [point for point in HELD_OUT if point["seed"] == 0 and point["architecture"] == kind]
    own.sort(key=lambda point: point["l0"])
    assert first == name_of(own[0])
    for point in own[1:]:
        press("ArrowRight")
        assert shown.marked("looked") == ([name_of(point)], [name_of(point)])
    press("ArrowDown")
    (other,), _ = shown.marked("looked")
    assert other.partition("-")[0] != kind
    press("Enter")
    assert shown.marked("chosen")[0] == [other]
    assert "γ = " in shown.point(other).get_attribute("aria-label")


def test_a_tap_keeps_the_nearest_point(figure):
    shown = figure(viewport={"width": 390, "height": 844}, has_touch=True)
    sae = "relu-8-seed-0"
    box = shown.point(sae).locator(".mark").bounding_box()
    shown.tab.touchscreen.tap(box["x"] + 12, box["y"] - 4)  # a finger beside it
    ((chosen,), _) = shown.marked("chosen")
    assert chosen in (sae, "relu-8-seed-1")  # the two lie closer together than that
    assert "0.76" in shown.card()


def test_the_table_sorts_by_any_column_both_ways(figure):
    shown = figure()
    shown.choose("Tokens", "training")
    head = shown.root.locator("thead").get_by_role("button", name="c/a")
    head.click()
    values = [float(text.split(" ")[0]) for text in shown.column("c/a")]
    assert values == sorted(values)
    assert shown.root.locator('th[aria-sort="ascending"]').inner_text().startswith("c/a")
    head.press("Enter")
    assert [float(text.split(" ")[0]) for text in shown.column("c/a")] == sorted(values, reverse=True)
    assert head.evaluate("(node) => node === document.activeElement")


def test_every_measure_from_every_origin_can_be_drawn_and_higher_is_more(figure):
    shown = figure()
    for measure in (*DATA["measures"], "length_share"):
        shown.choose("Measure", measure)
        for origin in ORIGINS:
            shown.choose("Origin of x and x̂", origin)
            assert shown.root.locator(".note[aria-live]").inner_text().startswith(f"{len(HELD_OUT)} SAEs. ")
            values = {name_of(one): of(one, measure, origin)[0] for one in HELD_OUT}
            heights = shown.heights()
            assert heights.keys() == values.keys()
            for lower, higher in pairwise(sorted(values, key=lambda one: values[one])):
                assert heights[lower] >= heights[higher] - 0.1  # the picture's tenths of a pixel


def test_architectures_and_seeds_can_be_left_out(figure):
    shown = figure()
    shown.root.get_by_role("checkbox", name="ReLU + L1").uncheck()
    assert shown.points.count() == shown.rows.count() == sum(one["architecture"] != "relu" for one in HELD_OUT)
    assert min(value for value, _ in shown.ticks("end")) > 0.98  # what is left is enlarged
    shown.choose("Model", "smollm2")
    swept = results.sweep(results.FIGURES["smollm2"])["points"]
    finished = [one for one in swept if one["finished"] and one["measured_on"] == "held-out"]
    shown.tab.wait_for_function("(n) => document.querySelectorAll('#sparsity .point').length === n", arg=len(finished))


def test_a_point_leads_to_the_explorer_at_its_cosine_and_norm_ratio(figure):
    shown = figure()
    point = next(one for one in HELD_OUT if name_of(one) == "relu-5-seed-0")
    shown.choose("Measure", "scale_x")
    shown.click("relu-5-seed-0")
    shown.root.get_by_role("link", name="See it in the explorer").click()
    explorer = Shown(shown.tab)
    explorer.root.locator("tr[data-measure]").first.wait_for()
    values, expected = explorer.values(), dict(zip(DATA["measures"], point["raw"], strict=True))
    for key in ("cosine", "norm_ratio", "relative_reconstruction_bias", "relative_loss"):
        assert values[key] == pytest.approx(expected[key][0], abs=2e-6)  # the file has seven digits
    assert explorer.address()["measure"] == "scale_x"


def test_the_law_is_drawn_on_its_diagonal_and_during_training(figure):
    shown = figure("law")
    law = results.sweep(results.FIGURES["figure-7"])
    held_out = [one for one in law["points"] if one["law"] and one["measured_on"] == "held-out"]
    finished = [one for one in held_out if one["finished"]]
    assert shown.points.count() == len(finished)
    (x0, u0), *_, (x1, u1) = shown.ticks("middle")
    for one in finished:
        predicted = one["law"][law["law"].index("predicted")][0]
        u, _ = shown.centre(f"{name_of(one)}-{one['steps']}")
        assert u == pytest.approx(u0 + (u1 - u0) * (predicted - x0) / (x1 - x0), abs=1)
    shown.choose("Shown", "steps")
    assert shown.points.count() == len(held_out)
    assert {value for value, _ in shown.ticks("middle")} >= {1000, 2000, 3000, 4000}


def test_what_it_costs_is_drawn_for_each_replacement_and_over_the_factor(figure):
    shown = figure("loss")
    loss = results.losses()
    drawn = [name for sae in loss["saes"] for name in sae["replacements"] if name not in ("mean", "zero")]
    assert shown.points.count() == len(drawn)
    shown.root.get_by_role("checkbox", name="zero", exact=True).check()
    assert shown.points.count() == len(drawn) + len(loss["saes"])
    shown.choose("Shown", "curve")
    sae = loss["saes"][0]
    assert shown.rows.count() == sum(len(sae["curve"]) for sae in loss["saes"])
    assert shown.root.locator(".legend").is_visible()
    assert f"L0 {sae['l0']:.0f}" in shown.root.locator(".legend").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1600])
def test_axe_finds_no_serious_violation_with_a_point_kept(figure, scheme, width):
    shown = figure(color_scheme=scheme, viewport={"width": width, "height": 900})
    for name in ("law", "loss"):
        Figure(shown.tab, name)
    shown.click("relu-3.3-seed-0")
    assert grave(shown.tab) == []
    assert shown.tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_figure_that_cannot_be_fetched_says_so(open_site):
    def spoil(tab):
        tab.route("**/results/figure-6.json", lambda route: route.fulfill(body="<html>"))

    tab = open_site(
        "results.html", seen=lambda tab: tab.route("**/results/figure-6.json", lambda route: route.fulfill(status=204))
    )
    tab.get_by_role("alert").first.wait_for()
    assert "This figure cannot be shown" in tab.locator("#sparsity").inner_text()
