"""Chromium, started once, and pages that must stay silent: no warning, no error, no request."""

import shutil

import pytest
from playwright.sync_api import expect

from sandbox.explorer.module import module, style
from sandbox.explorer.page import html
from tests.explorer.browser.driver import QUICK, Shown


@pytest.fixture(scope="package")
def chromium(playwright):
    expect.set_options(timeout=60_000)  # milliseconds, as long as the pages' own: two busy cores may be slow
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def page_file(tmp_path_factory):
    """The explorer as the one HTML file that `sandbox page` writes."""
    file = tmp_path_factory.mktemp("page") / "explorer.html"
    file.write_text(html(), encoding="utf-8")
    return file


@pytest.fixture
def silence():
    """A function that watches a page; by the end, no watched page may have logged or requested anything."""
    heard: list[str] = []

    def watch(page):
        page.on("console", lambda said: said.type in ("error", "warning") and heard.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: heard.append(f"uncaught: {error}"))
        page.on("request", lambda to: to.url.startswith(("file:", "data:", "blob:")) or heard.append(f"to {to.url}"))
        return page

    yield watch
    assert heard == []


@pytest.fixture
def open_page(chromium, page_file, silence):
    """A function that opens the explorer: it takes the end of the address and options of the browser context."""
    contexts = []

    def open_(address="", file=page_file, before="", **options):
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 1700}, "color_scheme": "light"} | options
        )
        contexts.append(context)
        context.set_default_timeout(60_000)  # on two busy cores a page may take ten seconds to load
        page = silence(context.new_page())
        page.add_init_script(f"{{ {QUICK} }} {before}")
        page.goto(file.as_uri() + address)
        return Shown(page)

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def shown(open_page):
    """The explorer in its page, just opened."""
    return open_page()


@pytest.fixture(scope="package")
def host_file(tmp_path_factory):
    """A bare host page: `start(el, held)` renders an explorer; its clean-up is in `ends`, its model in `models`."""
    text = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
    <style>.night { background: #111 } .day { background: #fff }</style><style>STYLE</style><script type="module">MODULE
    Object.assign(window, { models: [], ends: [], start(el, held = {}) {
      const calls = [], told = [];
      const model = { held, told, calls, save_changes() {}, send() {},
        get: (name) => held[name], set: (name, value) => told.push([name, held[name] = value]),
        on: (name, call) => calls.push([name, call]),
        off: (name, call) => calls.splice(calls.findIndex((one) => one[0] === name && one[1] === call), 1) };
      el ??= document.body.appendChild(document.createElement("div"));
      models.push(model);
      ends.push(render({ model, el }));
    } });</script>"""
    text = text.replace("STYLE", style()).replace("MODULE", module().replace("</", "<\\/"))
    file = tmp_path_factory.mktemp("host") / "host.html"
    file.write_text(text, encoding="utf-8")
    return file
