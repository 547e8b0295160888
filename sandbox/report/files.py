"""Reports for scripts: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from sandbox.report.report import Report


def to_json(reports: Sequence[Report]) -> str:
    """All reports as JSON text: `{"saes": [...]}`; an undefined value is null, with its reason.

    What a library would print as nan or inf is the text "nan" or "inf", for which JSON has no number.
    """
    return json.dumps({"saes": [report.to_dict() for report in reports]}, indent=2, allow_nan=False)


def to_csv(reports: Iterable[Report]) -> str:
    """All reports as CSV text, a row for each SAE, origin and measure.

    Origins are those of ORIGINS, `statistics`, either with `without_outliers` before it where there are outliers, and
    `published` with the name of a library.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "tokens", "documents", "l0", "origin", "measure", "value", "low", "high", "reason"))
    for report in reports:
        for before, one in (("", report), ("without_outliers ", report.without_outliers)):
            if one is None:
                continue
            facts = (report.name, one.tokens, report.documents, one.l0)
            for origin, estimates in {**one.origins, "statistics": one.per_token}.items():
                for key, found in estimates.items():
                    row = (before + origin, key, found.value, found.low, found.high, found.reason)
                    writer.writerow((*facts, *row))
        facts = (report.name, report.tokens, report.documents, report.l0)
        for library, printed in report.published.items():
            for key, value in printed.items():
                writer.writerow((*facts, f"published {library}", key, value, None, None, None))
    return text.getvalue()
