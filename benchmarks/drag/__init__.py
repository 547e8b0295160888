"""Drag latency: from a change of the value in the page to the end of the first paint that shows it.

One definition for every variant, ours and the peer's (probe.js measures it, inside the page):

- The **change** is when the page handles the pointer's move, before any listener of the explorer runs. Chromium hands
  moves to the page once a frame; the wait for that is the browser's, the same for all, and not counted.
- What a frame **shows** is read from the picture itself, never from a model: from the end point of the drawn arrow; for
  matplotlib's image, from a strip of cells painted into its corner that spell the angle in binary.
- It **is painted** when the first task after the frame's paint runs: in every frame an invisible mark changes its
  size, its ResizeObserver reads the picture after all frame callbacks and layout, and posts a message over a
  MessageChannel. (A matplotlib image is read once. Painting the strip and reading it takes some 3 ms each; both count
  against the peer, at 1 or 2 % of its latency.)
- A drag is a press, 60 real mouse moves sent 16 ms apart whether or not the page keeps up, and a release.

Variants alternate; each figure is the median, over the runs, of that figure of one drag, the first (cold) one included.
A run beside which other processes took more than 15 % of a core is discarded and repeated.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Iterator
from importlib.util import find_spec

REPEATS = 4
OPENING = "opening"


def claims(repeats: int = REPEATS, only: Collection[str] = ()) -> Iterator[bool]:
    """Measure, print the table, print and give each claim; without Chromium say so and exit with status 2."""
    absent = [name for name in ("playwright", "jupyterlab", "ipywidgets", "anywidget", "psutil") if not find_spec(name)]
    if absent:
        _give_up(f"not installed: {', '.join(absent)}")
    from playwright.async_api import Error as BrowserError

    from benchmarks.drag import drive, verdict
    from benchmarks.drag.figures import NotShown
    from benchmarks.drag.lab import LabError
    from benchmarks.drag.variants import VARIANTS

    if drive.chromium() is None:
        _give_up("no Chromium found (looked for chromium and chromium-browser): apt-get install chromium")
    chosen = [variant for variant in VARIANTS if not only or variant.key in only]
    try:
        results = asyncio.run(drive.measure(chosen, repeats, opening=not only or OPENING in only))
    except (LabError, NotShown, BrowserError) as error:
        _give_up(str(error).partition("\nCall log")[0])
    print(verdict.table(results), flush=True)
    yield from verdict.claims(results)


def _give_up(why: str) -> None:
    print(f"the benchmark of drag latency cannot run: {why}", file=sys.stderr)
    sys.exit(2)
