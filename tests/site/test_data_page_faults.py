"""The page "Your data" when something fails or comes at a bad time: one line says so, and it can be tried again."""

import numpy as np
import pytest
from playwright.sync_api import expect

from sandbox.data import FILES
from tests.site.test_data_in_the_browser import pairs

DROP = """({ files = {}, texts = {}, times = 1 }) => {
  for (let time = 0; time < times; time++) {
    const dataTransfer = new DataTransfer();
    for (const [name, bytes] of Object.entries(files)) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
    for (const [type, text] of Object.entries(texts)) dataTransfer.items.add(text, type);
    for (const type of ["dragenter", "dragover", "drop"]) {
      const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
      document.querySelector("h1").dispatchEvent(event);
    }
  }
}"""


@pytest.fixture
def files(tmp_path):
    """A pair of files, as names and bytes."""
    for name, array in zip(("x", "x_hat"), pairs(n=400, d=4), strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    return {path.name: list(path.read_bytes()) for path in tmp_path.iterdir()}


@pytest.fixture
def open_failing(chromium, site):
    """A function that opens the page where requests for some files are answered otherwise; errors may be logged."""
    contexts = []

    def open_(pattern, **answer):
        context = chromium.new_context(service_workers="block")
        contexts.append(context)
        tab = context.new_page()
        tab.route(pattern, lambda route: route.fulfill(response=route.fetch(), **answer))
        tab.goto(f"{site}data.html")
        return tab

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("texts", [{"text/plain": "x.npy"}, {"text/uri-list": "http://localhost/x.npy"}])
def test_text_and_links_are_no_files(open_site, texts):
    tab = open_site("data.html")
    tab.evaluate(DROP, {"texts": texts})
    tab.locator("#status.wrong", has_text="No file was given: drop files or a folder, not text").wait_for()


def test_the_same_files_dropped_twice_at_once_are_listed_once(open_site, files):
    tab = open_site("data.html")
    tab.evaluate(DROP, {"files": files, "times": 2})
    tab.locator("#status", has_text="x.npy takes the place of the one given before.").wait_for()
    assert tab.locator("table.given tbody tr").count() == 2
    assert "Ready: x is x.npy, x̂ is x_hat.npy." in tab.locator("#status").inner_text()


def given_much(open_site, tmp_path, **options):
    """The page, given an SAE and more activations than are measured at once."""
    np.save(tmp_path / "long.npy", np.random.default_rng(0).standard_normal((60_000, 384)).astype(np.float32))
    tab = open_site("data.html", **options)
    tab.set_input_files("#folder", FILES["minilm-gated"])
    tab.get_by_text("SAELens gated").wait_for()
    tab.set_input_files("#files", tmp_path / "long.npy")
    tab.locator("#status", has_text="Ready:").wait_for()
    return tab


def test_nothing_is_taken_or_changed_while_a_measurement_runs(open_site, files, tmp_path):
    tab = given_much(open_site, tmp_path)
    tab.click("#measure")
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Measuring … What you give now is not taken").wait_for()
    assert tab.locator("table.given tbody tr").count() == 2
    assert tab.locator("#example").is_disabled()
    assert tab.locator("table.given select").first.is_disabled()
    expect(tab.locator("#progress")).not_to_have_js_property("value", 0, timeout=60_000)
    tab.click("#stop")
    tab.locator("#report h2").first.wait_for()
    assert tab.locator("#example").is_enabled()


HELD_LOOKS = """{
  globalThis.held = null;
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (data, ...more) {
    if (data.look && held) held.push(() => post.call(this, data, ...more));
    else post.call(this, data, ...more);
  };
}"""


def test_what_was_given_is_measured_while_files_in_its_place_are_read(open_site, files):
    tab = open_site("data.html", before=HELD_LOOKS)
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.evaluate("() => { held = []; }")
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Reading …").wait_for()
    tab.click("#measure")
    tab.locator("#report h2").first.wait_for()
    tab.evaluate("() => { const late = held; held = null; late.forEach((post) => post()); }")
    tab.locator("#status", has_text="Ready: x is x.npy, x̂ is x_hat.npy.").wait_for()
    assert tab.locator("table.given tbody tr").count() == 2


def test_a_measurement_that_begins_while_files_are_read_keeps_its_own(open_site, files, tmp_path):
    tab = given_much(open_site, tmp_path, before=HELD_LOOKS)
    tab.evaluate("() => { held = []; }")
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Reading …").wait_for()
    tab.click("#example")
    tab.click("#measure")
    tab.evaluate("() => { const late = held; held = null; late.forEach((post) => post()); }")
    tab.locator("#status", has_text="Measuring … What you give now is not taken").wait_for()
    assert tab.locator("table.given tbody tr").count() == 2
    tab.click("#stop")
    tab.locator("#report h2").first.wait_for()
    assert tab.locator("table.given tbody tr").count() == 2


@pytest.mark.parametrize("name", ["worker.js", "totals.js"])
def test_a_worker_that_does_not_start_is_tried_again(open_failing, files, name):
    tab = open_failing(f"**/{name}", headers={"Content-Type": "application/octet-stream"})
    failed = tab.locator("#status.wrong", has_text="The page’s worker did not start")
    failed.wait_for()
    tab.evaluate(DROP, {"files": files})
    failed.wait_for()
    assert tab.locator("table.given tbody tr").count() == 0
    tab.unroute(f"**/{name}")
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    tab.locator("#report h2").first.wait_for()


def test_a_worker_whose_modules_never_arrive_is_given_up(open_site, files):
    """Firefox reports no error for a module that is missing, and no browser one for a server that does not answer."""
    held = []

    def hold(tab):
        tab.clock.install()
        tab.route("**/totals.js", lambda route: held.append(route))

    tab = open_site("data.html", seen=hold)
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Reading …").wait_for()
    tab.clock.fast_forward(31_000)
    tab.locator("#status.wrong", has_text="The page’s worker did not start").wait_for()
    tab.unroute("**/totals.js")
    tab.evaluate(DROP, {"files": files})
    tab.locator("#status", has_text="Ready:").wait_for()
    assert held


def test_a_page_whose_scripts_do_not_arrive_says_so(open_failing):
    """A module script that is sent as anything else than JavaScript does not run: only the style can say so."""
    tab = open_failing("**/*.js", headers={"Content-Type": "application/octet-stream"})
    line = tab.locator(".unstarted")
    assert not line.is_visible()
    expect(line).to_be_visible(timeout=30_000)
    assert "must send .js files as text/javascript" in line.inner_text()


def test_a_page_whose_scripts_have_started_says_nothing(open_site):
    tab = open_site("data.html")
    tab.wait_for_load_state("networkidle")
    assert tab.locator(".unstarted").count() == 0


def test_a_file_that_is_gone_before_it_is_looked_at(open_site, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 4)))
    tab = open_site("data.html")
    tab.evaluate("""() => addEventListener("change", (event) => event.stopImmediatePropagation(), true)""")
    tab.set_input_files("#files", tmp_path / "x.npy")
    assert tab.evaluate("""() => document.getElementById("files").files[0].size""") == 256  # from now on it is known
    np.save(tmp_path / "x.npy", np.ones((5, 4)))
    tab.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(document.getElementById("files").files[0]);
          document.querySelector("h1").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }"""
    )
    line = "x.npy was replaced or modified while it was being read: start again once nothing writes to it"
    tab.locator("table.given", has_text=line).wait_for()


def test_a_folder_with_much_else(open_site, tmp_path):
    """x beside an SAE is x; what holds no numbers is counted, not listed; of two SAEs, none is chosen."""
    for sae in ("one", "two"):
        (tmp_path / "run" / sae).mkdir(parents=True)
        for path in FILES["minilm-gated"].iterdir():
            (tmp_path / "run" / sae / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / "run" / "one" / "x.npy", np.ones((4, 384), np.float32))
    for number in range(300):
        (tmp_path / "run" / f"{number}.txt").write_bytes(b"")
    tab = open_site("data.html")
    tab.set_input_files("#folder", tmp_path / "run")
    status = tab.locator("#status", has_text="300 other files of the folder are left aside")
    status.wait_for()
    assert "Still needed: x̂ or an SAE. No name tells which file it is" in status.inner_text()
    roles = tab.locator("table.given select")
    assert [roles.nth(at).input_value() for at in range(3)] == ["none", "none", "x"]


def test_a_folder_of_shards_is_for_the_command(open_site, tmp_path):
    for number in range(101):
        np.save(tmp_path / f"{number}.npy", np.ones((1, 2)))
    tab = open_site("data.html")
    tab.set_input_files("#folder", tmp_path)
    tab.locator("#status.wrong", has_text="101 files are too many to choose from").wait_for()
    assert tab.locator("table.given tbody tr").count() == 0
