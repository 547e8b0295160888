"""A causal language model whose activations at one module can be replaced while it predicts the next tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.activations.live.model import accepted, activations_of, find_blocks
from sandbox.errors import InputError

TOLERANCE = 1e-3
"""Relative difference between logits that is rounding; GPUs may add up in another order when asked twice."""


class Splice:
    """Runs a model with and without replaced activations.

    Attributes:
        model:  a causal language model, on its device
        module: name of the module whose output is replaced
        device: of the model
    """

    def __init__(self, model: Any, module: str, device: torch.device) -> None:
        self.model, self.module, self.device = model.to(device), module, device
        self._spliced: nn.Module = model.get_submodule(module)
        self._before = _blocks_before(model, module)

    @torch.no_grad()
    def clean(self, inputs: dict[str, Tensor]) -> Clean:
        """The model's own logits and activations, for a tokenizer's output, (batch, tokens) each."""
        outputs: dict[nn.Module, Any] = {}

        def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
            if module in outputs:
                raise InputError(f"the model runs {self.module!r} more than once for a text: name another module")
            outputs[module] = output

        watched = {self._spliced, *self._before[-1:]}
        handles = [module.register_forward_hook(keep) for module in watched]
        try:
            logits = self._logits(inputs)
        finally:
            for handle in handles:
                handle.remove()
        if self._spliced not in outputs:
            raise InputError(f"the model does not run {self.module!r} when it reads text: name another module")
        x = activations_of(outputs[self._spliced], self.module, inputs["input_ids"].shape)
        return Clean(logits, x, outputs[self._spliced], outputs.get(self._before[-1]) if self._before else None)

    @torch.no_grad()
    def replaced(self, inputs: dict[str, Tensor], clean: Clean, x: Tensor) -> Tensor:
        """The logits, (batch, tokens, vocabulary), where x, (batch, tokens, d), takes the place of the activations."""
        output = _with_first(clean.output, x.to(clean.x.dtype))
        before = clean.output_before if self._spliced not in self._before else output
        with _passed_over(self._before, before), _hooked(self._spliced, output):
            return self._logits(inputs)

    def check(self, inputs: dict[str, Tensor]) -> None:
        """Make sure, on a few tokens, that the model is causal and that replacing works.

        The blocks before the replaced activations need not run again. A model in which they have another effect on the
        later ones, such as shared keys and values, runs whole.

        Args:   inputs: at least two different tokens in each row
        Raises: InputError if the prediction of a token depends on later tokens, or if replaced activations change
                nothing
        """
        clean = self.clean(inputs)
        changed = {key: value.clone() for key, value in inputs.items()}
        for ids in changed["input_ids"]:
            ids[-1] = ids[ids != ids[-1]][0]
        if not _same(self._logits(changed)[:, :-1], clean.logits[:, :-1]):
            raise InputError(
                f"{self.model.name_or_path} is no causal language model: its prediction of a token depends on later "
                "tokens"
            )
        if not self._may_pass_over(inputs, clean):
            self._before = []
            if not self._may_pass_over(inputs, clean):
                raise InputError(
                    f"{self.module!r} returns something else when its own output replaces it: name another"
                )
        if _same(self.replaced(inputs, clean, torch.zeros_like(clean.x)), clean.logits):
            raise InputError(f"the model's predictions do not depend on {self.module!r}: name another module")

    def _may_pass_over(self, inputs: dict[str, Tensor], clean: Clean) -> bool:
        """Whether the model computes the same without running the blocks before."""
        try:
            return _same(self.replaced(inputs, clean, clean.x), clean.logits)
        except Exception:  # of any type: what the model misses is its own affair
            return False

    def _logits(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model(**accepted(self.model, inputs, self.device)).logits


class Clean:
    """What the model computes by itself.

    Attributes:
        logits:        (batch, tokens, vocabulary)
        x:             the activations, (batch, tokens, d)
        output:        the module's output, of which x is the first part
        output_before: that of the last block before the module; None if there is none
    """

    def __init__(self, logits: Tensor, x: Tensor, output: Any, output_before: Any) -> None:
        self.logits, self.x, self.output, self.output_before = logits, x, output, output_before


def _blocks_before(model: Any, module: str) -> list[nn.Module]:
    """The blocks whose output the replaced activations make irrelevant: up to the module, if it is a block itself."""
    try:
        name, blocks = find_blocks(model)
    except InputError:  # an unusual model runs whole
        return []
    if not module.startswith(f"{name}."):
        return []
    number, _, inside = module.removeprefix(f"{name}.").partition(".")
    return list(blocks)[: int(number) + (not inside)]


@contextmanager
def _passed_over(blocks: list[nn.Module], output: Any) -> Iterator[None]:
    """Let blocks return `output` without computing anything. They keep their attributes, which models read."""
    try:
        for block in blocks:
            block.forward = lambda *_args, **_options: output
        yield
    finally:
        for block in blocks:
            vars(block).pop("forward", None)


@contextmanager
def _hooked(module: nn.Module, output: Any) -> Iterator[None]:
    """Replace the module's output."""
    handle = module.register_forward_hook(lambda _module, _inputs, _output: output)
    try:
        yield
    finally:
        handle.remove()


def _with_first(output: Any, x: Tensor) -> Any:
    """The output with x in place of the activations, which are all of it, or the first of its parts."""
    return type(output)((x, *output[1:])) if isinstance(output, tuple | list) else x


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= TOLERANCE * other.abs().max())
