"""Text ► contexts: what a model reads at once, and which of its tokens are measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.errors import InputError

LONGEST = 1024  # tokens of a context when nobody says otherwise
AT_ONCE = 1 << 20  # characters tokenised in one call: the tokenizers library spreads them over the cores


class Context(NamedTuple):
    """A part of one document that the model reads at once.

    Attributes:
        document: its document's number, from 0, in the order of the text
        ids:      (tokens,) int64, with the special tokens that the tokenizer puts around it
        measured: (n,) int64, the places in `ids` of the tokens that are measured: all that are no special tokens
    """

    document: int
    ids: np.ndarray
    measured: np.ndarray


class Contexts:
    """Cuts documents into contexts of at most `context` tokens, the tokenizer's special tokens included.

    A document is tokenised whole and then cut, so no token depends on where the cut falls. Each part gets the special
    tokens (BOS, CLS, SEP, EOS …) that the tokenizer would put around it. They are fed to the model but not measured,
    nor are special tokens that are written out in the text ("<|endoftext|>"). The token for unknown words is measured:
    it stands for text.
    """

    def __init__(self, tokenizer: Any, config: Any, model: nn.Module, context: int | None) -> None:
        self.tokenizer = tokenizer
        self.vocabulary: int | None = getattr(config, "vocab_size", None)
        self.special = np.array(sorted(special_ids(tokenizer)), dtype=np.int64)
        self.before, self.after, self.types = template(tokenizer)
        self.size = context_size(tokenizer, config, model, context)
        self.room = self.size - len(self.before) - len(self.after)
        if self.room < 1:
            added = len(self.before) + len(self.after)
            found = f"context is {self.size}, and the tokenizer adds {added} special tokens"
            raise InputError(f"{found}: {added + 1} or more is needed")

    def __call__(self, documents: Iterable[str]) -> Iterator[Context]:
        """The contexts of the documents, in order. A document without a token to measure gives none."""
        for number, ids in enumerate(self._tokenised(documents)):
            for start in range(0, len(ids), self.room):
                part = ids[start : start + self.room]
                measured = np.flatnonzero(~np.isin(part, self.special))
                if len(measured):
                    yield Context(number, np.concatenate([self.before, part, self.after]), measured + len(self.before))

    def _tokenised(self, documents: Iterable[str]) -> Iterator[np.ndarray]:
        for texts in _groups(documents):
            for ids in self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
                yield self._checked(np.array(ids, dtype=np.int64))

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        if self.vocabulary is not None and len(ids) and ids.max() >= self.vocabulary:
            name = self.tokenizer.name_or_path
            found = f"{name}: the tokenizer gives token {ids.max()}, and the model knows {self.vocabulary}"
            raise InputError(f"{found}: a tokenizer that belongs to the model is needed")
        return ids

    def padded(self, contexts: list[Context]) -> dict[str, Tensor]:
        """What the model reads, (batch, tokens) each: ids, attention mask, and token types if the tokenizer has them.

        Padding stands on the right, whatever the tokenizer prefers: positions then count from the first token, and no
        causal model sees it. Its id matters only to models that find their positions by it, and they have one.
        """
        shape = (len(contexts), max(len(one.ids) for one in contexts))
        pad = self.tokenizer.pad_token_id
        ids = np.full(shape, pad if pad is not None and pad < (self.vocabulary or pad + 1) else 0, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, one in enumerate(contexts):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.types is not None:
            before, inside, after = self.types
            types = np.full(shape, self.tokenizer.pad_token_type_id, dtype=np.int64)
            for row, one in enumerate(contexts):
                within = len(one.ids) - len(before) - len(after)
                types[row, : len(one.ids)] = [*before, *[inside] * within, *after]
            inputs["token_type_ids"] = types
        return {key: torch.from_numpy(value) for key, value in inputs.items()}


def special_ids(tokenizer: Any) -> set[int]:
    """The tokenizer's special tokens, without the one for unknown words unless it serves as another one, too."""
    roles = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id")
    others = {one for role in roles if (one := getattr(tokenizer, role, None)) is not None}
    return (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}) | others


def template(tokenizer: Any) -> tuple[np.ndarray, np.ndarray, tuple[list[int], int, list[int]] | None]:
    """The special tokens that the tokenizer puts before and after a text, and the token types of before, text, after.

    Found from what it does with a text, with and without them: no two kinds of tokenizer keep them in the same place.
    """
    for text in ("a", "the", "1"):
        bare = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        whole = tokenizer(text)
        ids = list(whole["input_ids"])
        starts = [at for at in range(len(ids) - len(bare) + 1) if ids[at : at + len(bare)] == bare]
        if bare and len(starts) == 1:
            start, stop = starts[0], starts[0] + len(bare)
            types = whole.get("token_type_ids")
            held = None if types is None else (list(types[:start]), types[start], list(types[stop:]))
            return np.array(ids[:start], dtype=np.int64), np.array(ids[stop:], dtype=np.int64), held
    raise InputError("it cannot be told which special tokens the tokenizer puts around a text: no text is left of 'a'")


def context_size(tokenizer: Any, config: Any, model: nn.Module, context: int | None) -> int:
    """Tokens of a context: `context`, or as many as tokenizer and model can, at most LONGEST."""
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    for table in model.modules():
        # Such a table's positions are counted from behind its padding row (RoBERTa and its kin).
        if isinstance(table, nn.Embedding) and table.num_embeddings == limits[1] and table.padding_idx is not None:
            limits.append(table.num_embeddings - table.padding_idx - 1)
    most = min(int(limit) for limit in limits if limit is not None)
    if context is None:
        return min(most, LONGEST)
    if not 1 <= context <= most:
        raise InputError(f"context is {context} tokens: 1 to {most} are possible with this model and its tokenizer")
    return context


def _groups(documents: Iterable[str]) -> Iterator[list[str]]:
    held: list[str] = []
    characters = 0
    for document in documents:
        held.append(document)
        characters += len(document)
        if characters >= AT_ONCE or len(held) >= 1024:
            yield held
            held, characters = [], 0
    if held:
        yield held
