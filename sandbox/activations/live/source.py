"""Activations that a model computes from text while they are measured: in the text's order, in flat memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sandbox.activations import Chunk
from sandbox.activations.live.contexts import Context, Contexts
from sandbox.activations.live.model import Tap, load, probe, tap_hook, tap_layer
from sandbox.activations.live.texts import documents, text_files
from sandbox.activations.origin import Origin
from sandbox.activations.source import check_range
from sandbox.errors import InputError
from sandbox.system.devices import device_named


def live(
    model: str | Path,
    layer: int | None,
    text: str | Path,
    *,
    hook: str | None = None,
    context: int | None = None,
    batch: int = 16,
    whole_files: bool = False,
    device: str | torch.device = "auto",
    dtype: str = "float32",
) -> Live:
    """Activations of a transformers model on text, token by token, computed as they are read.

    Args:
        model:       a folder that save_pretrained wrote, or a name in the local Hugging Face cache; nothing is fetched,
                     no code of the folder's is run, weights are read from safetensors alone
        layer:       the residual stream after this block, counted from 0: transformers' hidden_states[layer + 1], but
                     for the last block, where many models' hidden states have gone through the final norm, and this
                     not. TransformerLens's blocks.N.hook_resid_pre is layer N − 1, its hook_resid_post layer N
        text:        a .txt file (blank lines separate documents), a .jsonl file (each line's field "text" is one),
                     a folder or a pattern of such
        hook:        in place of a layer, the name of a module, as in AutoModel's named_modules(): its output, or the
                     first of its outputs
        context:     tokens that the model reads at once, special tokens included; longer documents are cut. None is
                     the most that the model can, up to 1024
        batch:       contexts computed at a time
        whole_files: each .txt file is one document, blank lines and all
        device:      where the model runs; the activations stay there
        dtype:       in which the model computes: float32, float64, bfloat16, float16
    Raises: InputError, in one line, for a model, layer or text that cannot be read.
    """
    if (layer is None) == (hook is None):
        raise InputError("give a layer or a hook, one of the two: which activations are wanted?")
    if batch < 1:
        raise InputError(f"batch is {batch}: at least one context at a time is needed")
    files = text_files(text)
    where = device_named(device)
    loaded, missing, tokenizer = load(model, dtype)
    contexts = Contexts(tokenizer, loaded.config.get_text_config(), loaded, context)
    tap = tap_layer(loaded, layer, where) if layer is not None else tap_hook(loaded, str(hook), where)
    # All that says which tokens these are: a saved run goes on only under the same name.
    read = f"{text}{', file by file,' if whole_files else ''} in contexts of {contexts.size}"
    name = f"{model}, {tap.module} in {dtype}, on {read}"
    asked = f"hook {tap.module}" if layer is None else f"layer {layer}, {tap.module}"
    return Live(name, tap, contexts, files, whole_files, batch, missing, Origin(asked, tap.module, str(model), {}))


class Live:
    """A source of activations that are computed from text. `tokens` is known after `count()`, or a whole pass.

    The same tokens come out, to the last bit, wherever reading starts: contexts are put together into windows and
    batches from the beginning of the text, and those that are not asked for are tokenised but not computed. So a run
    that was broken off goes on as if it had not been, and each of several processes can take a range of the tokens.

    Attributes:
        name:   the model, the module and the text, for messages
        width:  d
        tokens: how many there are, special tokens and padding not among them; None until that is known
        files:  those of the text
        origin: the place in the model, and the model, which is loaded as it is
    """

    def __init__(
        self,
        name: str,
        tap: Tap,
        contexts: Contexts,
        files: list[Path],
        whole: bool,
        batch: int,
        missing: set[str],
        origin: Origin | None = None,
    ) -> None:
        self.name, self.origin = name, origin
        self.tokens: int | None = None
        self._tap, self._contexts, self.files, self._whole, self._batch = tap, contexts, files, whole, batch
        shortest = Context(0, np.concatenate([contexts.before, [0], contexts.after]), np.array([len(contexts.before)]))
        self.width = probe(tap, contexts.padded([shortest, shortest]), missing)

    @property
    def device(self) -> torch.device:
        """Where the model runs, and where the activations come out."""
        return self._tap.device

    def count(self) -> int:
        """How many tokens there are: all text is tokenised, once, and nothing is computed."""
        if self.tokens is None:
            self._ended(sum(len(context.measured) for context in self._read()))
        assert self.tokens is not None
        return self.tokens

    def sample(self, size: int) -> Tensor:
        """The first tokens, at most `size` of them, (n, d); `chunks` gives them again."""
        return next(self.chunks(size, 0, size)).x

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop (or to the end), in the order of the text, `size` at a time; the last may be shorter."""
        check_range(size, start, stop)
        held: list[tuple[Tensor, np.ndarray]] = []
        count = 0
        for piece in self._pieces(start, math.inf if stop is None else stop):
            held.append(piece)
            count += len(piece[1])
            if count < size:
                continue
            x, ids = _joined(held)
            whole = count - count % size
            for at in range(0, whole, size):
                yield Chunk(x[at : at + size], ids[at : at + size])
            count -= whole
            held = [(x[whole:].clone(), ids[whole:])] if count else []  # a view would keep all of x in memory
        if held:
            yield Chunk(*_joined(held))

    def _pieces(self, start: int, stop: float) -> Iterator[tuple[Tensor, np.ndarray]]:
        """The tokens of each window that lie between start and stop."""
        at = 0
        for window in self._windows():
            wanted = []
            for context in window:
                n = len(context.measured)
                wanted.append(context.measured[max(start - at, 0) : int(min(max(stop - at, 0), n))])
                at += n
            if any(len(places) for places in wanted):
                yield self._computed(window, wanted)
            if at >= stop:
                return
        self._ended(at)

    def _windows(self) -> Iterator[list[Context]]:
        """Contexts in order, as many together as hold the tokens of one batch of the longest."""
        window: list[Context] = []
        held = 0
        for context in self._read():
            window.append(context)
            held += len(context.ids)
            if held >= self._batch * self._contexts.size:
                yield window
                window, held = [], 0
        if window:
            yield window

    def _computed(self, window: list[Context], wanted: list[np.ndarray]) -> tuple[Tensor, np.ndarray]:
        """The wanted places of a window's contexts: computed with contexts of like length, given back in order."""
        order = sorted(range(len(window)), key=lambda at: len(window[at].ids))
        parts, starts, found = [], np.zeros(len(window), dtype=np.int64), 0
        for first in range(0, len(order), self._batch):
            rows = order[first : first + self._batch]
            if not any(len(wanted[at]) for at in rows):
                continue
            inputs = self._contexts.padded([window[at] for at in rows])
            longest = inputs["input_ids"].shape[1]
            places = np.concatenate([row * longest + wanted[at] for row, at in enumerate(rows)])
            parts.append(_rows(self._tap(inputs).reshape(-1, self.width), places))
            for at in rows:
                starts[at] = found
                found += len(wanted[at])
        back = np.concatenate([start + np.arange(len(places)) for start, places in zip(starts, wanted, strict=True)])
        ids = np.repeat([context.document for context in window], [len(places) for places in wanted])
        return _rows(torch.cat(parts), back), ids.astype(np.int64)

    def _read(self) -> Iterator[Context]:
        return self._contexts(documents(self.files, self._whole))

    def _ended(self, tokens: int) -> None:
        if not tokens:
            raise InputError(f"{self.name}: the text holds no tokens to measure")
        if self.tokens not in (None, tokens):
            found = f"{tokens} tokens were read where there were {self.tokens}"
            raise InputError(f"{self.name}: {found}: leave the text as it is while it is measured")
        self.tokens = tokens


def _rows(x: Tensor, places: np.ndarray) -> Tensor:
    return x.index_select(0, torch.from_numpy(places).to(x.device))


def _joined(pieces: list[tuple[Tensor, np.ndarray]]) -> tuple[Tensor, np.ndarray]:
    x, ids = zip(*pieces, strict=True)
    return torch.cat(x), np.concatenate(ids)
