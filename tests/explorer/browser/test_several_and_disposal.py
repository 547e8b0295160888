"""Explorers in one page are independent, and a disposed one leaves nothing behind."""

import pytest

from tests.explorer.browser.driver import Shown

# Counts what is pending or watching, as the page itself would: to be there before its scripts.
LEDGER = """
  const ledger = window.ledger = { timers: new Set(), frames: new Set(), observers: new Set(), lists: [] };
  const [later, never, frame, noFrame, media] =
    [setTimeout, clearTimeout, requestAnimationFrame, cancelAnimationFrame, matchMedia].map((f) => f.bind(window));
  window.setTimeout = (call, ...rest) => {
    const id = later((...values) => { ledger.timers.delete(id); call(...values); }, ...rest);
    ledger.timers.add(id);
    return id;
  };
  window.clearTimeout = (id) => { ledger.timers.delete(id); never(id); };
  window.requestAnimationFrame = (call) => {
    const id = frame((now) => { ledger.frames.delete(id); call(now); });
    ledger.frames.add(id);
    return id;
  };
  window.cancelAnimationFrame = (id) => { ledger.frames.delete(id); noFrame(id); };
  window.matchMedia = (query) => { const list = media(query); ledger.lists.push(list); return list; };
  window.setInterval = () => { throw new Error("an interval is not expected"); };
  for (const name of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
    window[name] = class extends window[name] {
      observe(...what) {
        if (what[0] !== document) ledger.observers.add(this);  // but for playwright's own
        super.observe(...what);
      }
      disconnect() { ledger.observers.delete(this); super.disconnect(); }
    };
  }
  window.pending = () => Object.fromEntries(["timers", "frames", "observers"].map((name) => [name, ledger[name].size]));
"""


@pytest.fixture
def host(open_page, host_file):
    """A page with three explorers."""
    page = open_page(file=host_file, before=LEDGER, viewport={"width": 900, "height": 1000}).page
    page.evaluate("for (let i = 0; i < 3; i++) start()")
    return page


def explorers(page):
    return [Shown(page, page.locator(".shrinkage-explorer").nth(i)) for i in range(3)]


def listeners(page):
    """The number of explorers' listeners on the window, the document and whatever else outlives them."""
    cdp = page.context.new_cdp_session(page)
    scripts = set()  # of the page itself; playwright's listeners come from other scripts
    cdp.on("Debugger.scriptParsed", lambda one: one["url"].endswith("host.html") and scripts.add(one["scriptId"]))
    cdp.send("Debugger.enable")
    places = ["window", "document", "document.documentElement", "document.body"]
    places += [f"ledger.lists[{i}]" for i in range(page.evaluate("ledger.lists.length"))]
    count = 0
    for place in places:
        thing = cdp.send("Runtime.evaluate", {"expression": place})["result"]["objectId"]
        found = cdp.send("DOMDebugger.getEventListeners", {"objectId": thing})["listeners"]
        count += sum(one["scriptId"] in scripts for one in found)
    cdp.detach()
    return count


def test_of_three_explorers_only_the_dragged_one_moves(host):
    first, second, third = explorers(host)
    second.handle("x-hat").scroll_into_view_if_needed()
    second.drag_by("x-hat", -50, -30)
    second.handle("x-hat").focus()
    second.press("ArrowUp")
    assert second.drawn()[0] > 50
    for other, number in ((first, 0), (third, 2)):
        assert other.drawn() == pytest.approx((40, 0.6))
        assert host.evaluate(f"models[{number}].told") == []
    first.handle("x-hat").focus()
    first.press("Control+z")  # its own history is empty
    assert second.drawn()[0] > 50


def test_none_of_them_takes_an_id_in_the_page(host):
    assert host.locator(".shrinkage-explorer [id], .shrinkage-explorer[id]").count() == 0
    assert host.locator(".shrinkage-explorer [for], .shrinkage-explorer [aria-labelledby]").count() == 0


def test_a_disposed_explorer_leaves_nothing_behind_even_in_the_middle_of_a_drag(host):
    first, *_ = explorers(host)
    before = listeners(host)
    alive = host.evaluate("pending()")
    assert before >= 3  # each listens for the system's dark mode, so the count works
    assert alive["observers"] == 6
    first.drag_by("x-hat", -30, -20, let_go=False)
    pending, told = host.evaluate("""() => {
      const at = document.querySelector("[data-handle=x-hat]").getBoundingClientRect();
      const [handle] = document.querySelectorAll("[data-handle=x-hat]");
      handle.dispatchEvent(new PointerEvent("pointermove", { pointerId: 1, clientX: at.x - 40, clientY: at.y }));
      const waiting = pending();  // a frame is asked for, and a message to the model
      ends[0]();
      return [waiting, models[0].told.length];
    }""")
    assert pending["frames"] + pending["timers"] > 0
    host.mouse.move(10, 10)
    host.mouse.up()
    assert host.evaluate("pending()") == {"timers": 0, "frames": 0, "observers": 4}
    assert host.evaluate("models[0].calls.length") == 0
    assert host.locator(".shrinkage-explorer").count() == 2
    assert host.locator("body > div").first.evaluate("(el) => el.childNodes.length") == 0
    host.set_viewport_size({"width": 700, "height": 1000})
    host.evaluate("document.body.className = 'night'")
    host.wait_for_timeout(150)  # longer than the pause between two messages to the model
    assert host.evaluate("models[0].told.length") == told
    host.evaluate("ends[1](); ends[2]()")
    assert host.evaluate("pending()") == {"timers": 0, "frames": 0, "observers": 0}
    assert listeners(host) == before - 3
    host.evaluate("ends[0](); ends[1]()")  # a second call is harmless


def test_a_host_that_changes_the_model_moves_the_picture_without_an_echo(host):
    first, *_ = explorers(host)
    host.evaluate("""() => {
      models[0].held.angle = 75;
      for (const [name, call] of [...models[0].calls]) if (name === "change:angle") call();
    }""")
    first.settle()
    assert first.drawn() == pytest.approx((75, 0.6))
    host.wait_for_timeout(150)
    assert host.evaluate("models[0].told") == []
