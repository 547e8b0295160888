"""Reports for scripts: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from sandbox.report.report import Report


def to_json(reports: Sequence[Report]) -> str:
    """All reports as JSON text: `{"saes": [...]}`; an undefined value is null, with its reason."""
    return json.dumps({"saes": [report.to_dict() for report in reports]}, indent=2, allow_nan=False)


def to_csv(reports: Iterable[Report]) -> str:
    """All reports as CSV text, a row for each SAE, origin (raw or centred) and measure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "tokens", "documents", "l0", "origin", "measure", "value", "low", "high", "reason"))
    for report in reports:
        for origin, estimates in report.origins.items():
            for key, one in estimates.items():
                facts = (report.name, report.tokens, report.documents, report.l0, origin, key)
                writer.writerow((*facts, one.value, one.low, one.high, one.reason))
    return text.getvalue()
