"""Mutants that are tried in every run, whatever chance chooses: mistakes that tests once let pass, or nearly.

Each is a change of text, so that it may be one that no operator makes, such as in the text of a formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutation.mutants import Mutant


@dataclass(frozen=True)
class Named:
    """In a function of a file, `old` (which must be there once) becomes `new`."""

    file: str
    function: str
    old: str
    new: str


MOMENTS, PREFLIGHT = "sandbox/moments/moments.py", "sandbox/measuring/preflight"
RECOVERED = ("sandbox/measuring/correction.py", "Correction.recovered")
BEFORE_6 = ("sandbox/checkpoints/saelens_settings.py", "_before_6")
COMPILE, PUBLISHED = "sandbox/maths/compile.py", "sandbox/measuring/published.py"

NAMED: tuple[Named, ...] = (
    Named("sandbox/report/jackknife.py", "jackknife_error", "(n - 1) / n,", "n / n,"),
    Named("sandbox/report/jackknife.py", "jackknife_error", "(n - 1) / n,", "n / (n - 1),"),
    Named("sandbox/measuring/token_means.py", "TokenMeans.from_dots", "groups * (u > apart", "groups * (v > apart"),
    Named(COMPILE, "_javascript_entry", "measure.root is not None", "measure.root is None"),
    Named(COMPILE, "_javascript_entry", '"squared": measure.root is not None', '"squared": True'),
    Named(COMPILE, "_javascript_reasons", "({jscode(positive)} > 0)", "({jscode(positive)} >= 0)"),
    Named(MOMENTS, "", "GONE = 1e-12", "GONE = 2e-12"),
    Named(MOMENTS, "", "GONE = 1e-12", "GONE = 5e-13"),
    Named(MOMENTS, "", "STILL = 1e-22", "STILL = 2e-22"),
    Named(MOMENTS, "", "STILL = 1e-22", "STILL = 5e-23"),
    Named(MOMENTS, "Centred.leave_one_out", "<= GONE * self", "<= 0 * self"),
    Named(MOMENTS, "Moments.with_dots", "float(apart_above) ** 2", "float(apart_above)"),
    Named(f"{PREFLIGHT}/fit.py", "", "OFFSET_WEIGHT = 30", "OFFSET_WEIGHT = 15"),
    Named(f"{PREFLIGHT}/fit.py", "Misfit.badness", "1 + OFFSET_WEIGHT", "1 - OFFSET_WEIGHT"),
    Named(f"{PREFLIGHT}/fit.py", "fit_of", "offset - by_chance", "offset + by_chance"),
    Named(f"{PREFLIGHT}/fit.py", "fit_of", "(independent - 1)", "independent"),
    Named(f"{PREFLIGHT}/check.py", "", "FINE = 0.01", "FINE = 0.02"),
    Named(f"{PREFLIGHT}/check.py", "", "USUAL = (0.75, 1.1)", "USUAL = (0.5, 1.1)"),
    Named(f"{PREFLIGHT}/check.py", "", "USUAL = (0.75, 1.1)", "USUAL = (0.75, 1.2)"),
    Named(PUBLISHED, "saelens_prints", "flat = (mse < 1e-10)", "flat = (mse > 1e-10)"),
    Named(PUBLISHED, "saelens_prints", "torch.where(variance < 1e-10", "torch.where(variance < 1e-9"),
    Named("sandbox/measuring/sparse.py", "is_sparse", "{feature_acts.dtype, W_dec.dtype} != {torch.float32}", "False"),
    Named("sandbox/measuring/sparse.py", "is_sparse", "{feature_acts.dtype, W_dec.dtype}", "{W_dec.dtype}"),
    Named(*RECOVERED, '"length_loss") > 0', '"length_loss") >= 0'),
    Named(*RECOVERED, "if word_for(gamma) == DOES_NOT", "if word_for(gamma) != DOES_NOT"),
    Named(*RECOVERED, "if gamma.low is not None and not side(gamma)", "if gamma.low is None"),
    Named(*BEFORE_6, "int(major[0]) < 6", "int(major[0]) <= 6"),
    Named(*BEFORE_6, "major is None or", "major is not None and"),
)


def named(root: Path, files: list[str]) -> Iterator[Mutant]:
    """Those of these files. Raises ValueError for one whose text is not there once: somebody must look again."""
    for mutant in NAMED:
        if mutant.file in files:
            yield _mutant(mutant, (root / mutant.file).read_text(encoding="utf-8"))


def _mutant(one: Named, text: str) -> Mutant:
    if text.count(one.old) != 1:
        raise ValueError(f"{one.file} has {one.old!r} {text.count(one.old)} times, where a named mutant needs it once")
    line = next(line for line in text.splitlines() if one.old in line)
    return Mutant(
        one.file, one.function, line.strip(), f"{one.old} ► {one.new}", lambda: text.replace(one.old, one.new)
    )
