"""The house style: colours, figures to draw on, legends, and files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import InputError
from sandbox.system.files import written_whole
from sandbox.system.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#333333", "#999999"
OF_X, OF_X_HAT = "#0072B2", "#D55E00"  # Okabe and Ito's colours, distinguishable without red and green
L0 = "L0: active latents per token"
LOCI = {"relative_reconstruction_bias": "#009E73", "scale_x": "#CC79A7", "norm_ratio": "#56B4E9"}
SAES = ("#D55E00", "#0072B2", "#E69F00", "#000000")
MARKERS = "osD^v"
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "font.size": 9.5,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.dpi": 160,
}
COLUMN: Any = STYLE | {
    "axes.titlesize": 8.5,
    "font.size": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.3,
    "legend.columnspacing": 1.2,
}
"""STYLE for a column of a paper, 3.4 inches wide: drawn at its final size, so no text is scaled too small."""

AS_TEXT: Any = {"svg.hashsalt": "sandbox", "svg.fonttype": "none", "pdf.fonttype": 42}
"""Text in vector files stays searchable; a fixed salt makes the ids in an SVG repeatable."""

WITHOUT_DATE = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

LONGEST = 60
"""The most letters of a name in a figure; a longer name loses its middle."""


@contextmanager
def figure(
    width: float, height: float, columns: int = 1, heights: Sequence[float] = (1,), style: Any = STYLE
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure in the house style and its axes, row by row; it needs no screen.

    Args: width, height: inches; heights: relative heights of the rows; style: STYLE or COLUMN
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(style):
        made = Figure((width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made, list(made.subplots(len(heights), columns, squeeze=False, height_ratios=heights).flat)


def check_format(path: str | Path) -> None:
    """Raise InputError for a file that is not a .png, .svg or .pdf."""
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path}: a plot is written as .png, .svg or .pdf; its ending is {path.suffix or 'missing'}")


def save(made: Figure, path: str | Path, dpi: float | None = None) -> None:
    """Write a figure as .png, .svg or .pdf, whole or not at all, with repeatable bytes.

    Args: dpi: of a .png; by default the style's
    """
    from matplotlib import rc_context

    check_format(path)
    with (
        written_whole(path) as beside,
        rc_context(AS_TEXT if dpi is None else AS_TEXT | {"savefig.dpi": dpi}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name may use letters that no font here has
        # In memory first: when the disk is full, Matplotlib leaves the file open with its buffer unwritten.
        drawn, ending = BytesIO(), Path(path).suffix
        made.savefig(drawn, format=ending.removeprefix("."), metadata=WITHOUT_DATE[ending])
        beside.write_bytes(drawn.getvalue())


def axes_or_current(ax: Axes | None) -> Axes:
    """`ax`, or matplotlib's current axes."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.gca()


def plain_name(name: str) -> str:
    """A name to draw: shortened, with `$` and control characters escaped, since a folder may have any name."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"
    return visible(short).replace("$", r"\$")


def cycled(values: Sequence[str]) -> Iterator[str]:
    """The values, over and over."""
    while True:
        yield from values


def sae_looks() -> Iterator[tuple[str, str]]:
    """A colour and a marker for each SAE of a figure: when the colours repeat, the marker changes."""
    for marker in cycled(MARKERS):
        for colour in SAES:
            yield colour, marker


def legend_below(ax: Axes, gap: float = 0.14, columns: int = 1) -> None:
    """A legend below the axes, `gap` of their height away."""
    ax.legend(loc="upper left", bbox_to_anchor=(0, -gap), borderaxespad=0, ncols=columns)


def message(ax: Axes, words: str) -> None:
    """Words in the middle of axes that have nothing to show."""
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=INK, wrap=True)
