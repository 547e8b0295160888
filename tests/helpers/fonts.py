"""Chromium with one set of fonts, whatever the machine has: a set is a few folders."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pytest

DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf")
EXTRA = Path(sys.prefix, "fonts")
"""Where `make test` unpacks Debian's packages of fonts."""

SETS = {
    "DejaVu": [DEJAVU],
    "Latin Modern": [DEJAVU, EXTRA / "fonts-lmodern"],
    "Noto": [EXTRA / "fonts-noto-core"],
}
"""Without a font for mathematics; with TeX's, beside DejaVu; and wide letters with their own font for mathematics."""

FOR_MATHS = {"DejaVu": "DejaVu Sans", "Latin Modern": "Latin Modern Math", "Noto": "Noto Sans Math"}


@contextmanager
def chromium_with(name, playwright, folder):
    """A Chromium that knows only the fonts of a set; its files lie in an empty folder."""
    folders = []
    for each in SETS[name]:
        if not each.is_dir():
            pytest.skip(f"the fonts {name} are missing: run `make test`, which unpacks Debian's {each.name}")
        folders.append(each)
    if DEJAVU in folders:  # matplotlib keeps other fonts beside it
        folders[0] = folder / "dejavu"
        folders[0].mkdir()
        for file in DEJAVU.glob("DejaVuSans*.ttf"):
            shutil.copy(file, folders[0])
    config = folder / "fonts.conf"
    known = "".join(f"<dir>{each}</dir>" for each in folders)
    config.write_text(f"<fontconfig>{known}<cachedir>{folder / 'cache'}</cachedir></fontconfig>")
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox"],
        env={**os.environ, "FONTCONFIG_FILE": str(config)},
    )
    yield browser
    browser.close()


def used(page, selector):
    """The families of fonts in which an element is drawn."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("DOM.enable")
    cdp.send("CSS.enable")
    root = cdp.send("DOM.getDocument")["root"]["nodeId"]
    node = cdp.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    return {one["familyName"] for one in cdp.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]}
