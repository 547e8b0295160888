"""Reports as tables: for a terminal (rich), for a notebook (HTML), and several SAEs side by side."""

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
from sandbox.report.differences import Difference, in_words, known_differences
from sandbox.report.directions import GAMMA, SHARES, Directions
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.layout import PRINTED, fitting, number, stacked, table
from sandbox.report.parts import PARTS
from sandbox.system.terminal import Screen

if TYPE_CHECKING:
    from sandbox.report.law import Law
    from sandbox.report.report import Report

PUBLISHED_AS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "relative_reconstruction_bias": ("pooled b/c", {}),
    "l2_ratio": ("mean of ‖x̂‖/‖x‖", {}),
    "shrinkage": ("the same mean, by another name", {}),
    "cossim": ("mean cosine", {}),
    "explained_variance": ("1 − Σ‖x−x̂‖²/Σ‖x−x̄‖²", {"dictionary_learning": "frac_variance_explained"}),
    "fvu": ("Σ‖x−x̂‖²/Σ‖x−x̄‖²", {}),
    "l0": ("active latents per token", {}),
    "norm_slope": ("slope of ‖x̂‖ on ‖x‖", {}),
    "norm_intercept": ("intercept of that line, not an offset", {}),
}
"""The statistics shown beside the libraries' own: our words for each, and the libraries' names if they differ."""

WHY_THEY_DIFFER = (
    "Ours are computed over all tokens at once; the libraries average the values of batches. SAEBench's explained "
    "variance depends on the scale of x; dictionary_learning's subtracts the mean error, which hides a wrong decoder "
    "bias. SAELens documents its shrinkage as '1.0 = no shrinkage', but where γ is 1, the pooled norm ratio is the "
    "cosine, below 1 for any imperfect SAE (C10, C11). sparsify's fvu adds up squares in the dtype of the activations: "
    "in float16 a Σ‖x−x̄‖² above 65,504 is infinite, and fvu is 0."
)

WHAT_THE_LINE_IS_NOT = (
    "The line of ‖x̂‖ on ‖x‖ measures neither shrinkage nor an offset: its intercept is positive where the norm ratios "
    "of tokens (their cosines, where each has a γ of 1) fall as ‖x‖ grows, and negative where they rise (C28)."
)

WHAT_RECOVERS_IT = (
    "tokens_loss is lost to the tokens' own angles. factors_loss is what each token's own best factor would recover "
    "beyond a common one. No common factor recovers either, but one factor per latent (sandbox rescale --kind "
    "per-latent) may recover some of each. length_loss is what the best common factor recovers (sandbox rescale). The "
    "measure angle_loss is the first two. There are no centred parts: each token's would need the mean of all tokens "
    "first."
)

WITHOUT = "  without outliers"

COMPARED = ("relative_reconstruction_bias", "scale_x", "norm_ratio", "cosine", "relative_loss", "length_loss")

LOST, BESIDE = "Where the loss is", ("95 % interval", "share")
"""The title of the table of parts, and the headers beside each value in it."""

WORDY = 160
"""Width from which a table also says what a value of 1 means."""


def measures(report: Report, width: int = WORDY) -> Table:
    """Each measure from each origin, with 95 % intervals.

    Args: width: of the screen; below WORDY, the table omits what 1 means, and if it is still too wide, each origin has
          a row of its own
    """
    wide = partial(_wide_measures, report, width >= WORDY)
    return fitting(width, wide, partial(_narrow_measures, report), partial(_stacked_measures, report))


def _wide_measures(report: Report, wordy: bool) -> Table:
    headers = ["measure", "", *(h for origin in report.origins for h in (ORIGINS[origin], "95 % interval"))]
    rows = (
        (
            key if part is report else WITHOUT,
            measure.plain if part is report else "",
            *(cell for estimates in part.origins.values() for cell in cells_of(estimates[key])),
            *[measure.at_one if part is report else ""] * wordy,
        )
        for key, measure in REGISTRY.items()
        for part in (report, report.without_outliers)
        if part
    )
    headers += ["1 means"] * wordy
    return table(_title(report), headers, rows, ORIGINS.values(), wrapped=["1 means"], caption=_reasons(report.origins))


