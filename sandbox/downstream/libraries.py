"""Loss recovered as SAELens, SAEBench and dictionary_learning define it.

All three compare the model's cross-entropy with x replaced by x̂ to that with x replaced by zeros:
(CE of zero − CE of x̂) / (CE of zero − CE of the clean model), where zeros replace the activations of every token. They
differ in what they do with special tokens. SAELens 6.54 (sae_lens/evals.py) leaves the activations at special tokens as
they are in x̂, and does not count the predictions made there. SAEBench 0.6.0 (sae_bench/evals/core/main.py) does not
count those at BOS, EOS and padding either, but replaces them, unless it is told not to. dictionary_learning 0.1
(evaluation.py) replaces all, and counts every prediction of a token that is not padding; it averages the ratio over
batches of text, where the others, and this module, take the ratio of sums.

None of them leaves tokens of extreme norm as they are.

tests/downstream/test_losses.py runs SAELens' and dictionary_learning's own code on a small model. SAEBench needs
numpy < 2; its get_downstream_reconstruction_metrics was run once without its dependencies, on the model and the SAE of
SAELens' test. Its cross-entropies of the clean model, x̂ and zero were 5.7098689, 5.7164392 and 5.7037826; ours are
5.7098691, 5.7164393 and 5.7037820.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Library:
    """How a library treats special tokens.

    Attributes:
        key:       in JSON
        name:      in tables
        roles:     the special tokens that it tells apart, by their roles in the tokenizer
        replaces:  whether it replaces the activations at them by x̂
        of_target: whether a prediction counts for the token that it is of; otherwise for the token that it is made at
    """

    key: str
    name: str
    roles: Sequence[str]
    replaces: bool
    of_target: bool = False

    def ids(self, tokenizer: Any) -> Int[Tensor, "special"]:
        """The special tokens."""
        found = (getattr(tokenizer, f"{role}_token_id", None) for role in self.roles)
        return torch.tensor([token for token in found if token is not None], dtype=torch.int64)

    def counted(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"], special: Int[Tensor, "special"]
    ) -> Bool[Tensor, "batch tokens"]:
        """At which tokens its prediction of the next one counts.

        Args: mask: which tokens are no padding of ours
        """
        text = ~torch.isin(ids, special)
        follows = torch.zeros_like(mask)
        follows[:, :-1] = mask[:, 1:] & (text[:, 1:] if self.of_target else text[:, :-1])
        return follows


LIBRARIES = (
    Library("saelens", "SAELens", ("bos", "eos", "pad", "sep"), replaces=False),
    Library("saebench", "SAEBench", ("bos", "eos", "pad"), replaces=True),
    Library("dictionary_learning", "dictionary_learning", ("pad",), replaces=True, of_target=True),
)
