"""Drive a real Chromium: open every place, drag every variant in turn, discard what was measured beside other work."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from benchmarks.drag import lab
from benchmarks.drag.figures import NEAR, Figures, figures
from benchmarks.drag.noise import others
from benchmarks.drag.variants import FLOOR, NOTEBOOKS, PAGES, POINTS, POPULATE, SHOWN, Variant

PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")
MOVES, SPACING = 60, 0.016
ENDS = (30, 150)
"""Degrees: each drag goes from the nearer end to the other."""
SETTLE_SECONDS = 20
NOISE = 0.15
"""Of one core, taken by other processes: a run with more is discarded …"""
TRIES = 6
"""… and repeated, so often; then the least noisy one is kept, and the table says so."""
QUIET_SECONDS = 30
"""How long to wait for the machine to become quiet before a repeat."""
WINDOW = ViewportSize(width=1440, height=1000)
FIRST_CONTENT = """() => new Promise((found) => new PerformanceObserver((list) => {
  for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") found(startTime);
}).observe({ type: "paint", buffered: true }))"""


@dataclass(frozen=True)
class Opening:
    """Milliseconds from the start of the navigation: to the first content painted, to the first picture painted."""

    content: float
    picture: float
    noise: float


Run = TypeVar("Run", Figures, Opening)


@dataclass
class Results:
    """The kept runs of each variant, in order: the n-th runs of all of them were made in the same round."""

    drags: dict[str, list[Figures]] = field(default_factory=dict)
    openings: list[Opening] = field(default_factory=list)
    discarded: int = 0


def chromium() -> str | None:
    """The path of the system's Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


async def measure(variants: Sequence[Variant], repeats: int, *, opening: bool) -> Results:
    """Drag each variant in turn, `repeats` times round; `opening` also opens the static page once a round."""
    results = Results({variant.key: [] for variant in variants})
    places = {variant.place for variant in variants}
    notebooks = {name: cells for name, cells in NOTEBOOKS.items() if name in places}
    with tempfile.TemporaryDirectory(prefix="drag-page-") as folder:
        file = Path(folder, "explorer.html")
        if opening or not places.isdisjoint(PAGES):
            from sandbox.explorer import page

            file.write_text(page.html(), encoding="utf-8")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            with lab.running(notebooks) if notebooks else nullcontext() as server:
                opened = await _open(browser, file, server, places)
                for _ in range(repeats):
                    for variant in variants:
                        page = opened[variant.place]
                        results.drags[variant.key].append(await _quiet(results, partial(drag, page, variant)))
                    if opening:
                        results.openings.append(await _quiet(results, partial(first_paint, browser, file)))
            await browser.close()
    return results


async def _open(browser: Browser, file: Path, server: lab.Lab | None, places: Iterable[str]) -> dict[str, Page]:
    """Open each place in a page of its own, ready to be dragged."""
    opened: dict[str, Page] = {}
    for place in sorted(places):
        page = opened[place] = await browser.new_page(viewport=WINDOW)
        if server is not None and place not in PAGES:
            await server.open(page, place, SHOWN[place])
        else:
            await page.goto(f"{(FLOOR if place == 'floor' else file).as_uri()}#angle=30")
            await page.wait_for_selector(".shrinkage-explorer line[data-arrow='x-hat']", state="attached")
        if place == "population" and (taken := await page.evaluate(POPULATE)) != POINTS:
            raise RuntimeError(f"the explorer took {taken} points instead of {POINTS}")
        await page.evaluate(PROBE)
    return opened


async def _quiet(results: Results, run: Callable[[], Awaitable[Run]]) -> Run:
    """A run beside which the other processes took little, or, after so many tries, the least noisy one."""
    runs: list[Run] = []
    while True:
        runs.append(await run())
        if runs[-1].noise <= NOISE:
            return runs[-1]
        if len(runs) == TRIES:
            return min(runs, key=lambda one: one.noise)
        results.discarded += 1
        await _wait_for_quiet()


async def _wait_for_quiet() -> None:
    end = time.perf_counter() + QUIET_SECONDS
    while time.perf_counter() < end:
        with others() as now:
            await asyncio.sleep(1)
        if now.share <= NOISE / 2:
            return


async def drag(page: Page, variant: Variant) -> Figures:
    """One drag: press, 60 moves 16 ms apart whether or not the page keeps up, release; then wait for the picture."""
    await page.bring_to_front()
    plan = {**variant.plan, "moves": MOVES, "ends": ENDS}
    press, *points = await page.evaluate("plan => dragProbe.plan(plan)", plan)
    await page.mouse.move(*press)
    await page.wait_for_timeout(500)  # what the scrolling and the pointer's arrival set off
    await page.evaluate("plan => dragProbe.start(plan)", plan)
    with others() as noise:
        await page.mouse.down()
        start, moves = time.perf_counter(), []
        for number, point in enumerate(points, 1):
            await asyncio.sleep(max(0.0, start + number * SPACING - time.perf_counter()))
            moves.append(asyncio.create_task(page.mouse.move(*point)))
        await asyncio.gather(*moves)
        await page.mouse.up()
        await _settle(page)
    log = await page.evaluate("dragProbe.stop()")
    return figures(log["inputs"], log["frames"], noise.share)


async def _settle(page: Page) -> None:
    """Wait until the picture shows the last value, or it is clear that it will not."""
    end = time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < end:
        await asyncio.sleep(0.2)
        shown, asked = await page.evaluate("dragProbe.latest()")
        if shown is not None and asked is not None and abs(shown - asked) <= NEAR:
            return


async def first_paint(browser: Browser, file: Path) -> Opening:
    """Open the static page with an empty cache: nothing is subtracted, so reading the file counts too."""
    page = await browser.new_page(viewport=WINDOW)
    await page.add_init_script(f"{PROBE}\nwindow.dragOpened = dragProbe.opened();")
    with others() as noise:
        await page.goto(file.as_uri())
        picture = await page.evaluate("window.dragOpened")
    content = await page.evaluate(FIRST_CONTENT)
    await page.close()
    return Opening(content, picture, noise.share)
