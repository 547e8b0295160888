"""Regenerate the screenshots of the explorer beside this file: `python docs/screenshots.py`."""

import shutil
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from sandbox.explorer import page

HEIGHTS = {360: 1500, 800: 1240, 1600: 1140}


def main() -> None:
    """Each width in both themes."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "explorer.html")
        file.write_text(page.html(), encoding="utf-8")
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, height in HEIGHTS.items():
            for theme in ("light", "dark"):
                window = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
                window.goto(file.as_uri())
                window.wait_for_selector(".plane .knob")
                picture = (
                    Image.open(BytesIO(window.screenshot())).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
                )
                picture.save(Path(__file__).with_name(f"explorer-{theme}-{width}.png"), optimize=True)


if __name__ == "__main__":
    main()