def _narrow_measures(report: Report) -> Table:
    def rows() -> Iterator[tuple[str, ...]]:
        for key, measure in REGISTRY.items():
            for i, (origin, label, estimate) in enumerate(_every_origin(report, key)):
                names = (WITHOUT, "") if label and origin == next(iter(report.origins)) else ("", "")
                yield *((key, measure.plain) if not i else names), ORIGINS[origin], *cells_of(estimate)

    headers = ("measure", "", "origin", "value", "95 % interval")
    return table(_title(report), headers, rows(), right=["value"], caption=_reasons(report.origins))


def _stacked_measures(report: Report) -> Table:
    groups = (
        (
            f"{key}  {measure.plain}",
            [(ORIGINS[origin] + label, *cells_of(estimate)) for origin, label, estimate in _every_origin(report, key)],
        )
        for key, measure in REGISTRY.items()
    )
    return stacked(_title(report), ("measure", "value", "95 % interval"), groups, _reasons(report.origins))


def _every_origin(report: Report, key: str) -> Iterator[tuple[str, str, Estimate]]:
    """Every estimate of a measure, with its origin and a label that marks tokens without outliers."""
    for label, part in (("", report), (WITHOUT, report.without_outliers)):
        for origin, estimates in (part.origins if part else {}).items():
            yield origin, label, estimates[key]


def statistics(report: Report, width: int = WORDY) -> Table:
    """Our statistics, and what the evaluation libraries would print for the same tokens.

    Args: width: of the screen; if the table is wider, each library has a row of its own
    """
    return fitting(width, partial(_wide_statistics, report), partial(_stacked_statistics, report))


def _wide_statistics(report: Report) -> Table:
    rows = (
        (key, words, *cells_of(ours), *(printed.get(library, "—") for library in report.published))
        for key, words, ours, printed in _statistics(report)
    )
    headers = ("statistic", "", "ours", "95 % interval", *report.published)
    right = ["ours", *report.published]
    return table(_statistics_title(report), headers, rows, right=right, caption=_notes(report))


def _stacked_statistics(report: Report) -> Table:
    groups = (
        (key, [("ours", *cells_of(ours)), *((library, value, "") for library, value in printed.items())])
        for key, _, ours, printed in _statistics(report)
    )
    return stacked(_statistics_title(report), ("statistic", "value", "95 % interval"), groups, _notes(report))


def _notes(report: Report) -> str:
    return f"{WHY_THEY_DIFFER}\n{WHAT_THE_LINE_IS_NOT}" if report.published else WHAT_THE_LINE_IS_NOT


def _statistics_title(report: Report) -> str:
    batch = f"batches of {report.published_batch:,} tokens"
    batch += ", outliers included" if report.outliers and report.outliers["excluded"] else ""
    return f"Our statistics and the libraries' ({batch})" if report.published else "Statistics"


def _statistics(report: Report) -> Iterator[tuple[str, str, Estimate, dict[str, str]]]:
    """The name of each statistic, its words, our estimate, and the value that each library would print."""
    ours = {"relative_reconstruction_bias": report.raw["relative_reconstruction_bias"], **report.per_token}
    if report.published and report.statistics:  # the libraries' names for what has another name here
        ours |= {"shrinkage": report.statistics["l2_ratio"], "fvu": report.fvu}
    for key, (words, theirs) in PUBLISHED_AS.items():
        if key in ours:
            printed = {library: values.get(theirs.get(library, key)) for library, values in report.published.items()}
            yield key, words, ours[key], {k: number(value) for k, value in printed.items() if value is not None}


def where_lost(report: Report, width: int = WORDY) -> Table:
    """The three parts of the loss (C23), each with its interval and its share of the loss, and what recovers it.

    Args: width: of the screen; if the origins do not fit side by side, each has a row of its own
    """
    return fitting(width, partial(_wide_parts, report), partial(_stacked_parts, report))


def _wide_parts(report: Report) -> Table:
    headers = ("part of L/a", "", *(h for origin in report.loss_parts for h in (ORIGINS[origin], *BESIDE)))
    rows = (
        (
            key if part is report else WITHOUT,
            words if part is report else "",
            *(cell for parts in part.loss_parts.values() for cell in _part_cells(parts, key)),
        )
        for key, (words, _) in PARTS.items()
        for part in (report, report.without_outliers)
        if part
    )
    right = [*ORIGINS.values(), BESIDE[-1]]
    return table(LOST, headers, rows, right=right, caption=_parts_notes(report))


