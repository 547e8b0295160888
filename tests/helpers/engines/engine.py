"""What every engine can do; a page is driven by what a person does, and read by evaluating JavaScript in it."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Point = tuple[float, float]

PATIENCE = 60.0  # seconds: on two busy cores a browser may take ten to start, and ten more to load a page

FRAME = 0.016  # seconds between two moves

UNFINISHED = (".part", ".wkdownload")
"""How Firefox and WebKit name a file that they are still writing."""

SEEN = "one.getClientRects().length && one.checkVisibility()"
"""Of a part of an SVG that is not drawn, WebKit's answer is right only to the second, Chromium's only to the first."""

WHERE = """async (selector, index) => {
  const frame = () => new Promise(requestAnimationFrame);
  let before = "";
  for (;;) {
    const node = [...document.querySelectorAll(selector)].filter((one) => SEEN)[index];
    if (!node) return null;
    const seen = () => node.getBoundingClientRect();
    if (seen().top < 0 || seen().bottom > innerHeight) node.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, top, width, height } = seen();
    const now = JSON.stringify([left + width / 2, top + height / 2]);
    if (now === before) return JSON.parse(now);
    before = now;
    await frame(); await frame();
  }
}""".replace("SEEN", SEEN)
SETTLED = """async (pause) => {
  const frame = () => new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done, pause));
  await frame(); await frame();
}"""
DROP = """(selector, files) => {
  const dataTransfer = new DataTransfer();
  for (const [name, base64] of files)
    dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
  const node = document.querySelector(selector);
  for (const type of ["dragenter", "dragover", "drop"])
    node.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
}"""


TEXTS = """(selector) => [...document.querySelectorAll(selector)].filter((one) => one.getClientRects().length)
  .map((one) => one.innerText)"""


class Engine(ABC):
    """A browser with one page. Points are in window pixels, rightwards and downwards.

    Attributes: version: as the browser says it; folder: of its profile; downloads: where it saves files; touches:
    whether `touch` is the browser's own input rather than events made in the page
    """

    name: str
    touches = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.downloads, self.version = folder, folder / "downloads", ""
        self.downloads.mkdir(parents=True)
        self._processes: list[subprocess.Popen[Any]] = []

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Which package is missing, in one line; "" if none."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page afresh and wait until it has loaded."""

    @abstractmethod
    def reload(self) -> None:
        """Load the page again, as a visitor who has been here before: what it has kept stays."""

    @abstractmethod
    def resize(self, width: int, height: int) -> None:
        """Give the page this room; MiniBrowser (WebKit) is never narrower than 447 px."""

    @abstractmethod
    def cut_off(self, cut: bool = True) -> None:
        """Cut the network off, or restore it. (WebKit never reaches more than this machine.)"""

    @abstractmethod
    def evaluate(self, function: str, *values: Any) -> Any:
        """What a JavaScript function answers (once its promise is kept); its values and answer go as JSON."""

    @abstractmethod
    def drag(self, points: Sequence[Point], let_go: bool = True) -> None:
        """Press the mouse at the first point, move over the others, and let go at the last."""

    @abstractmethod
    def touch(self, points: Sequence[Point]) -> None:
        """The same with a finger."""

    @abstractmethod
    def press(self, *keys: str) -> None:
        """Keys, one after the other, such as "ArrowLeft", "Shift+Home" or "a"."""

    @abstractmethod
    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an <input type=file>."""

    @abstractmethod
    def screenshot(self) -> bytes:
        """The window as PNG."""

    @abstractmethod
    def heard(self) -> list[str]:
        """Since the last call: warnings, errors and uncaught exceptions of pages, and each request to the net."""

    def click(self, selector: str, index: int = 0) -> None:
        """Click in the middle of what a CSS selector finds (the index-th that can be seen)."""
        self.drag([self.where(selector, index)])

    def where(self, selector: str, index: int = 0) -> Point:
        """The middle of what a CSS selector finds, scrolled into the window; waits until it rests there."""
        x, y = self.until(lambda: self.evaluate(WHERE, selector, index), f"{selector} is nowhere to be seen")
        return x, y

    def drop(self, selector: str, *files: Path) -> None:
        """Drop files on an element: no protocol can drag from the desktop, so the events are made in the page."""
        content = [(file.name, base64.b64encode(file.read_bytes()).decode()) for file in files]
        self.evaluate(DROP, selector, content)

    def text(self, selector: str) -> str:
        """What all that a CSS selector finds says, in one line; "" if none of it can be seen."""
        found = self.evaluate(TEXTS, selector)
        return " ".join(" ".join(found).split())

    def settle(self, pause: float = 0.25) -> None:
        """Wait until a movement has been drawn, written and put into the address."""
        self.evaluate(SETTLED, 1000 * pause)

    def downloaded(self, pattern: str) -> Path:
        """The file that matches a pattern, once it is complete; it is then moved out of the way of the next."""

        def complete() -> Path | None:
            unfinished = [file for ending in UNFINISHED for file in self.downloads.glob(f"*{ending}")]
            files = [file for file in self.downloads.glob(pattern) if file.stat().st_size and file not in unfinished]
            return files[0] if files and not unfinished else None

        found = self.until(complete, f"no {pattern} was saved")
        folder = self.folder / f"saved-{time.monotonic_ns()}"
        folder.mkdir()
        return found.rename(folder / found.name)

    def until(self, ask: Callable[[], Any], otherwise: str, seconds: float = PATIENCE) -> Any:
        """Ask again and again until the answer is true; after so long, fail with these words."""
        end = time.monotonic() + seconds
        while not (answer := ask()):
            assert time.monotonic() < end, f"{otherwise} ({self.name}, after {seconds:.0f} s)"
            self.wait(0.05)
        return answer

    def wait(self, seconds: float) -> None:
        """Let the browser go on for so long."""
        time.sleep(seconds)

    def launch(self, *command: str, **options: Any) -> None:
        """Start a process that `close` ends, with all that it starts."""
        process = subprocess.Popen(command, start_new_session=True, **options)
        self._processes.append(process)

    def close(self) -> None:
        """End the browser and every process that belongs to it."""
        for process in reversed(self._processes):
            for how in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, how)
                    process.wait(10 if how == signal.SIGTERM else None)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass
        self._processes.clear()
