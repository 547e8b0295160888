"""Tables as CSV text that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from unicodedata import category, normalize

FORMULA = frozenset("=+-@")
"""First characters that make a spreadsheet run a cell as a formula (OWASP, "CSV Injection"), as NFKC writes them.

NFKC maps the full-width and small forms to these, which some spreadsheets do, too.
"""

UNSEEN = ("Zs", "Zl", "Zp", "Cf")
"""Unicode categories that spreadsheets may strip before they look for a formula: spaces, and marks such as a BOM."""


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    r"""CSV text: a header, then the rows, with None as an empty cell.

    Names come from files and the command line. Text that a spreadsheet might run as a formula gets an apostrophe in
    front; numbers stay as they are.

    >>> csv_text(("name", "value"), [("relu", -0.5), ("=1+2", None)])
    "name,value\nrelu,-0.5\n'=1+2,\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue()


def _inert(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\r", "\n")  # a \r begins a new row, too, but before Python 3.13 the writer leaves it unquoted
    if not _may_run(cell):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"


def _may_run(text: str) -> bool:
    """Whether text begins like a formula, or with a control character, which spreadsheets strip or act on."""
    first = next((character for character in text if category(character) not in UNSEEN), "")
    return bool(first) and (category(first) == "Cc" or normalize("NFKC", first) in FORMULA)
