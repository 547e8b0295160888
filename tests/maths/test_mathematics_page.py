"""docs/mathematics.md states every claim in the register word for word, and calls no other one proved."""

import re
from pathlib import Path

from sandbox.maths.derivations import claims

PAGE = (Path(__file__).parents[2] / "docs" / "mathematics.md").read_text(encoding="utf-8")
PROVED, STATED = PAGE.split("## Stated, not proved here yet")


def test_every_registered_claim_is_stated_word_for_word():
    assert re.findall(r"^- \*\*(C\d+)\*\* (.*)$", PROVED, re.MULTILINE) == [
        (claim.number, claim.statement) for claim in claims()
    ]


def test_what_is_not_registered_is_not_called_proved():
    stated = [int(number) for number in re.findall(r"^- \*\*C(\d+)\*\*", STATED, re.MULTILINE)]
    assert stated == list(range(len(claims()) + 1, 28))
    assert f"C1–C{len(claims())} are derived" in " ".join(PAGE.split())
