"""Three real browsers behind one small interface: Chromium, Firefox and WebKit, each driven by its own protocol.

    with start("firefox", folder) as engine:
        engine.open(file.as_uri())
        engine.drag([(100, 200), (150, 180)])

`missing(name)` says in one line which package an engine lacks, or "". `python -m tests.helpers.engines` prints the
engines' versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser

from tests.helpers.engines.chromium import Chromium
from tests.helpers.engines.engine import Engine
from tests.helpers.engines.firefox import Firefox
from tests.helpers.engines.webkit import WebKit

ENGINES: dict[str, type[Engine]] = {"chromium": Chromium, "firefox": Firefox, "webkit": WebKit}


def missing(name: str) -> str:
    """What must be installed before an engine can start, in one line; "" if nothing."""
    return ENGINES[name].missing()


@contextmanager
def start(name: str, folder: Path, chromium: Browser | None = None) -> Iterator[Engine]:
    """An engine whose profile and downloads lie in an empty folder; at the end none of its processes is left.

    `chromium`: the browser that playwright already runs in this process, if it does.
    """
    engine = Chromium(folder, chromium) if name == "chromium" else ENGINES[name](folder)
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
