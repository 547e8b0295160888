"""Activations that a model computes from text while they are measured: in the order of the text, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sandbox.activations import Chunk, Targets
from sandbox.activations.live.contexts import Context, Contexts
from sandbox.activations.live.model import Tap, load, probe, tap_hook, tap_layer
from sandbox.activations.live.texts import documents, text_files
from sandbox.activations.origin import Origin
from sandbox.activations.source import check_range, rechunked
from sandbox.errors import InputError
from sandbox.system.devices import device_named, sent


def live(
    model: str | Path,
    layer: int | None,
    text: str | Path,
    *,
    hook: str | None = None,
    target_hook: str | None = None,
    context: int | None = None,
    batch: int = 16,
    whole_files: bool = False,
    device: str | torch.device = "auto",
    dtype: str = "float32",
) -> Live:
    """Activations of a transformers model on text, token by token, computed as they are read.

    Args:
        model:       a folder written by save_pretrained, or a name in the local Hugging Face cache. Nothing is
                     downloaded, no code from the folder is executed, weights are read only from safetensors
        layer:       the residual stream after this block, counted from 0: transformers' hidden_states[layer + 1],
                     except for the last block, where many models' hidden states include the final norm and this does
                     not. TransformerLens's blocks.N.hook_resid_pre is layer N − 1, its hook_resid_post layer N
        text:        a .txt file (blank lines separate documents), a .jsonl file (the field "text" of each line is a
                     document), or a folder or a pattern of such files
        hook:        instead of a layer, the name of a module in AutoModel's named_modules(): its output, or the first
                     of its outputs; followed by ".input", its input, such as "layers.14.mlp.input"
        target_hook: for transcoders, a second module, named likewise: its output is the target y (`Targets`), from
                     the same forward pass
        context:     tokens that the model reads at once, including special tokens; longer documents are cut. None is
                     the model's maximum, up to 1024
        batch:       contexts computed at a time
        whole_files: treat each .txt file as one document, including its blank lines
        device:      device of the model and of the activations
        dtype:       dtype that the model computes in: float32, float64, bfloat16 or float16
    Raises: InputError for a model, layer or text that cannot be read
    """
    if (layer is None) == (hook is None):
        raise InputError("name either a layer or a hook: they say which activations to measure")
    if batch < 1:
        raise InputError(f"batch is {batch}: it must be at least 1 context")
    files = text_files(text)
    compute_device = device_named(device)
    loaded, missing, tokenizer = load(model, dtype)
    contexts = Contexts(tokenizer, loaded.config.get_text_config(), loaded, context)
    if layer is not None:
        tap = tap_layer(loaded, layer, compute_device, target_hook)
        stated_in = f"layer {layer}, {tap.module}"
    else:
        tap = tap_hook(loaded, str(hook), compute_device, target_hook)
        stated_in = f"hook {tap.module}"
    # The name determines the tokens: a saved run is resumed only under the same name.
    by_file = ", file by file," if whole_files else ""
    points = tap.module if tap.target is None else f"{tap.module} and {tap.target}"
    name = f"{model}, {points} in {dtype}, on {text}{by_file} in contexts of {contexts.size}"
    return Live(name, tap, contexts, files, whole_files, batch, missing, Origin(stated_in, tap.module, str(model), {}))


class Live:
    """A source of activations computed from text. `tokens` is known after `count()`, or after a full pass.

    The same tokens are bit-identical wherever reading starts: contexts are grouped into windows and batches from the
    beginning of the text, and those outside the requested range are tokenised but not computed. So an interrupted run
    can be resumed without a difference, and several processes can share the tokens.

    Attributes:
        name:   the model, the module and the text, for messages
        width:  d, the dimension of the activations, with that of the targets if there are any
        targets: where they begin in each row; None without any
        tokens: number of tokens without special tokens and padding; None until it is known
        files:  the text files
        origin: the model and the hook

    Args: read: yields the contexts, if they are not those of the files but have been kept (`kept.Kept`)
    """

    targets: Targets | None = None

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
        read: Callable[[], Iterator[Context]] | None = None,
    ) -> None:
        self.name, self.origin, self._kept = name, origin, read
        self.tokens: int | None = None
        self._tap, self._contexts, self.files, self._whole, self._batch = tap, contexts, files, whole, batch
        shortest = Context(0, np.concatenate([contexts.before, [0], contexts.after]), np.array([len(contexts.before)]))
        widths = probe(tap, contexts.padded([shortest, shortest]), missing)
        self.width = sum(widths)
        if tap.target is not None:
            model = "" if origin is None else origin.model
            of_target = Origin(f"target {tap.target}", tap.target, model, {})
            self.targets = Targets(widths[0], tap.target, of_target)

    @property
    def device(self) -> torch.device:
        """The device on which the model runs and chunks arrive."""
        return self._tap.device

    def count(self) -> int:
        """Number of tokens. All text is tokenised, but the model does not run."""
        if self.tokens is None:
            self._ended(sum(len(context.measured) for context in self._read()))
        assert self.tokens is not None
        return self.tokens

    def sample(self, size: int) -> Tensor:
        """The first tokens, at most `size`, (n, d); `chunks` yields them too."""
        return next(self.chunks(size, 0, size)).x

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop (or to the end), in the order of the text, `size` at a time; the last may be shorter."""
        check_range(size, start, stop)
        yield from rechunked(self._pieces(start, math.inf if stop is None else stop), size)

    def _pieces(self, start: int, stop: float) -> Iterator[Chunk]:
        """The tokens of each window that lie between start and stop."""
        tokens = 0
        for window in self._windows():
            requested = []
            for context in window:
                n = len(context.measured)
                requested.append(context.measured[max(start - tokens, 0) : int(min(max(stop - tokens, 0), n))])
                tokens += n
            if any(len(positions) for positions in requested):
                yield self._computed(window, requested)
            if tokens >= stop:
                return
        self._ended(tokens)

    def _windows(self) -> Iterator[list[Context]]:
        """Consecutive contexts with at least as many tokens together as one batch of the longest contexts."""
        window: list[Context] = []
        tokens = 0
        for context in self._read():
            window.append(context)
            tokens += len(context.ids)
            if tokens >= self._batch * self._contexts.size:
                yield window
                window, tokens = [], 0
        if window:
            yield window

    def _computed(self, window: list[Context], requested: list[np.ndarray]) -> Chunk:
        """The requested positions of a window's contexts: computed in batches of similar length, returned in order."""
        order = sorted(range(len(window)), key=lambda index: len(window[index].ids))
        parts, starts, computed = [], np.zeros(len(window), dtype=np.int64), 0
        for first in range(0, len(order), self._batch):
            batch = order[first : first + self._batch]
            if not any(len(requested[index]) for index in batch):
                continue
            inputs = self._contexts.padded([window[index] for index in batch])
            longest = inputs["input_ids"].shape[1]
            rows = np.concatenate([row * longest + requested[index] for row, index in enumerate(batch)])
            parts.append(_rows(self._tap(inputs).reshape(-1, self.width), rows))
            for index in batch:
                starts[index] = computed
                computed += len(requested[index])
        counts = [len(positions) for positions in requested]
        in_order = np.concatenate([start + np.arange(count) for start, count in zip(starts, counts, strict=True)])
        ids = np.repeat([context.document for context in window], counts)
        return Chunk(_rows(torch.cat(parts), in_order), ids.astype(np.int64))

    def _read(self) -> Iterator[Context]:
        return self._kept() if self._kept else self._contexts(documents(self.files, self._whole))

    def _ended(self, tokens: int) -> None:
        if not tokens:
            raise InputError(f"{self.name}: the text holds no tokens to measure")
        if self.tokens not in (None, tokens):
            raise InputError(
                f"{self.name}: the text had {self.tokens} tokens and now has {tokens}: do not change it while it is "
                "measured"
            )
        self.tokens = tokens


def _rows(x: Tensor, rows: np.ndarray) -> Tensor:
    return x.index_select(0, sent(rows, x.device))
