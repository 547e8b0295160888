"""`check` on claims whose truth is known: none wrong, nearly all decided; and what Z3 is worth beside SymPy alone."""

import sys
from collections.abc import Iterator
from statistics import median
from time import process_time
from unittest.mock import patch

from benchmarks.timing import claim
from sandbox import InputError, check
from sandbox.claims import check as deciding
from tests.helpers.claims import EVERY

PATIENCE = 5.0  # seconds of SymPy alone, a claim; `check` itself waits longer


def claims() -> Iterator[bool]:
    """Print and give the claims."""
    for text in ("gamma_10 >= gamma", "L/a = angle_loss + length_loss"):
        check(text)  # the derivations behind the names are made once
    found = [_timed(text, truth) for _, text, truth in EVERY]
    wrong, open_ones = sum(one[0] == "wrong" for one in found), sum(one[0] == "undecided" for one in found)
    yield claim(f"check: wrong verdicts on {len(EVERY)} claims", wrong, 0)
    yield claim("check: share of them decided", 1 - open_ones / len(EVERY), 0.97, at_least=True)
    yield claim("check: median time of the processor for one, over 0.1 s", median(one[1] for one in found) / 0.1, 1)
    some = range(0, len(EVERY), 6)
    with patch.dict(sys.modules, {"z3": None}), patch.object(deciding, "SYMPY_SECONDS", PATIENCE):
        alone = [_timed(*EVERY[i][1:]) for i in some]
    decided = sum(one[0] == "right" for one in alone) / sum(found[i][0] == "right" for i in some)
    yield claim(f"check: share decided by SymPy alone of what Z3 decides, {len(alone)} claims", decided, 0.9)
    slower = sum(one[1] for one in alone) / sum(found[i][1] for i in some)
    yield claim("check: time of SymPy alone over that with Z3, the same claims", slower, 2, at_least=True)


def _timed(text: str, truth: str) -> tuple[str, float]:
    """Whether the verdict on a claim is right, wrong or open, and the time of the processor that it took."""
    begun = process_time()
    try:
        said = check(text).verdict
    except InputError:
        said = "refused"
    return "right" if said == truth else "undecided" if said == "undecided" else "wrong", process_time() - begun
