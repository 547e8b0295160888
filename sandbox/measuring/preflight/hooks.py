"""Names of places in a transformer: TransformerLens's, transformers', dictionary_learning's, for one and the same."""

from __future__ import annotations

import re
from typing import NamedTuple

STREAM, MIDDLE = "the residual stream", "the residual stream in the middle of block"
MLP, ATTENTION = "the output of the MLP of block", "the output of the attention of block"
HEADS = "the outputs of the heads of block"

PARTS = {
    "mlp_out": MLP, "mlp": MLP, "feed_forward": MLP, "ffn": MLP,
    "attn_out": ATTENTION, "attn": ATTENTION, "self_attn": ATTENTION,
    "resid_mid": MIDDLE, "attn.hook_z": HEADS,
}  # fmt: skip
"""The parts of a block of which two libraries have names. (BERT's attention and output are no such parts: each adds
the stream to it.)"""

NAMES = (
    re.compile(r"blocks\.(?P<layer>\d+)\.(?:hook_)?(?P<part>\S+)"),  # TransformerLens
    re.compile(r"(?:\S*\.)?(?:h|layers?|blocks?)\.(?P<layer>\d+)(?:\.(?P<part>\S+))?"),  # transformers
    re.compile(r"(?P<part>(?:resid|mlp|attn)_(?:pre|mid|post|out))_layer_(?P<layer>\d+)"),  # dictionary_learning
)


class Spot(NamedTuple):
    """A place. Of the residual stream `layer` counts the blocks before it: it is transformers' hidden_states[layer].

    Attributes: part: one of the kinds above, or the library's own word; layer: the block, from 0
    """

    part: str
    layer: int

    @property
    def known(self) -> bool:
        """Whether other libraries' names for the same place would be recognised."""
        return self.part == STREAM or self.part in PARTS.values()

    def __str__(self) -> str:
        if self.part == STREAM:
            where = f"after block {self.layer - 1}" if self.layer else "before block 0"
            return f"{STREAM} {where} (hidden_states[{self.layer}])"
        return f"{self.part} {self.layer}" if self.known else f"{self.part} in block {self.layer}"

    def differs(self, other: Spot) -> bool:
        """Whether it is surely another place: not so where a name of one library alone leaves that open."""
        if self.known and other.known:
            return self != other
        return not self._blocks() & other._blocks()

    def _blocks(self) -> set[int]:
        return {self.layer - 1, self.layer} if self.part == STREAM else {self.layer}


def spot(name: str) -> Spot | None:
    """The place of that name; None for a name that is of no block.

    >>> spot("blocks.2.hook_resid_pre") == spot("blocks.1.hook_resid_post") == spot("model.layers.1")
    True
    >>> print(spot("blocks.2.hook_resid_pre"))
    the residual stream after block 1 (hidden_states[2])
    """
    found = next((match for one in NAMES if (match := one.fullmatch(name))), None)
    if found is None:
        return None
    layer, part = int(found["layer"]), found["part"]
    if part in ("resid_pre", "in"):
        return Spot(STREAM, layer)
    if part in (None, "resid_post", "out", "output"):
        return Spot(STREAM, layer + 1)
    return Spot(PARTS.get(part, part), layer)
