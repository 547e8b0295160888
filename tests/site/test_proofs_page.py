"""The page of proofs in a real browser, with Python in it: steps, decisions, exercises and the picture beside them."""

import json
import re

import pytest
from playwright.sync_api import expect

from sandbox.maths.derivations import claims, prove
from sandbox.site.cells import answered
from sandbox.site.proofs import FILE, proofs
from tests.site.article import WINDOWS, covered

LIMIT = 25_000_000
"""Bytes of the whole site, Python included."""


@pytest.fixture
def page(open_site, complete):
    return open_site("proofs.html", at=complete)


def ask(page, text):
    page.fill("#claim", text)
    page.click("button[type=submit]")
    answer = page.locator(".answer").filter(has=page.locator("h3 code", has_text=re.compile(f"^{re.escape(text)}$")))
    answer.first.wait_for(timeout=120_000)
    return answer.first


def text(locator):
    return " ".join(locator.inner_text().split())


def test_the_whole_site_is_small(complete_files):
    assert sum(map(len, complete_files.values())) < LIMIT


def test_the_stored_proofs_are_up_to_date():
    stored = json.loads(FILE.read_text(encoding="utf-8"))["proofs"]
    assert [proof["number"] for proof in stored] == [claim.number for claim in claims()]
    assert proofs() == stored
    assert stored[2] == json.loads(answered('{"ask": "prove", "claim": "C3"}'))