def _stacked_parts(report: Report) -> Table:
    def rows(key: str) -> Iterator[tuple[str, ...]]:
        for label, part in (("", report), (WITHOUT, report.without_outliers)):
            for origin, parts in (part.loss_parts if part else {}).items():
                yield ORIGINS[origin] + label, *_part_cells(parts, key)

    groups = ((f"{key}  {words}", rows(key)) for key, (words, _) in PARTS.items())
    return stacked(LOST, ("part of L/a", "value", *BESIDE), groups, _parts_notes(report))


def _part_cells(parts: Mapping[str, Estimate], key: str) -> tuple[str, str, str]:
    """The cells of a part's value, its interval and its share."""
    share = parts[PARTS[key][1]].value
    return *cells_of(parts[key]), "—" if share is None else f"{100 * share:.1f} %"


def _parts_notes(report: Report) -> str:
    reasons = _reasons(report.loss_parts)
    return f"{WHAT_RECOVERS_IT}\n{reasons}" if reasons else WHAT_RECOVERS_IT


def explained(law: Law, width: int = WORDY) -> Table:
    """γ about b_dec beside what the training penalty predicts, and what the comparison says (C19).

    Args: width: of the screen; the words are left out where it is narrower than the table
    """
    rows = [(key, escape(words), *cells_of(estimate)) for key, (words, estimate) in law.rows().items()]
    title = "Explained by the penalty (about b_dec)"
    headers = ("", "", "value", "95 % interval")

    def made(rows: Sequence[tuple[str, ...]], headers: Sequence[str]) -> Table:
        return table(title, headers, rows, right=["value"], caption=law.in_words())

    return fitting(
        width, lambda: made(rows, headers), lambda: made([(key, *cells) for key, _, *cells in rows], headers[1:])
    )


def by_direction(directions: Directions, width: int = WORDY) -> Table:
    """γ and its interval along bands of principal components, with each band's shares (C25).

    Args: width: of the screen; on a narrow one, only γ and two shares are shown, or only γ
    """
    title = f"By principal component of x (centred): {directions.origin_in_words()}"
    every = [*((band.name, band) for band in directions.bands), ("all", directions.whole)]
    caption = directions.in_words()

    def made(shares: Sequence[str], measures: Sequence[str]) -> Table:
        names = [SHARES[key] for key in shares]
        headers = ["components", *names]
        for key in measures:
            headers += [REGISTRY[key].plain, "95 % interval"]
        rows = []
        for name, band in every:
            of_band = directions.shares(band)
            percentages = [_percentage(of_band[key]) for key in shares]
            rows.append((name, *percentages, *(cell for key in measures for cell in cells_of(band.estimates[key]))))
        right = [*names, *(REGISTRY[key].plain for key in measures)]
        return table(title, headers, rows, right, wrapped=names, caption=caption)

    return fitting(
        width,
        lambda: made(tuple(SHARES), (GAMMA, "norm_ratio", "relative_loss")),
        lambda: made(("energy", "loss"), (GAMMA,)),
        lambda: made((), (GAMMA,)),
    )


