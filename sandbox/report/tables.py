"""Reports as tables: for a terminal (rich), for a notebook (HTML), several SAEs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape as html_escape
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import BLOCK, STRETCH
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.layout import PRINTED, fitting, number, stacked, table
from sandbox.system.terminal import Screen

if TYPE_CHECKING:
    from sandbox.report.report import Report

PUBLISHED_AS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "relative_reconstruction_bias": ("pooled b/c", {}),
    "l2_ratio": ("mean of ‖x̂‖/‖x‖", {}),
    "cossim": ("mean of cosines", {}),
    "explained_variance": ("1 − Σ‖x−x̂‖²/Σ‖x−x̄‖²", {"dictionary_learning": "frac_variance_explained"}),
    "l0": ("nonzero latents a token", {}),
    "norm_slope": ("of ‖x̂‖ on ‖x‖", {}),
    "norm_intercept": ("of that line", {}),
}
"""What is shown beside the libraries' figures: our words for it, and the libraries' names where they differ."""

WHY_THEY_DIFFER = (
    "Ours are of all tokens together. The libraries take ratios batch by batch, and their mean. SAEBench's explained "
    "variance depends on the scale of x; dictionary_learning's takes the mean of x − x̂ away, and with it a wrong bias."
)

WITHOUT = "  without outliers"

COMPARED = ("relative_reconstruction_bias", "scale_x", "norm_ratio", "cosine", "relative_loss", "length_loss")


WORDY = 160
"""Columns from which what 1 means is shown, too."""


def measures(report: Report, width: int = WORDY) -> Table:
    """Each measure from each origin, with 95 % intervals.

    Args: width: of the screen: what 1 means is left out below WORDY; where it is narrower than the table, the origins
          have rows of their own
    """
    wide = partial(_wide_measures, report, width >= WORDY)
    return fitting(width, wide, partial(_narrow_measures, report), partial(_stacked_measures, report))


def _wide_measures(report: Report, wordy: bool) -> Table:
    headers = ["measure", "", *(h for origin in report.origins for h in (ORIGINS[origin], "95 % interval"))]
    rows = (
        (
            key if tokens is report else WITHOUT,
            measure.plain if tokens is report else "",
            *(cell for estimates in tokens.origins.values() for cell in cells_of(estimates[key])),
            *[measure.at_one if tokens is report else ""] * wordy,
        )
        for key, measure in REGISTRY.items()
        for tokens in (report, report.without_outliers)
        if tokens
    )
    headers += ["1 means"] * wordy
    return table(_title(report), headers, rows, ORIGINS.values(), wrapped=["1 means"], caption=_reasons(report))


def _narrow_measures(report: Report) -> Table:
    def rows() -> Iterator[tuple[str, ...]]:
        for key, measure in REGISTRY.items():
            for i, (origin, label, estimate) in enumerate(_every_origin(report, key)):
                names = (WITHOUT, "") if label and origin == next(iter(report.origins)) else ("", "")
                yield *((key, measure.plain) if not i else names), ORIGINS[origin], *cells_of(estimate)

    headers = ("measure", "", "origin", "value", "95 % interval")
    return table(_title(report), headers, rows(), right=["value"], caption=_reasons(report))


def _stacked_measures(report: Report) -> Table:
    groups = (
        (
            f"{key}  {measure.plain}",
            [(ORIGINS[origin] + label, *cells_of(one)) for origin, label, one in _every_origin(report, key)],
        )
        for key, measure in REGISTRY.items()
    )
    return stacked(_title(report), ("measure", "value", "95 % interval"), groups, _reasons(report))


def _every_origin(report: Report, key: str) -> Iterator[tuple[str, str, Estimate]]:
    """The origin, what tokens these are, and the estimate."""
    for label, one in (("", report), (WITHOUT, report.without_outliers)):
        for origin, estimates in (one.origins if one else {}).items():
            yield origin, label, estimates[key]


def statistics(report: Report, width: int = WORDY) -> Table:
    """Statistics per token, and what the evaluation libraries would print for the same tokens.

    Args: width: of the screen: where it is narrower than the table, each library has a row of its own
    """
    return fitting(width, partial(_wide_statistics, report), partial(_stacked_statistics, report))


def _wide_statistics(report: Report) -> Table:
    rows = (
        (key, words, *cells_of(ours), *(known.get(library, "—") for library in report.published))
        for key, words, ours, known in _statistics(report)
    )
    headers = ("statistic", "", "ours", "95 % interval", *report.published)
    caption = WHY_THEY_DIFFER if report.published else None
    return table(_statistics_title(report), headers, rows, right=["ours", *report.published], caption=caption)


def _stacked_statistics(report: Report) -> Table:
    groups = (
        (key, [("ours", *cells_of(one)), *((library, value, "") for library, value in known.items())])
        for key, _, one, known in _statistics(report)
    )
    caption = WHY_THEY_DIFFER if report.published else None
    return stacked(_statistics_title(report), ("statistic", "value", "95 % interval"), groups, caption)


def _statistics_title(report: Report) -> str:
    batch = f"batches of {report.published_batch:,} tokens"
    batch += ", outliers and all" if report.outliers and report.outliers["excluded"] else ""
    return f"Per token, and as published ({batch})" if report.published else "Per token"


def _statistics(report: Report) -> Iterator[tuple[str, str, Estimate, dict[str, str]]]:
    """The name of each statistic, what it is, ours, and what each library that has it would print."""
    ours = {"relative_reconstruction_bias": report.raw["relative_reconstruction_bias"], **report.per_token}
    for key, (words, theirs) in PUBLISHED_AS.items():
        if key in ours:
            printed = {library: held.get(theirs.get(library, key)) for library, held in report.published.items()}
            yield key, words, ours[key], {k: number(value) for k, value in printed.items() if value is not None}


def comparison(reports: Sequence[Report], width: int = WORDY) -> Table:
    """Several SAEs on the same activations: L0, and the measures that tell them apart.

    Args: width: of the screen: where it is narrower than a row for each SAE, each measure has one
    """
    return fitting(width, partial(_wide_comparison, reports), partial(_stacked_comparison, reports))


def _wide_comparison(reports: Sequence[Report]) -> Table:
    headers = ("L0", *(REGISTRY[key].plain for key in COMPARED))
    rows = ((escape(report.name), *_compared(report)) for report in reports)
    return table(_comparison_title(reports), ("SAE", *headers), rows, right=headers)


def _stacked_comparison(reports: Sequence[Report]) -> Table:
    headers = ("L0", *(REGISTRY[key].plain for key in COMPARED))
    groups = ((report.name, zip(headers, _compared(report), strict=True)) for report in reports)
    return stacked(_comparison_title(reports), ("SAE", "value"), groups)


def _comparison_title(reports: Sequence[Report]) -> str:
    return f"{len(reports)} SAEs, raw, ± half a 95 % interval"


def _compared(report: Report) -> Iterator[str]:
    """L0, and each measure of COMPARED."""
    yield "—" if report.l0 is None else f"{report.l0:.1f}"
    yield from (plus_minus(report.raw[key]) for key in COMPARED)


def _title(report: Report) -> str:
    return f"[bold]{escape(report.name)}[/]  {escape(report.facts())}"


def as_text(report: Report) -> str:
    """Both tables and the sentence."""
    text = StringIO()
    console = Screen(file=text, width=PRINTED)
    show(report, console)
    return text.getvalue()


def show(report: Report, console: Console) -> None:
    """Both tables and the sentence."""
    if report.description:
        console.print(report.description, highlight=False, markup=False)
    for line in _warnings(report):
        console.print(line, highlight=False, markup=False)
    console.print(measures(report, console.width))
    if report.statistics:
        console.print(statistics(report, console.width))
    if report.documents is None:
        console.print(
            f"Without document ids, stretches of up to {BLOCK * STRETCH} tokens are the clusters: "
            "where documents are longer, intervals are too narrow."
        )
    console.print(report.in_words(), highlight=False, markup=False)


def as_html(report: Report) -> str:
    """Both tables, for a notebook."""
    tables = [measures(report), *([statistics(report)] if report.statistics else [])]
    said = "".join(f"<p>{html_escape(line)}</p>" for line in _warnings(report))
    return said + "".join(_html(table) for table in tables)


def _warnings(report: Report) -> list[str]:
    return [f"Warning: {finding['message']}." for finding in report.findings]


def _html(table: Table) -> str:
    head = "".join(f"<th>{html_escape(str(column.header))}</th>" for column in table.columns)
    rows = ""
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = (_cell(str(cell), column) for cell, column in zip(row, table.columns, strict=True))
        rows += f"<tr>{''.join(cells)}</tr>"
    title = html_escape(Text.from_markup(str(table.title)).plain)
    caption = f"<p>{html_escape(str(table.caption))}</p>" if table.caption else ""
    return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{caption}"


def _cell(text: str, column: Column) -> str:
    style = f"text-align:{column.justify};white-space:{'nowrap' if column.no_wrap else 'normal'}"
    return f"<td style='{style}'>{html_escape(text)}</td>"


def _reasons(report: Report) -> str | None:
    """A line for each reason why a measure is undefined, with the measures that it holds for."""
    lines = []
    for origin, estimates in report.origins.items():
        keys: dict[str, list[str]] = {}
        for key, one in estimates.items():
            if one.reason:
                keys.setdefault(one.reason, []).append(key)
        lines += [f"{ORIGINS[origin]}, {reason}: {', '.join(held)}" for reason, held in keys.items()]
    return "\n".join(lines) or None


def cells_of(one: Estimate) -> tuple[str, str]:
    """Its value and its interval."""
    value = "undefined" if one.value is None else number(one.value)
    return value, "—" if one.low is None or one.high is None else f"{number(one.low)} … {number(one.high)}"


def plus_minus(one: Estimate, digits: int = 3) -> str:
    """The value and half of its interval."""
    if one.value is None:
        return "undefined"
    shown = f"{one.value:.{digits}f}"
    return shown if one.low is None or one.high is None else f"{shown} ± {(one.high - one.low) / 2:.{digits}f}"