def test_a_stale_store_is_proven_again(tmp_path, monkeypatch):
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["proofs"][0]["claim"] = "1 = 2"
    (tmp_path / "proofs.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr("sandbox.site.proofs.FILE", tmp_path / "proofs.json")
    monkeypatch.setattr("sandbox.site.proofs.claims", lambda: claims()[:1])
    assert proofs()[0]["claim"] == prove("C1").claim


def test_every_claim_is_there_and_opens_step_by_step(page):
    expect(page.locator(".cell")).to_have_count(len(claims()))
    cell = page.locator("#C1")
    cell.locator("summary").click()
    expect(cell.locator(".steps > li:visible")).to_have_count(1)
    cell.get_by_role("button", name="Next step").click()
    expect(cell.locator(".steps > li:visible")).to_have_count(2)
    cell.get_by_role("button", name="Show all").click()
    expect(cell.locator(".steps > li:visible")).to_have_count(len(prove("C1").steps))
    expect(cell.locator(".end")).to_contain_text("checked by SymPy")


@pytest.mark.parametrize("address", ["#C7", "#c7"])
def test_an_address_opens_its_claim(open_site, complete, address):
    page = open_site(f"proofs.html{address}", at=complete)
    page.locator("#C7[open] .steps").wait_for()


def test_an_address_leads_straight_to_its_claim(open_site, complete):
    """Smoothly, it took half a second, in which the claim ran past below the picture."""
    page = open_site("proofs.html", at=complete, reduced_motion="no-preference")
    page.add_init_script("addEventListener('scroll', () => (window.passed ??= new Set()).add(Math.round(scrollY)))")
    page.goto("about:blank")
    page.goto(f"{complete}proofs.html#C27")
    page.locator("#C27[open] .steps").wait_for()
    expect(page.locator("#C27 summary")).to_be_in_viewport()
    assert page.evaluate("passed.size") <= 2  # there, and once more if the page above it has grown meanwhile


def test_an_address_of_no_claim_is_told(page):
    page.evaluate("location.hash = 'C77'")
    page.locator("[role=alert]", has_text="“C77”: the claims are C1 to C29.").wait_for()


def test_an_open_claim_is_in_the_address(page):
    page.locator("#C3 summary").click()
    page.locator("#C3 .steps").wait_for()
    assert page.url.endswith("proofs.html#C3")


@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_the_picture_leaves_the_proof_most_of_any_window(open_site, complete, width, height):
    page = open_site("proofs.html#C7", at=complete, viewport={"width": width, "height": height})
    page.locator("#C7[open] .steps").wait_for()
    expect(page.locator("#C7")).to_be_in_viewport()
    assert covered(page, ".beside", "#C7") < 0.4


def test_the_browser_decides_as_python_does(page):
    """Z3 included: it is the same code, on the versions that are pinned."""
    for claim in ("c/a * c/b == 1", "scale_x * scale_x_hat == cosine**2", "gamma < 1 => r < 1"):
        shown = text(ask(page, claim))
        told = json.loads(answered(json.dumps({"ask": "check", "claim": claim})))
        assert f"{claim} {told['headline']}." in shown
        for note in told["notes"]:
            assert note in shown
        if told["proof"]:
            assert told["proof"]["end"] in shown


def test_a_counterexample_jumps_into_the_picture(page):
    grip = page.get_by_role("slider", name=re.compile("x̂")).first
    before = grip.get_attribute("aria-valuetext")
    answer = ask(page, "gamma < 1 => r > 1")
    assert "It fails at" in text(answer)
    after = grip.get_attribute("aria-valuetext")
    assert after != before
    pair = json.loads(answered('{"ask": "check", "claim": "gamma < 1 => r > 1"}'))["pairs"][0]
    values = {row["key"]: row.get("value") for row in pair["measures"]}
    assert values["norm_ratio"] <= 1
    page.locator(".symbols button", has_text="γ").first.click()
    expect(page.locator(".told")).to_contain_text(f"{values['relative_reconstruction_bias']:.3f}")


def test_what_is_no_claim_is_said_in_one_line(page):
    page.fill("#claim", "import os")
    page.click("button[type=submit]")
    page.locator(".state", has_text="Not a claim").wait_for(timeout=120_000)
    refused = json.loads(answered('{"ask": "check", "claim": "import os"}'))["refused"]
    assert text(page.locator(".state")) == f"Not a claim: {refused}"
    expect(page.locator(".answer")).to_have_count(0)


def test_an_exercise_judges_answers_and_gives_the_step(page):
    cell = page.locator("#C3")
    cell.locator("summary").click()
    assert "ρ²" in text(cell.locator("summary"))
    cell.get_by_role("button", name="Find 1 of its 10 steps yourself").click()
    cell.locator(".question .chain").wait_for(timeout=120_000)
    assert "ρ²" not in text(cell.locator("summary")), "the heading would give the answer"
    answer = cell.get_by_label("your next term")
    answer.fill("rho")
    answer.press("Enter")
    cell.locator(".reply", has_text="That is not equal").wait_for(timeout=60_000)
    assert "Multiply the two fractions" not in text(cell), "no hint unasked"
    cell.get_by_role("button", name="Hint").click()
    assert "Multiply the two fractions" in text(cell)
    answer.fill("rho**2")
    answer.press("Enter")
    cell.locator(".question", has_text="Done").wait_for(timeout=60_000)
    assert prove("C3").claim in text(cell.locator("summary"))
    assert not any(button.is_visible() for button in cell.locator(".exercise button").all())


def test_results_do_not_pile_up_and_can_be_removed(page):
    first, second, third = "c/a * c/b == 1", "gamma_10 >= gamma", "gamma < 1 => r > 1"
    for claim in (first, second, third, second):
        ask(page, claim)
    answers = page.locator(".answer")
    expect(answers.locator("code")).to_have_text([second, third, first])  # each once, newest first
    assert [node.get_attribute("open") is not None for node in answers.all()] == [True, False, False]
    answers.nth(0).get_by_role("button", name="Remove").click()
    assert answers.count() == 2
    assert page.evaluate("document.activeElement.id") == "claim"
    page.get_by_role("button", name="Remove all results").click()
    assert answers.count() == 0
    assert not page.get_by_role("button", name="Remove all results").is_visible()


def test_a_proof_is_run_again_in_the_browser(page):
    cell = page.locator("#C1")
    cell.locator("summary").click()
    cell.get_by_role("button", name="Prove it again").click()
    cell.locator("[role=status]", has_text="Proven by SymPy in this browser").wait_for(timeout=120_000)
    expect(cell.locator(".steps > li:visible")).to_have_count(len(prove("C1").steps))


def test_pointing_at_a_term_shows_it(page):
    ask(page, "gamma < 1 => r > 1")  # takes the picture to a pair that Python knows
    [pair] = json.loads(answered('{"ask": "check", "claim": "gamma < 1 => r > 1"}'))["pairs"]
    (u, v), (p, q) = pair["x"]["numbers"], pair["x_hat"]["numbers"]
    told = {"a": u * u + v * v, "b": p * p + q * q, "c": u * p + v * q, "L": (p - u) ** 2 + (q - v) ** 2}
    for letter, value in told.items():
        page.locator(".symbols button").get_by_text(letter, exact=True).click()
        expect(page.locator(".told")).to_have_text(re.compile(rf"{value:.3f}\s*$"))
    page.locator("#C1 summary").click()
    page.locator("#C1").get_by_role("button", name="Show all").click()
    page.locator("#C1 .chain math mi").get_by_text("a", exact=True).first.hover()
    expect(page.locator(".beside")).to_have_attribute("data-pointed", "a")


def test_without_python_the_page_says_so_and_still_shows_the_proofs(open_site):
    page = open_site("proofs.html")
    page.locator(".state", has_text="made without Python").wait_for()
    assert page.locator("#claim").is_disabled()
    page.locator("#C2 summary").click()
    page.locator("#C2 .chain").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_only(open_site, complete, scheme):
    page = open_site("proofs.html#C9", at=complete, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.locator("#C9").get_by_role("button", name="Show all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
