"""Reports for scripts: JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from sandbox.report.csv_text import csv_text
from sandbox.report.differences import WITHOUT_OUTLIERS, known_differences
from sandbox.report.report import Report

COLUMNS = ("name", "tokens", "documents", "l0", "origin", "measure", "value", "low", "high", "reason")


def to_json(reports: Sequence[Report]) -> str:
    """All reports as JSON text: `{"saes": [...], "differences": [...]}`; an undefined value is null, with its reason.

    Differences (`sandbox.report.differences`) are from the first SAE; the list is empty for a single one.
    If a library would print nan or inf, the value is the string "nan" or "inf", because JSON has no such numbers.
    """
    entries = {
        "saes": [report.to_dict() for report in reports],
        "differences": [difference.to_dict() for difference in known_differences(reports)],
    }
    return json.dumps(entries, indent=2, allow_nan=False)


def to_csv(reports: Iterable[Report]) -> str:
    """All reports as CSV text, one row per SAE, origin and measure, with the columns COLUMNS.

    The origin is a key of ORIGINS, `statistics`, or `law` (what the training penalty explains); the rows of the same
    without outliers, if there are any, prefix it with `without_outliers`. For a band of principal components, it is
    `components` and their ranks; for a library, `published` and the library's name. The last rows, whose origin is
    prefixed with `difference`, are the named SAE's value minus that of the file's first SAE.
    """
    reports = list(reports)
    rows = [row for report in reports for row in _rows(report)]
    rows += [row for report in reports[1:] for row in _difference_rows(report, reports[0])]
    return csv_text(COLUMNS, rows)


def _rows(report: Report) -> Iterator[Sequence[object]]:
    for prefix, part in (("", report), (WITHOUT_OUTLIERS, report.without_outliers)):
        if part is None:
            continue
        facts = (report.name, part.tokens, report.documents, part.l0)
        law = {} if part.law is None else {"law": {key: estimate for key, (_, estimate) in part.law.rows().items()}}
        for origin, estimates in {**part.by_origin, "statistics": part.per_token, **law}.items():
            for key, estimate in estimates.items():
                yield (*facts, prefix + origin, key, estimate.value, estimate.low, estimate.high, estimate.reason)
    facts = (report.name, report.tokens, report.documents, report.l0)
    if report.directions:
        documents = None if report.directions.blocks else report.directions.measured
        bands = {band.name: band for band in report.directions.bands} | {"all": report.directions.whole}
        for name, band in bands.items():
            facts = (report.name, int(band.moments.n), documents, None)  # L0 is that of all documents
            origin = f"components {name}"
            for key, estimate in band.estimates.items():
                yield (*facts, origin, key, estimate.value, estimate.low, estimate.high, estimate.reason)
            for key, share in report.directions.shares(band).items():
                yield (*facts, origin, f"share_of_{key}", share, None, None, None)
    facts = (report.name, report.tokens, report.documents, report.l0)
    for library, printed in report.published.items():
        for key, value in printed.items():
            yield (*facts, f"published {library}", key, value, None, None, None)


def _difference_rows(report: Report, reference: Report) -> Iterator[Sequence[object]]:
    for difference in known_differences([reference, report]):
        part = report.without_outliers if difference.origin.startswith(WITHOUT_OUTLIERS) else report
        facts = (report.name, part.tokens if part else None, report.documents, part.l0 if part else None)
        estimate, origin = difference.estimate, f"difference {difference.origin}"
        yield (*facts, origin, difference.measure, estimate.value, estimate.low, estimate.high, estimate.reason)
