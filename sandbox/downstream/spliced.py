"""What a run of `loss` works with, opened and checked before anything long begins: a model, its text, and SAEs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sandbox import checkpoints
from sandbox.activations.live.contexts import Contexts
from sandbox.activations.live.kept import Kept, halves
from sandbox.activations.live.model import Tap, layer_named, load, module_named
from sandbox.activations.live.source import Live
from sandbox.activations.live.texts import documents, text_files
from sandbox.activations.origin import Origin
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.downstream.options import Options
from sandbox.downstream.reader import contexts_at_once
from sandbox.downstream.replacements import Reconstructions
from sandbox.downstream.splice import Splice
from sandbox.errors import InputError
from sandbox.measuring.forward import BATCH, FEW, Forward
from sandbox.measuring.identity import size_and_time
from sandbox.measuring.measure import names_of
from sandbox.measuring.resume import Facts
from sandbox.system.devices import device_named


@dataclass
class Opened(Reconstructions):
    """An SAE as it was given, and its checkpoint; None if it is any other callable."""

    original: Any = None
    checkpoint: Checkpoint | None = None


def opened(item: Any, device: str, dtype: str, source: Live) -> Opened:
    """Open an SAE to read this source. Raises: InputError if it cannot, or is a transcoder"""
    checkpoint = item if isinstance(item, Checkpoint) else None
    if isinstance(item, str | Path) or callable(getattr(item, "save_model", None)):
        checkpoint = checkpoints.read(item)
    original = item if checkpoint is None else checkpoint
    sae = Forward(original, device, dtype, source.device, BATCH)
    if sae.transcodes:
        raise InputError(
            f"{sae.name} is a transcoder: here x̂ takes the place of the x that an SAE reads, which a transcoder does "
            "not reconstruct; give an SAE"
        )
    sae.read_from(source)
    return Opened(sae, original=original, checkpoint=checkpoint)


class Spliced:
    """A causal language model with one module to splice SAEs into, and the text that it reads.

    Attributes:
        name:        the model, the module and the text: it determines the tokens
        splice, tap: run the model with other activations, and read its own
        contexts:    cuts documents
        saes, names: the SAEs, and their names in the report
        batch:       contexts whose logits fit in memory
        chunk:       tokens between two saves, or two steps of a progress bar
    """

    def __init__(
        self, model: Path, layer: int | None, text: str | Path, saes: Sequence[Any], device: str, chosen: Options
    ) -> None:
        """Open everything. Args: as for `loss`. Raises: InputError"""
        if (layer is None) == (chosen.hook is None):
            raise InputError("name either a layer or a hook: they say which activations to replace")
        self.chosen, self.device = chosen, device_named(device)
        self.files, self.split = text_files(text), Split(chosen.share, chosen.seed)
        self.model, missing, self.tokenizer = load(model, chosen.model_dtype, head=True)
        if missing:
            raise InputError(
                f"{model} lacks {sorted(missing)[0]}, which transformers would fill at random: "
                "give a causal language model with its head"
            )
        module = layer_named(self.model, layer) if layer is not None else module_named(self.model, str(chosen.hook))
        self.splice = Splice(self.model, module, self.device)
        self.origin = Origin(module, module, str(model), {})
        config = self.model.config.get_text_config()
        self.contexts = Contexts(self.tokenizer, config, self.model, chosen.context)
        by_file = ", file by file," if chosen.whole_files else ""
        self.name = f"{model}, {module} in {chosen.model_dtype}, on {text}{by_file} in contexts of {self.contexts.size}"
        self.batch = contexts_at_once(self.contexts.size, config.vocab_size, self.device)
        self.chunk = self.batch * self.contexts.size
        self._check_causal()
        self.tap = Tap(self.model, module, self.device)
        source = self.read(self.tap, None, None)
        self.saes = [opened(item, str(self.device), chosen.dtype, source) for item in saes]
        self.names = names_of([sae.sae for sae in self.saes], chosen.name)

    def read(self, tap: Any, kept: Kept | None, tokens: int | None, batch: int = 16) -> Live:
        """A source: what a tap computes on the contexts that were kept, or on about so many tokens of them."""
        read = None if kept is None else partial(kept.spread, tokens)
        whole = self.chosen.whole_files
        return Live(self.name, tap, self.contexts, self.files, whole, batch, set(), self.origin, read)

    def _check_causal(self) -> None:
        """Try the splice on the first document with enough tokens."""
        for context in self.contexts(documents(self.files, self.chosen.whole_files)):
            if len(set(context.ids[context.measured].tolist())) > 2:
                short = context._replace(ids=context.ids[:FEW], measured=context.measured[context.measured < FEW])
                self.splice.check(self.contexts.padded([short]))
                return
        raise InputError(f"{self.name}: the text holds no document of three different tokens")

    @contextmanager
    def halves(self) -> Iterator[tuple[Kept, Kept]]:
        """The text, tokenised: the documents to fit on, and those to measure the loss on.

        Raises: InputError unless there are two documents to fit on, and one to measure the loss on
        """
        whole = self.chosen.whole_files
        count = sum(1 for _ in documents(self.files, whole))
        to_fit = int(self.split.chosen(np.arange(count)).sum())
        if to_fit < 2 or to_fit == count:
            raise InputError(
                f"{self.name}: of {count} documents, {to_fit} are to fit on and {count - to_fit} to measure the loss "
                "on: give more text, or another share or seed"
            )
        moved = self.chosen.bars("tokenising the text", 0)
        with halves(self.contexts, documents(self.files, whole), self.split, moved) as parts:
            yield parts

    def facts(self) -> Facts:
        """What identifies the model and the text."""
        weights = sorted(Path(self.model.name_or_path).glob("*.safetensors"))
        files: Facts = {str(path): size_and_time(path) for path in (*weights, *self.files)}
        return {"--model, --layer and --text": self.name} | files
