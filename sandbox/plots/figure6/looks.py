"""How points differ: architectures by colour and shape, seeds by concentric rings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.plots.style import INK, plain_name
from sandbox.report.points import Point
from sandbox.training.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class Look(NamedTuple):
    """An architecture's name in words, its colour (of Okabe and Ito's) and its matplotlib marker."""

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
MORE = (("#56B4E9", "P"), ("#009E73", "X"), ("#F0E442", "p"))  # for architectures other than the sweep's own
SIZE, RING = 3.4, 2.2  # points: the first seed's marker, and how much wider each further one is
SEEDS = 6  # with distinct rings


def looks(points: Sequence[Point]) -> dict[str, Look]:
    """The look of each architecture among the points, in the order of the legend."""
    seen = {point.architecture for point in points}
    others = sorted(seen - set(COLOURS))
    all_looks = COLOURS | {key: MORE[i % len(MORE)] for i, key in enumerate(others)}
    words = {key: architecture.words for key, architecture in ARCHITECTURES.items()}
    return {key: Look(plain_name(words.get(key, key)), *look) for key, look in all_looks.items() if key in seen}


def rings(points: Sequence[Point]) -> dict[int, int]:
    """The ring of each seed: 0 is the filled marker in the middle; a seventh seed looks like the first again."""
    return {seed: i % SEEDS for i, seed in enumerate(sorted({point.seed for point in points}))}


def marker(shape: str, colour: str, ring: int) -> dict[str, Any]:
    """Keyword arguments that draw a filled marker or a ring.

    Seeds often differ by less than the width of a marker; a ring encloses the marker it would otherwise hide.
    """
    style = {"color": colour, "marker": shape, "markersize": SIZE + RING * ring, "markeredgewidth": 0.8}
    return style | {"fillstyle": "none" if ring else "full"}


def handles(points: Sequence[Point], more: Mapping[str, str] | None = None) -> list[Line2D]:
    """Legend entries: each architecture, with `more` words by key, and each seed if there are several."""
    from matplotlib.lines import Line2D

    shown = [
        Line2D([], [], linewidth=0.9, label=look.words + (more or {}).get(key, ""), **_in_legend(look))
        for key, look in looks(points).items()
    ]
    seeds = rings(points)
    if len(seeds) > 1:
        shown += [
            Line2D([], [], linestyle="none", label=f"seed {seed}", **marker("o", INK, ring))
            for seed, ring in seeds.items()
        ]
    return shown


def _in_legend(look: Look) -> dict[str, Any]:
    return marker(look.marker, look.colour, 0) | {"markersize": 4.5}
