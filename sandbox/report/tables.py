"""Reports as tables: for a terminal (rich), for a notebook (HTML), several SAEs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape as html_escape
from io import StringIO

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from sandbox.measures import REGISTRY
from sandbox.moments import BLOCK, STRETCH
from sandbox.report.estimates import Estimate
from sandbox.report.report import ORIGINS, Report

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
    "Ours are of all tokens together. The libraries take ratios batch by batch, and their mean. SAEBench's explained\n"
    "variance depends on the scale of x; dictionary_learning's takes the mean of x − x̂ away, and with it a wrong bias."
)

COMPARED = ("relative_reconstruction_bias", "scale_x", "norm_ratio", "cosine", "relative_loss", "length_loss")


WORDY, WIDE = 160, 125  # columns that the table needs with what 1 means in it, and without


def measures(report: Report, width: int = WORDY) -> Table:
    """Each measure from each origin, with 95 % intervals.

    Args: width: of the screen: what 1 means is left out below WORDY, and the origins have rows of their own below WIDE
    """
    narrow, wordy = width < WIDE, width >= WORDY
    title = f"[bold]{escape(report.name)}[/]  {escape(report.facts())}"
    table = Table(title=title, title_justify="left", pad_edge=False)
    typical = report.without_outliers
    if narrow:
        headers = ["measure", "", "origin", "value", "95 % interval"]
    else:
        headers = ["measure", "", *(h for origin in report.origins for h in (ORIGINS[origin], "95 % interval"))]
        headers += ["1 means"] * wordy
    for header in headers:
        number = header == "value" or header in ORIGINS.values()
        table.add_column(header, justify="right" if number else "left", no_wrap=header != "1 means")
    for key, measure in REGISTRY.items():
        for one, label in ((report, key), *([(typical, "  without outliers")] if typical else [])):
            plain = measure.plain if one is report else ""
            if narrow:
                for i, (origin, estimates) in enumerate(one.origins.items()):
                    table.add_row(*((label, plain) if not i else ("", "")), ORIGINS[origin], *cells_of(estimates[key]))
            else:
                cells = (cell for estimates in one.origins.values() for cell in cells_of(estimates[key]))
                table.add_row(label, plain, *cells, *[measure.at_one if one is report else ""] * wordy)
    table.caption = "\n".join(_reasons(report)) or None
    table.caption_justify = "left"
    return table


def statistics(report: Report, width: int = WORDY) -> Table:
    """Statistics per token, and what the evaluation libraries would print for the same tokens.

    Args: width: of the screen: below WIDE each library has a row of its own
    """
    batch = f"batches of {report.published_batch:,} tokens"
    batch += ", outliers and all" if report.outliers and report.outliers["excluded"] else ""
    table = Table(title=f"Per token, and as published ({batch})" if report.published else "Per token", pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    narrow = width < WIDE
    headers = ("statistic", "", "value", "95 % interval") if narrow else ("statistic", "", "ours", "95 % interval")
    for header in (*headers, *([] if narrow else report.published)):
        number = header in ("ours", "value") or header in report.published
        table.add_column(header, justify="right" if number else "left", no_wrap=True)
    ours = {"relative_reconstruction_bias": report.raw["relative_reconstruction_bias"], **report.per_token}
    for key, (words, theirs) in PUBLISHED_AS.items():
        if key not in ours:
            continue
        printed = {library: held.get(theirs.get(library, key)) for library, held in report.published.items()}
        known = {library: f"{value:.4f}" for library, value in printed.items() if value is not None}
        if narrow:
            table.add_row(key, "ours" if known else "", *cells_of(ours[key]))
            for library, value in known.items():
                table.add_row("", library, value, "")
        else:
            table.add_row(key, words, *cells_of(ours[key]), *(known.get(library, "—") for library in printed))
    table.caption = WHY_THEY_DIFFER if report.published else None
    return table


def comparison(reports: Sequence[Report]) -> Table:
    """Several SAEs on the same activations, a row each: L0, and the measures that tell them apart."""
    table = Table(title=f"{len(reports)} SAEs, raw, ± half a 95 % interval", title_justify="left", pad_edge=False)
    for header in ("SAE", "L0", *(REGISTRY[key].plain for key in COMPARED)):
        table.add_column(header, justify="left" if header == "SAE" else "right", overflow="fold")
    for report in reports:
        l0 = "—" if report.l0 is None else f"{report.l0:.1f}"
        table.add_row(escape(report.name), l0, *(plus_minus(report.raw[key]) for key in COMPARED))
    return table


def as_text(report: Report) -> str:
    """Both tables and the sentence."""
    text = StringIO()
    console = Console(file=text, width=WORDY + 15)
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


def _reasons(report: Report) -> list[str]:
    """A line for each reason why something is undefined, with the measures that it holds for."""
    lines = []
    for origin, estimates in report.origins.items():
        keys: dict[str, list[str]] = {}
        for key, one in estimates.items():
            if one.reason:
                keys.setdefault(one.reason, []).append(key)
        lines += [f"{ORIGINS[origin]}, {reason}: {', '.join(held)}" for reason, held in keys.items()]
    return lines


def cells_of(one: Estimate) -> tuple[str, str]:
    """Its value and its interval."""
    value = "undefined" if one.value is None else f"{one.value:.4f}"
    return value, "—" if one.low is None or one.high is None else f"{one.low:.4f} … {one.high:.4f}"


def plus_minus(one: Estimate, digits: int = 3) -> str:
    """The value and half of its interval."""
    if one.value is None:
        return "undefined"
    shown = f"{one.value:.{digits}f}"
    return shown if one.low is None or one.high is None else f"{shown} ± {(one.high - one.low) / 2:.{digits}f}"
