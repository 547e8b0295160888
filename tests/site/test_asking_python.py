"""How a reader waits for Python in the browser: what is told, what Stop does, and that nothing is loaded twice."""

import re

import pytest

from tests.explorer.browser.conftest import chromium  # noqa: F401  a fixture
from tests.explorer.browser.driver import until
from tests.site.test_proofs_page import ask, page, text  # noqa: F401  a fixture

HARD = "gamma_10**3*(r+rho)**5*(L+1)**4 >= gamma**3*(r-rho)**4/(L+2)**3 - 7"
"""A claim that keeps Python busy for a quarter of a minute."""


SPOKEN = """() => {
  const node = document.querySelector(".claim-box [role=status]");
  window.spoken = [];
  new MutationObserver(() => window.spoken.push(node.textContent))
    .observe(node, { childList: true, characterData: true, subtree: true });
}"""
"""Notes what a screen reader would read out."""


class Slow:
    """The page of proofs on a network where one file of Python has not come yet."""

    def __init__(self, open_site, address, late):
        self.asked: list[str] = []  # the names of Python's files that were asked for
        self.held = []
        self.late = late
        self.page = open_site("proofs.html", at=address, seen=lambda tab: tab.context.route("**/python/*", self._route))

    def _route(self, route):
        name = route.request.url.rpartition("/")[2]
        self.asked.append(name)
        if name == self.late:
            self.held.append(route)
        else:
            route.continue_()

    def wait_for(self, name):
        """Until a file is asked for; playwright hears of it only in a call."""
        until(lambda: self.page.wait_for_timeout(20) or name in self.asked, seconds=60)

    def let_go(self):
        self.late = ""
        for route in self.held:
            route.continue_()

    def submit(self, claim):
        self.page.fill("#claim", claim)
        self.page.press("#claim", "Enter")


@pytest.fixture
def slow(open_site, complete):
    return Slow(open_site, complete, late="z3.zip")


def waits(page):  # noqa: F811
    return text(page.locator(".claim-box .state"))


def test_while_python_is_loaded_its_bytes_are_counted(slow, complete_files):
    slow.submit("r == r")
    size = sum(len(data) for name, data in complete_files.items() if re.search(r"^python/.*(wasm|zip|json)$", name))
    rest = size - len(complete_files["python/z3.zip"])
    until(lambda: f"{rest / 1e6:.1f} of {size / 1e6:.1f} MB" in waits(slow.page), seconds=60)
    assert waits(slow.page).startswith("Loading Python, once: ")
    slow.let_go()
    slow.page.locator(".answer h3", has_text="r == r is true").wait_for(timeout=120_000)


def test_impatience_while_python_is_loaded_loads_nothing_twice_and_the_last_claim_is_decided(slow):
    slow.submit("a == b")
    slow.wait_for("pyodide.asm.wasm")
    slow.submit("a == b")
    slow.submit("r == r")
    slow.let_go()
    slow.page.locator(".answer h3", has_text="r == r is true").wait_for(timeout=120_000)
    assert slow.page.locator(".answer").count() == 1
    assert slow.asked.count("pyodide.asm.wasm") == slow.asked.count("z3.zip") == 1


def test_without_a_network_the_reader_is_told_and_can_ask_again(chromium, complete):  # noqa: F811
    context = chromium.new_context(service_workers="block", bypass_csp=True)
    page = context.new_page()  # noqa: F811
    page.goto(f"{complete}proofs.html")
    page.locator(".cell").first.wait_for()
    context.set_offline(True)
    page.fill("#claim", "c/a == r*rho")
    page.keyboard.press("Enter")
    page.get_by_text("Python needs a network the first time").wait_for()
    context.set_offline(False)
    assert "is true" in text(ask(page, "c/a == r*rho"))
    context.close()


def test_stop_ends_the_loading_and_the_next_claim_begins_it_again(slow):
    slow.submit("r == r")
    slow.wait_for("z3.zip")
    slow.page.get_by_role("button", name="Stop").click()
    slow.page.locator(".state", has_text="Stopped").wait_for()
    slow.held.clear()
    slow.page.wait_for_timeout(500)
    assert slow.asked.count("z3.zip") == 1
    slow.late = ""
    assert "is true" in text(ask(slow.page, "c/a == r*rho"))
    assert slow.page.locator(".answer").count() == 1


def test_long_thinking_can_be_stopped_and_the_next_question_is_answered(page):  # noqa: F811
    ask(page, "r == r")
    page.fill("#claim", HARD)
    page.click("button[type=submit]")
    page.get_by_role("button", name="Stop").click()
    page.locator(".state", has_text="Stopped").wait_for()
    assert "is true" in text(ask(page, "c/a == r*rho"))


def test_a_screen_reader_hears_the_verdict_and_not_the_clock(page):  # noqa: F811
    page.evaluate(SPOKEN)
    ask(page, "gamma < 1 => r > 1")
    until(lambda: "Decided" in waits(page))
    heard = page.evaluate("window.spoken")
    assert heard[-1].endswith("it is false.")
    assert set(heard[:-1]) <= {"", "Loading Python, once:", "Starting Python:", "Thinking:"}
    assert len(heard) <= 5


def test_the_focus_never_drops_out_of_the_page(page):  # noqa: F811
    """Each of these buttons vanishes while it has the focus."""

    def press(button):
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
        assert page.evaluate("document.activeElement !== document.body")

    page.fill("#claim", HARD)
    page.press("#claim", "Enter")
    press(page.get_by_role("button", name="Stop"))
    page.locator(".state", has_text="Stopped").wait_for()
    assert page.evaluate("document.activeElement.id") == "claim"
    page.locator("#C1 summary").click()
    press(page.locator("#C1").get_by_role("button", name="Show all"))
    page.locator("#C3 summary").click()
    press(page.locator("#C3").get_by_role("button", name="yourself"))
    page.locator("#C3").get_by_label("your next term").fill("rho**2")
    page.keyboard.press("Enter")
    page.locator("#C3 .question", has_text="Done").wait_for(timeout=120_000)
    assert page.evaluate("document.activeElement !== document.body")