def _percentage(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %"


def comparison(reports: Sequence[Report], width: int = WORDY) -> Table:
    """Several SAEs on the same activations: L0, and the measures that tell them apart.

    Args: width: of the screen; if a row per SAE does not fit, each measure has a row of its own
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
    return f"{len(reports)} SAEs, raw values ± half a 95 % interval"


def _compared(report: Report) -> Iterator[str]:
    """The cells of one SAE: L0, and the measures in COMPARED."""
    yield "—" if report.l0 is None else f"{report.l0:.1f}"
    yield from (plus_minus(report.raw[key]) for key in COMPARED)


def differences(every: Sequence[Difference], width: int = WORDY) -> Table:
    """The raw differences from the first SAE, of the measures in COMPARED.

    Args:
        every: what `sandbox.report.differences.known_differences` says of two or more SAEs
        width: of the screen; if a row per SAE does not fit, each measure has a row of its own
    """
    raw = [one for one in every if one.origin == "raw" and one.measure in COMPARED]
    saes = [raw[i : i + len(COMPARED)] for i in range(0, len(raw), len(COMPARED))]  # names may repeat
    rows = [(sae[0].of, {one.measure: difference_cell(one.estimate) for one in sae}) for sae in saes]
    title = f"Differences from {escape(raw[0].reference)}, raw values ± half a 95 % interval"
    reasons = dict.fromkeys(f"{one.of}: {one.estimate.reason}" for one in raw if one.estimate.reason)
    headers = [REGISTRY[key].plain for key in COMPARED]
    caption = "\n".join(reasons) or None

    def wide() -> Table:
        cells = ((escape(name), *(row[key] for key in COMPARED)) for name, row in rows)
        return table(title, ("SAE", *headers), cells, right=headers, caption=caption)

    def narrow() -> Table:
        groups = ((name, ((REGISTRY[key].plain, row[key]) for key in COMPARED)) for name, row in rows)
        return stacked(title, ("SAE", "difference"), groups, caption)

    return fitting(width, wide, narrow)


def show_comparison(reports: Sequence[Report], console: Console) -> None:
    """Print several SAEs side by side, their differences from the first, and which of each two shrinks less."""
    console.print(comparison(reports, console.width))
    console.print(differences(known_differences(reports), console.width))
    for report in reports[1:]:
        console.print(in_words(report, reports[0]), highlight=False, markup=False)


def _title(report: Report) -> str:
    return f"[bold]{escape(report.name)}[/]  {escape(report.facts())}"


def as_text(report: Report) -> str:
    """What `show` prints, as text PRINTED columns wide."""
    text = StringIO()
    console = Screen(file=text, width=PRINTED)
    show(report, console)
    return text.getvalue()


def show(report: Report, console: Console) -> None:
    """Print the description, the warnings, all tables and the verdict in words."""
    if report.description:
        console.print(report.description, highlight=False, markup=False)
    if report.targets:
        console.print(_of_targets(report), highlight=False, markup=False)
    for line in _warnings(report):
        console.print(line, highlight=False, markup=False)
    console.print(measures(report, console.width))
    if report.statistics:
        console.print(statistics(report, console.width))
    if report.loss_parts:
        console.print(where_lost(report, console.width))
    if report.law:
        console.print(explained(report.law, console.width))
    if report.directions:
        console.print(by_direction(report.directions, console.width))
    if report.stand_in:
        console.print(report.stand_in.meaning(), highlight=False, markup=False)
    console.print(report.in_words(), highlight=False, markup=False)


def as_html(report: Report) -> str:
    """The warnings and all tables, for a notebook."""
    tables = [measures(report), *([statistics(report)] if report.statistics else [])]
    tables += [where_lost(report)] if report.loss_parts else []
    tables += [explained(report.law)] if report.law else []
    tables += [by_direction(report.directions)] if report.directions else []
    said = [*([_of_targets(report)] if report.targets else []), *_warnings(report)]
    after = [report.stand_in.meaning()] if report.stand_in else []
    before, below = ("".join(f"<p>{html_escape(line)}</p>" for line in lines) for lines in (said, after))
    return before + "".join(_html(table) for table in tables) + below


def _of_targets(report: Report) -> str:
    return f"A transcoder, ŷ against targets {report.targets}: below, x is the target y, and x̂ is ŷ."


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


def _reasons(by_origin: Mapping[str, Mapping[str, Estimate]]) -> str | None:
    """A line for each reason why values or intervals are missing, with the measures that it applies to."""
    lines = []
    for origin, estimates in by_origin.items():
        by_reason: dict[str, list[str]] = {}
        for key, estimate in estimates.items():
            if estimate.reason:
                by_reason.setdefault(estimate.reason, []).append(key)
        lines += [f"{', '.join(keys)} ({ORIGINS[origin]}): {reason}" for reason, keys in by_reason.items()]
    return "\n".join(lines) or None


def cells_of(estimate: Estimate) -> tuple[str, str]:
    """The cells of its value and its interval."""
    value = "undefined" if estimate.value is None else number(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value, "—"
    return value, f"{number(estimate.low)} … {number(estimate.high)}"


def difference_cell(estimate: Estimate) -> str:
    """As `plus_minus`, with as many digits as `number` shows."""
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} ± {number((estimate.high - estimate.low) / 2)}"


def plus_minus(estimate: Estimate, digits: int = 3) -> str:
    """The value ± half the width of its interval."""
    if estimate.value is None:
        return "undefined"
    shown = f"{estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return shown
    return f"{shown} ± {(estimate.high - estimate.low) / 2:.{digits}f}"
