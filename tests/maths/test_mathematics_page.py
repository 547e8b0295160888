"""docs/mathematics.md states every claim in the register word for word, and calls no other one proved."""

import re
from pathlib import Path

from sandbox.maths.derivations import claims

PAGE = (Path(__file__).parents[2] / "docs" / "mathematics.md").read_text(encoding="utf-8")


def test_every_registered_claim_is_stated_word_for_word():
    assert re.findall(r"^- \*\*(C\d+)\*\* (.*)$", PAGE, re.MULTILINE) == [
        (claim.number, claim.statement) for claim in claims()
    ]


def test_the_page_says_how_many_are_derived():
    assert f"C1–C{len(claims())} are derived" in " ".join(PAGE.split())
