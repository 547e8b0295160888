"""Text ► contexts: the token sequences that a model reads, and which of their tokens are measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.errors import InputError

LONGEST = 1024  # tokens in a context, by default
AT_ONCE = 1 << 20  # characters tokenised per call, which the tokenizers library distributes over the cores


class Context(NamedTuple):
    """The part of a document that the model reads as one sequence.

    Attributes:
        document: number of the document, from 0, in the order of the text
        ids:      (tokens,) int64, including the special tokens that the tokenizer adds
        measured: (n,) int64, positions in `ids` of the tokens to measure: all but special tokens
    """

    document: int
    ids: np.ndarray
    measured: np.ndarray


class Contexts:
    """Cuts documents into contexts of at most `context` tokens, including the tokenizer's special tokens.

    A document is tokenised before it is cut, so no token depends on where the cuts fall. Each part gets the special
    tokens (BOS, CLS, SEP, EOS …) that the tokenizer would add to it. The model reads them, but they are not measured,
    and neither are special tokens spelled out in the text ("<|endoftext|>"). The token for unknown words is measured,
    because it stands for text.
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
            raise InputError(
                f"context is {self.size} tokens, but the tokenizer adds {added} special tokens: "
                f"at least {added + 1} are needed"
            )

    def __call__(self, documents: Iterable[str]) -> Iterator[Context]:
        """The contexts of the documents, in order. A document without tokens to measure yields none."""
        for number, ids in self._tokenised(documents):
            for start in range(0, len(ids), self.room):
                if context := self.context(number, ids[start : start + self.room]):
                    yield context

    def context(self, document: int, part: np.ndarray) -> Context | None:
        """The context of a part of a document's token ids, with the special tokens; None without tokens to measure."""
        measured = np.flatnonzero(~np.isin(part, self.special))
        if not len(measured):
            return None
        return Context(document, np.concatenate([self.before, part, self.after]), measured + len(self.before))

    def _tokenised(self, documents: Iterable[str]) -> Iterator[tuple[int, np.ndarray]]:
        for batch in _batches(enumerate(documents)):
            texts = [text for _, text in batch]
            for (number, _), ids in zip(
                batch, self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"], strict=True
            ):
                yield number, self._checked(np.array(ids, dtype=np.int64))

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        if self.vocabulary is not None and len(ids) and ids.max() >= self.vocabulary:
            raise InputError(
                f"{self.tokenizer.name_or_path}: the tokenizer yields token {ids.max()}, but the model knows "
                f"{self.vocabulary} tokens: the model's own tokenizer is needed"
            )
        return ids

    def padded(self, contexts: list[Context]) -> dict[str, Tensor]:
        """The model's inputs, (batch, tokens) each: ids, attention mask, and token types if the tokenizer has them.

        Padding is on the right, whatever the tokenizer prefers: positions then count from the first token, and no
        causal model sees the padding. Its id matters only to models that derive positions from it, which all have one.
        """
        shape = (len(contexts), max(len(context.ids) for context in contexts))
        pad = self.tokenizer.pad_token_id
        ids = np.full(shape, pad if pad is not None and pad < (self.vocabulary or pad + 1) else 0, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, context in enumerate(contexts):
            ids[row, : len(context.ids)] = context.ids
            mask[row, : len(context.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.types is not None:
            before, inside, after = self.types
            types = np.full(shape, self.tokenizer.pad_token_type_id, dtype=np.int64)
            for row, context in enumerate(contexts):
                within = len(context.ids) - len(before) - len(after)
                types[row, : len(context.ids)] = [*before, *[inside] * within, *after]
            inputs["token_type_ids"] = types
        return {key: torch.from_numpy(value) for key, value in inputs.items()}


def special_ids(tokenizer: Any) -> set[int]:
    """The tokenizer's special tokens, without the unknown-word token unless it has another role as well."""
    roles = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id")
    others = {token for role in roles if (token := getattr(tokenizer, role, None)) is not None}
    return (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}) | others


def template(tokenizer: Any) -> tuple[np.ndarray, np.ndarray, tuple[list[int], int, list[int]] | None]:
    """The special tokens that the tokenizer adds before and after a text, and the token types of before, text, after.

    Found by tokenising a text with and without them, because each kind of tokenizer stores them in a different place.
    """
    for text in ("a", "the", "1"):
        bare = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        whole = tokenizer(text)
        ids = list(whole["input_ids"])
        starts = [start for start in range(len(ids) - len(bare) + 1) if ids[start : start + len(bare)] == bare]
        if bare and len(starts) == 1:
            start, stop = starts[0], starts[0] + len(bare)
            types = whole.get("token_type_ids")
            split = None if types is None else (list(types[:start]), types[start], list(types[stop:]))
            return np.array(ids[:start], dtype=np.int64), np.array(ids[stop:], dtype=np.int64), split
    raise InputError(
        "cannot tell which special tokens the tokenizer adds: it tokenises 'a', 'the' and '1' differently when it adds "
        "them; use another tokenizer"
    )


def context_size(tokenizer: Any, config: Any, model: nn.Module, context: int | None) -> int:
    """Tokens in a context: `context`, or as many as the tokenizer and the model support, at most LONGEST."""
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    for table in model.modules():
        # Positions in such a table count from the row after the padding row (RoBERTa and its relatives).
        if isinstance(table, nn.Embedding) and table.num_embeddings == limits[1] and table.padding_idx is not None:
            limits.append(table.num_embeddings - table.padding_idx - 1)
    most = min(int(limit) for limit in limits if limit is not None)
    if context is None:
        return min(most, LONGEST)
    if not 1 <= context <= most:
        raise InputError(f"context is {context} tokens: this model and its tokenizer support 1 to {most}")
    return context


def _batches(documents: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Numbered documents, in groups that are tokenised at once."""
    batch: list[tuple[int, str]] = []
    characters = 0
    for number, document in documents:
        batch.append((number, document))
        characters += len(document)
        if characters >= AT_ONCE or len(batch) >= 1024:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
