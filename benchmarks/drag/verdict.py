"""The table of all variants, and the claims on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.drag.drive import NOISE, Results
from benchmarks.drag.figures import Figures
from benchmarks.drag.variants import OWN, POINTS, VARIANTS
from benchmarks.timing import claim


def table(results: Results) -> str:
    """Each variant's figures: the median of its runs, and in brackets the worst of them."""
    lines = [
        f"{'variant':42}{'median, ms':>17}{'p95, ms':>17}{'frames/s':>15}{'lag at end, ms':>17}"
        f"{'values':>8}{'skipped':>8}{'runs':>6}{'noise':>7}"
    ]
    for variant in VARIANTS:
        if not (runs := results.drags.get(variant.key)):
            continue

        def cell(name: str, worst: Callable[[list[float]], float] = max, runs: list[Figures] = runs) -> str:
            values = [getattr(run, name) for run in runs]
            return f"{median(values):.1f} ({worst(values):.1f})"

        noise = max(run.noise for run in runs)
        lines.append(
            f"{variant.title:42}{cell('median'):>17}{cell('p95'):>17}{cell('rate', min):>15}{cell('lag'):>17}"
            f"{sum(run.values for run in runs):>8}{sum(run.skipped for run in runs):>8}{len(runs):>6}"
            f"{noise:>6.0%}{'!' if noise > NOISE else ' '}"
        )
    if results.openings:
        content, picture = (median(getattr(run, name) for run in results.openings) for name in ("content", "picture"))
        lines.append(
            f"static page, from the navigation's start: first content {content:.0f} ms, picture {picture:.0f} ms"
        )
    lines.append(f"each figure: median of the runs (worst run); {results.discarded} noisy runs discarded and repeated")
    noisy = [run for runs in (*results.drags.values(), results.openings) for run in runs if run.noise > NOISE]
    if noisy:
        lines.append(
            f"! {len(noisy)} kept runs are noisy: the machine did not become quiet, take their figures as worse"
        )
    return "\n".join(lines)


def claims(results: Results) -> Iterator[bool]:
    """Print and yield each claim whose variants were measured."""
    drags = {key: runs for key, runs in results.drags.items() if runs}

    def typical(name: str) -> dict[str, float]:
        return {key: median(getattr(run, name) for run in runs) for key, runs in drags.items()}

    own = [key for key in OWN if key in drags]
    if own:
        for name, what, limit in (
            ("median", "change to paint, median, ms", 6),
            ("p95", "change to paint, 95th percentile, ms", 11),
            ("rate", "frames a second while dragging", 55),
            ("lag", "last change to its paint, ms: within one frame", 17),
        ):
            at_least = name == "rate"
            values = typical(name)
            worst = (min if at_least else max)(own, key=values.__getitem__)
            text = f"drag: own handles, {what} (worst of {len(own)}: {worst})"
            yield claim(text, values[worst], limit, at_least=at_least)
    if "floor" in drags and "page-tip" in drags:
        ratios = [ours.median / floor.median for ours, floor in zip(drags["page-tip"], drags["floor"], strict=True)]
        yield claim("drag: page-tip, times the floor, a page that moves one line", median(ratios), 3)
    if "lab-linked" in drags:
        value = typical("median")["lab-linked"]
        yield claim("drag: linked ipywidgets slider, change to paint, median, ms", value, 25)
    if "peer" in drags:
        for key in ("lab-tip", "lab-slider"):
            if key in drags:
                ratios = [peer.median / ours.median for peer, ours in zip(drags["peer"], drags[key], strict=True)]
                text = f"drag: {key}, times faster than interact + matplotlib"
                yield claim(text, median(ratios), 30, at_least=True)
    if "population" in drags:
        value = typical("rate")["population"]
        yield claim(f"drag: population of {POINTS:,} points, frames a second", value, 30, at_least=True)
    if results.openings:
        value = median(max(opening.content, opening.picture) for opening in results.openings)
        yield claim("static page: first paint that shows the picture, ms from the navigation's start", value, 300)
