"""The site as a web server serves it below a path, and pages that must stay silent and ask nothing of other servers."""

import threading
from contextlib import contextmanager

import pytest

from sandbox.site.build import files
from sandbox.site.python import runtime
from sandbox.site.server import server
from tests.explorer.browser.conftest import chromium  # noqa: F401  a fixture
from tests.explorer.browser.driver import QUICK
from tests.site.article import Article

BELOW = "some/path/"
"""Where the site lies on its server: no page may take itself to be at the top."""


@contextmanager
def served(content):
    """The address of a server of these files (path ► bytes), ending in a slash."""
    with server({BELOW + name: data for name, data in content.items()}) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/{BELOW}"
        serving.shutdown()


@pytest.fixture(scope="package")
def site_files():
    """Every file of the site without Python: path ► bytes."""
    return dict(files())


@pytest.fixture(scope="package")
def site(site_files):
    """The address of the site without Python, ending in a slash."""
    with served(site_files) as address:
        yield address


@pytest.fixture(scope="package")
def complete_files():
    """Every file of the site with Python: path ► bytes."""
    return dict(files(python=runtime()))


@pytest.fixture(scope="package")
def complete(complete_files):
    """The address of the site with Python, ending in a slash."""
    with served(complete_files) as address:
        yield address


@pytest.fixture(scope="module")
def modules(site_files, tmp_path_factory):
    """A folder with the site's modules that measure."""
    folder = tmp_path_factory.mktemp("site")
    for name, content in site_files.items():
        if name.startswith(("js/data/", "explorer/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def open_site(chromium, site):  # noqa: F811
    """A function that opens a page of the site, silently: it takes the end of the address and options of the context.

    By the end, no page may have logged a warning or an error, nor asked another server for anything. Its service
    worker is off unless `service_workers="allow"`; `at` is the address of another site; `before` is a script that runs
    first; `seen` is called with the page before it loads.
    """
    heard: list[str] = []
    contexts = []

    def open_(page="", at=site, before="", seen=None, **options):
        chosen = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "service_workers": "block"}
        chosen["reduced_motion"] = "reduce"  # else a page may still be scrolling when a test measures where things are
        context = chromium.new_context(**chosen | options)
        contexts.append(context)
        context.set_default_timeout(60_000)  # on two busy cores a page may take ten seconds to load
        tab = context.new_page()
        tab.on("console", lambda said: _matters(said) and heard.append(f"{said.type}: {said.text}"))
        tab.on("pageerror", lambda error: heard.append(f"uncaught: {error}"))
        own = (at, "data:", "blob:")
        tab.on("request", lambda to: to.url.startswith(own) or heard.append(f"to {to.url}"))
        tab.on("response", lambda answer: answer.status >= 400 and heard.append(f"{answer.status}: {answer.url}"))
        if before:
            tab.add_init_script(before)
        if seen:
            seen(tab)
        tab.goto(at + page)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert heard == []


def _matters(said):
    return said.type in ("error", "warning") and said.text != "Service Worker registration blocked by Playwright"


@pytest.fixture
def open_article(open_site):
    """A function that opens the article, without movements that take time."""

    def open_(search="", **options):
        return Article(open_site(f"index.html{search}", before=f"{{ {QUICK} }}", **options))

    return open_


@pytest.fixture
def article(open_article):
    return open_article()
