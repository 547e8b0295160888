"""`check` on claims whose truth is known: none wrong, nearly all decided. Also: what Z3 adds to SymPy alone."""

import sys
from collections.abc import Iterator
from statistics import median
from time import process_time
from unittest.mock import patch

from benchmarks.timing import claim
from sandbox import InputError, check
from sandbox.claims import check as deciding
from tests.helpers.claims import EVERY

PATIENCE = 5.0  # seconds per claim for SymPy alone; `check` itself waits longer


def claims() -> Iterator[bool]:
    """Print and yield the claims."""
    for text in ("gamma_10 >= gamma", "L/a = angle_loss + length_loss"):
        check(text)  # caches the derivations behind the names
    outcomes = [_timed(text, truth) for _, text, truth in EVERY]
    wrong, undecided = (sum(verdict == kind for verdict, _ in outcomes) for kind in ("wrong", "undecided"))
    yield claim(f"check: wrong verdicts on {len(EVERY)} claims", wrong, 0)
    yield claim("check: share of them decided", 1 - undecided / len(EVERY), 0.97, at_least=True)
    yield claim(
        "check: median time of the processor for one, over 0.1 s", median(seconds for _, seconds in outcomes) / 0.1, 1
    )
    some = range(0, len(EVERY), 6)
    with patch.dict(sys.modules, {"z3": None}), patch.object(deciding, "SYMPY_SECONDS", PATIENCE):
        alone = [_timed(*EVERY[i][1:]) for i in some]
    decided = sum(verdict == "right" for verdict, _ in alone) / sum(outcomes[i][0] == "right" for i in some)
    yield claim(f"check: share decided by SymPy alone of what Z3 decides, {len(alone)} claims", decided, 0.9)
    slower = sum(seconds for _, seconds in alone) / sum(outcomes[i][1] for i in some)
    yield claim("check: time of SymPy alone over that with Z3, the same claims", slower, 2, at_least=True)


def _timed(text: str, truth: str) -> tuple[str, float]:
    """Whether the verdict on a claim is right, wrong or undecided, and the processor time that it took."""
    begun = process_time()
    try:
        verdict = check(text).verdict
    except InputError:
        verdict = "refused"
    return "right" if verdict == truth else "undecided" if verdict == "undecided" else "wrong", process_time() - begun
