"""Tables as CSV text that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress

FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""First characters that make a spreadsheet run a cell as a formula (OWASP, "CSV Injection")."""


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    r"""CSV text: a header, then the rows, with None as an empty cell.

    Names come from files and the command line. Text that a spreadsheet would run as a formula gets an apostrophe in
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
    cell = cell.replace("\r", "\n")  # the writer quotes only the second, and an unquoted \r begins a new row
    if not cell.startswith(FORMULA):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"
