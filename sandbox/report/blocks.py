"""What stands in for documents where their IDs are unknown: how many blocks of tokens, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.moments.moments import BLOCK, GROUPS, Moments, stretch

SAID = {
    "blocks": "{number} blocks of {tokens} neighbouring tokens",
    "pooled": "{number} groups of blocks of {tokens} neighbouring tokens",
    "block": "1 block of {tokens} neighbouring tokens",
    "meaning": (
        "No document IDs: the intervals take {blocks} to be independent. If documents are longer than such a block, "
        "the intervals are too narrow; if documents are shorter, usually a little wider than with their IDs."
    ),
}
"""Words that the site's page says, too (sandbox/site/js/data/shown.js)."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of neighbouring tokens that intervals take to be independent.

    Attributes:
        number: of blocks, or of groups of them where there are more blocks than groups
        tokens: in a block
        pooled: whether each of the `number` is a group of blocks from all over the data
    """

    number: int
    tokens: int
    pooled: bool

    @classmethod
    def of(cls, moments: Moments) -> Blocks:
        """Those of moments by blocks of BLOCK tokens, in stretches."""
        number = int(moments.in_stretches().clusters)
        return cls(number, BLOCK * stretch(moments.count), int(moments.clusters) == GROUPS)

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has them."""
        return {"number": self.number, "tokens": self.tokens, "pooled": self.pooled}

    def __str__(self) -> str:
        key = "pooled" if self.pooled else "block" if self.number == 1 else "blocks"
        return SAID[key].format(number=f"{self.number:,}", tokens=f"{self.tokens:,}")

    def meaning(self) -> str:
        """What that means for the intervals."""
        return SAID["meaning"].format(blocks=self)
