"""How points are told apart: an architecture by colour and by shape, a seed by how its marker is filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.plots.style import INK, _plain
from sandbox.report.points import Point
from sandbox.sae.sweep.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class Look(NamedTuple):
    """Of an architecture: its name in words, one of Okabe and Ito's colours, and a matplotlib marker."""

    words: str
    colour: str
    marker: str


COLOURS = {
    "relu": ("#D55E00", "o"),
    "gated": ("#0072B2", "s"),
    "gated_saelens": ("#E69F00", "D"),
    "jumprelu": ("#000000", "^"),
    "topk": ("#CC79A7", "v"),
}
MORE = (("#56B4E9", "P"), ("#009E73", "X"), ("#F0E442", "p"))  # for architectures that are none of the sweep's own
FILLS = ("full", "none", "left", "top", "right", "bottom")


def looks(points: Sequence[Point]) -> dict[str, Look]:
    """The look of each architecture that there is, in the order of the legend."""
    seen = {point.architecture for point in points}
    others = sorted(seen - set(COLOURS))
    given = COLOURS | {key: MORE[i % len(MORE)] for i, key in enumerate(others)}
    words = {key: one.words for key, one in ARCHITECTURES.items()}
    return {key: Look(_plain(words.get(key, key)), *look) for key, look in given.items() if key in seen}


def fills(points: Sequence[Point]) -> dict[int, str]:
    """How the marker of each seed is filled; a seventh seed looks like the first again."""
    return {seed: FILLS[i % len(FILLS)] for i, seed in enumerate(sorted({point.seed for point in points}))}


def marker(shape: str, colour: str, fill: str) -> dict[str, Any]:
    """Arguments of a line that draw its markers; what is hollow is white, so that no line shows through."""
    inside = {"markerfacecolor": "white"} if fill == "none" else {"fillstyle": fill, "markerfacecoloralt": "white"}
    return {"color": colour, "marker": shape, "markersize": 4.2, "markeredgewidth": 0.9} | inside


def handles(points: Sequence[Point]) -> list[Line2D]:
    """Entries of a legend: each architecture and, where there are several, each seed."""
    from matplotlib.lines import Line2D

    shown = [
        Line2D([], [], linewidth=0.9, label=look.words, **marker(look.marker, look.colour, "full"))
        for look in looks(points).values()
    ]
    seeds = fills(points)
    if len(seeds) > 1:
        shown += [
            Line2D([], [], linestyle="none", label=f"seed {seed}", **marker("o", INK, fill))
            for seed, fill in seeds.items()
        ]
    return shown
