"""Tables that fit the screen: the widest layout that it has room for, so that no value is ever cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PRINTED = 120
"""Width of a table in a string, in columns of characters."""


def natural_width(table: Table) -> int:
    """The width of the table with nothing in it wrapped or cut."""
    return Console(width=10_000).measure(table).maximum


def fitting(width: int, *candidates: Callable[[], Table]) -> Table:
    """The first layout that fits, with or without lines between its columns, else the last; list the widest first."""
    for candidate in candidates:
        table = candidate()
        if natural_width(table) <= width:
            return table
        table.box, table.padding = SIMPLE_HEAD, (0, 1, 0, 0)
        if natural_width(table) <= width:
            break
    return table


def table(
    title: str,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[str] = (),
    wrapped: Collection[str] = (),
    caption: str | None = None,
) -> Table:
    """A table in the house style: title and caption on the left, no cell broken.

    Args:
        title, rows: rich markup; escape any text that comes from outside
        right:       headers of the columns to align on the right, such as numbers
        wrapped:     headers of the columns whose cells may wrap
    """
    made = Table(title=title, title_justify="left", pad_edge=False, caption=caption, caption_justify="left")
    for header in headers:
        wraps = header in wrapped
        justify = "right" if header in right else "left"
        made.add_column(header, justify=justify, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for row in rows:
        made.add_row(*row)
    return made


def stacked(
    title: str,
    headers: Sequence[str],
    groups: Iterable[tuple[str, Iterable[Sequence[str]]]],
    caption: str | None = None,
) -> Table:
    """A narrow table: each group's name has a line of its own, with the group's rows below it.

    Args:
        headers: the first is above the names of groups and rows, the second above the numbers
        groups:  the name of each group, and its rows, each a name and its cells
    """

    def rows() -> Iterator[Sequence[str]]:
        for name, members in groups:
            yield escape(name), *[""] * (len(headers) - 1)
            for label, *cells in members:
                yield f"  {escape(label)}", *cells

    return table(title, headers, rows(), right=headers[1:2], wrapped=headers[:1], caption=caption)


def number(value: float) -> str:
    """A value in at most nine characters, with four decimals unless it is very large or very small.

    >>> [number(value) for value in (0.93152, 41.59925, 1234.5678, -123456.7, 0.0, 1.234e-6, -1.2345e30)]
    ['0.9315', '41.5992', '1234.57', '-123457', '0.0000', '1.2e-06', '-1.2e+30']
    """
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    if size >= 1e6 or 0 < size < 5e-5:
        return f"{value:.1e}"
    return f"{value:.{4 if size < 100 else 2 if size < 1e4 else 0}f}"
