"""The results as files: gpu.json, gpu.md, results/gpu, and the README's sentence about GPUs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.gpu.row import Row

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "gpu"
NEVER = (
    "Nothing here has been run on a real GPU yet. On an NVIDIA GPU `make gpu` measures, in at most nine minutes,\n"
    "what a CPU cannot show: speed, memory, and agreement with the CPU."
)
BEGIN, END = "<!-- from results/gpu -->", "<!-- end -->"


def write(out: Path, result: dict[str, Any]) -> None:
    """Write gpu.json and gpu.md to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(
        json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    (out / "gpu.md").write_text(markdown(result), encoding="utf-8")


def rows_of(result: dict[str, Any]) -> list[Row]:
    """The rows in a gpu.json."""
    return [Row(**{key: value for key, value in row.items() if key != "holds"}) for row in result["rows"]]


def markdown(result: dict[str, Any]) -> str:
    """The page for one card."""
    rows, on = rows_of(result), result["on"]
    lines = [f"# {on['card']}", "", ", ".join(f"{key} {value}" for key, value in on.items() if key != "card") + ".", ""]
    lines += [f"{claims_in_words(rows)} Made by `{result['command']}` in {result['seconds']:.0f} seconds.", ""]
    if result["device"] == "cpu":
        lines += ["Small sizes, to try the program: the speeds mean nothing.", ""]
    if result["left_out"]:
        lines += [f"Left out: {', '.join(result['left_out'])}.", ""]
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", "", _about(part), ""]
        lines += ["| case | figure | goal | verdict | of what |", "| --- | ---: | ---: | --- | --- |"]
        lines += [
            f"| {row.case} | {row.figure} | {row.limit} | {row.verdict} | {_more(row)} |"
            for row in rows
            if row.part == part
        ]
        lines.append("")
    return "\n".join(lines)


def _about(part: str) -> str:
    """The first line of a part's docstring."""
    return (import_module(f"benchmarks.gpu.{part}").__doc__ or "").split("\n")[0]


def claims_in_words(rows: Sequence[Row]) -> str:
    """How many claims hold.

    >>> claims_in_words([Row("moments", "one", 1.5, goal=2), Row("moments", "two", 2.5, goal=2)])
    '1 of 2 claims hold.'
    """
    claims = [row for row in rows if row.holds is not None]
    if not claims:
        return "No claims."
    holding = sum(bool(row.holds) for row in claims)
    return f"{holding} of {len(claims)} claims hold."


def keep(out: Path, kept: Path = KEPT) -> Path:
    """Copy the results in a folder to the committed ones of that card, and update the README. Returns the page.

    Raises: ValueError for a run on a CPU, or one without all parts
    """
    if not (out / "gpu.json").exists():
        raise ValueError(f"nothing to keep in {out}: run make gpu first")
    result = json.loads((out / "gpu.json").read_text(encoding="utf-8"))
    if result["device"] != "cuda":
        raise ValueError(f"nothing kept: {out} holds a run on a CPU; run make gpu where there is an NVIDIA GPU")
    if result["left_out"]:
        lacks = ", ".join(result["left_out"])
        raise ValueError(f"nothing kept: the run in {out} lacks {lacks}; run it without --only, with more --minutes")
    name = re.sub(r"[^a-z0-9]+", "-", result["on"]["card"].lower()).strip("-")
    (kept / f"{name}.json").write_text((out / "gpu.json").read_text(encoding="utf-8"), encoding="utf-8")
    page = kept / f"{name}.md"
    page.write_text(markdown(result), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_sentence(readme.read_text(encoding="utf-8"), sentence(kept)), encoding="utf-8")
    return page


def with_sentence(readme: str, text: str) -> str:
    """The README with this text about GPUs between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def sentence(kept: Path = KEPT) -> str:
    """The README's text about GPUs, from the committed results."""
    pages = sorted(path for path in kept.glob("*.json"))
    if not pages:
        return NEVER
    return " ".join(_of_a_card(path) for path in pages)


def _of_a_card(path: Path) -> str:
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = rows_of(result)
    parts = [f"On one {result['on']['card']} ([every figure](results/gpu/{path.stem}.md))"]
    times = [row.value for row in rows if row.part == "forward" and row.value is not None]
    if times:
        parts.append(f"measuring takes {min(times):.2f} to {max(times):.2f} times the SAE's forward pass")
    apart = [row.value for row in rows if row.part == "agreement" and row.goal == 1e-5 and row.value is not None]
    if apart:
        parts.append(f"the demo's figures agree with the CPU's to within {max(apart):.0e}")
    moments = [row.value for row in rows if row.part == "moments" and row.goal == 2 and row.value is not None]
    if moments:
        parts.append(f"moments take {max(moments):.1f} times as long as reading x and x̂")
    first, *rest = parts
    figures = f"{first}, {', '.join(rest[:-1])}{' and ' if len(rest) > 1 else ''}{rest[-1]}." if rest else f"{first}."
    return f"{figures} {claims_in_words(rows)}"


def _more(row: Row) -> str:
    numbers = "; ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in row.more.items())
    return "; ".join(part for part in (row.words, numbers) if part)
