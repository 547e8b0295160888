"""A transformers model from disk, and the activations at one or two of its modules, where the forward pass stops."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sandbox.errors import InputError
from sandbox.system.devices import sent
from sandbox.system.dtypes import MODEL_DTYPES, dtype_named

NEEDED = "a folder with config.json, .safetensors weights and a tokenizer, as save_pretrained writes it, is needed"


INPUT, OUTPUT = ".input", ".output"
"""What follows a module's name at the point of its input or its output, as in Gemma Scope 2's hf_hook_point_in."""


class Tap:
    """The activations at one point of a model, or at two, from token ids. A forward pass stops at the last of them.

    A point is the output of a module, by its name in model.named_modules(), or its input, by that name and INPUT.

    Attributes:
        module: the first point
        target: the second, whose activations are appended to those of the first; None for none
        device: of the model and of the activations
    """

    def __init__(self, model: nn.Module, module: str, device: torch.device, target: str | None = None) -> None:
        self.model, self.module, self.target, self.device = model.to(device), module, target, device

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """The activations, (batch, tokens, d), for a tokenizer's output, (batch, tokens) each."""
        return torch.cat(self.each(inputs), -1)

    @torch.no_grad()
    def each(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """The activations at each point.

        If a module has several outputs or inputs, or is called several times in a forward pass, the first counts.
        """
        points = [point for point in (self.module, self.target) if point is not None]
        reached: dict[int, Tensor] = {}
        shape = inputs["input_ids"].shape

        def keep(index: int, activations: Any) -> None:
            if index not in reached:
                found = activations_of(activations, points[index], shape)
                reached[index] = found.clone() if len(points) > 1 else found  # the model may go on, and work in place
            if len(reached) == len(points):
                raise _Reached

        with ExitStack() as hooks:
            for index, point in enumerate(points):
                hooks.callback(_hooked(self.model, point, partial(keep, index)).remove)
            try:
                self.model(**accepted(self.model, inputs, self.device))
            except _Reached:
                pass
            except torch.OutOfMemoryError as error:
                raise InputError(
                    f"the model runs out of memory on {shape[0]} contexts of {shape[1]} tokens: "
                    "choose a smaller batch, or context"
                ) from error
        for index, point in enumerate(points):
            if index not in reached:
                raise InputError(f"the model does not run {point!r} when it reads text: name another module")
        return [reached[index] for index in range(len(points))]


def _hooked(model: nn.Module, point: str, keep: Callable[[Any], None]) -> RemovableHandle:
    """A hook that passes on the activations at a point."""
    if _is_input(model, point):

        def before(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            keep(args or tuple(named.values()))

        return model.get_submodule(point.removesuffix(INPUT)).register_forward_pre_hook(before, with_kwargs=True)
    return model.get_submodule(point).register_forward_hook(lambda _module, _inputs, output: keep(output))


def _is_input(model: nn.Module, point: str) -> bool:
    """Whether a point is a module's input: not if a module has all of its name."""
    return point.endswith(INPUT) and point not in {name for name, _ in model.named_modules()}


def accepted(model: nn.Module, inputs: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Those of a tokenizer's outputs that the model takes, on its device."""
    takes = inspect.signature(model.forward).parameters
    return {key: sent(value, device) for key, value in inputs.items() if key in takes}


def activations_of(output: Any, module: str, shape: torch.Size) -> Tensor:
    """A module's output, or the first of its outputs; raises InputError unless it is a vector for each token."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.shape[:-1] != shape:
        actual = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        needed = f"activations of shape ({shape[0]}, {shape[1]}, d)"
        raise InputError(f"{module!r} outputs {actual} for {tuple(shape)} tokens: {needed} are needed")
    return output


class _Reached(BaseException):
    """Ends the forward pass at the hooked module. Not an Exception, so that no model catches it."""


def load(model: str | Path, dtype: str, *, head: bool = False) -> tuple[Any, set[str], Any]:
    """A model without its head, or a causal language model with it; the names of missing weights; and its tokenizer.

    Nothing is downloaded, and no code from the folder is executed: weights are read only from safetensors, and classes
    are transformers' own.

    Args:
        model: a folder written by save_pretrained, or a name in the local Hugging Face cache
        dtype: to compute in: float32, float64, bfloat16 or float16
        head:  whether to load the head that predicts the next token, too
    Raises: InputError if the model or its tokenizer cannot be loaded
    """
    compute_dtype = dtype_named(dtype, MODEL_DTYPES)
    transformers = _transformers()
    folder = _folder(model)
    local = {"local_files_only": True, "trust_remote_code": False}
    with _quiet(transformers):
        try:
            config = transformers.AutoConfig.from_pretrained(folder, **local)
            # A config may request a kernel, that is, code from elsewhere. Let transformers choose its own instead.
            config._attn_implementation = config._experts_implementation = None
            options = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
            kind = transformers.AutoModelForCausalLM if head else transformers.AutoModel
            loaded, info = kind.from_pretrained(folder, config=config, dtype=compute_dtype, **options, **local)
        except Exception as error:  # of any type, from several libraries
            raise InputError(f"{folder} cannot be loaded by transformers: {_first_sentence(error)}") from error
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        except Exception as error:
            raise InputError(f"{folder} has no tokenizer that transformers can load: {NEEDED}") from error
    if info["mismatched_keys"]:
        name, actual, expected = sorted(info["mismatched_keys"])[0]
        raise InputError(f"{folder}: {name} has shape {tuple(actual)}, but config.json makes it {tuple(expected)}")
    # Without a vocabulary, transformers makes a tokenizer that knows no words. A byte tokenizer has no vocabulary file.
    vocabularies = set(tokenizer.vocab_files_names.values()) | {"tekken.json", "*.model", "*.tiktoken"}
    if tokenizer.vocab_files_names and not any(any(folder.glob(name)) for name in vocabularies):
        raise InputError(f"{folder} has a tokenizer without a vocabulary: {NEEDED}")
    loaded.config.use_cache = False  # cached keys and values would never be used
    return loaded.eval(), set(info["missing_keys"]), tokenizer


def _transformers() -> ModuleType:
    try:
        with warnings.catch_warnings():  # its own imports may warn
            warnings.simplefilter("ignore")
            import transformers
    except ImportError as error:
        raise InputError(
            "live activations need transformers, which is not installed: pip install transformers"
        ) from error
    return transformers


def _folder(model: str | Path) -> Path:
    """The model's folder, which may be in the local cache."""
    folder = Path(model)
    if not folder.is_dir():
        if folder.exists():
            raise InputError(f"{model} is a file: {NEEDED}")
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(str(model), local_files_only=True))
        except Exception as error:  # no such name, or an invalid one
            raise InputError(
                f"{model} is neither a folder nor a model in the local Hugging Face cache, and nothing is downloaded "
                "here: download it first, or name its folder"
            ) from error
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder} holds an adapter: merge it into its model, save the result, and name that folder")
    if not (folder / "config.json").exists():
        raise InputError(f"{folder} has no config.json: {NEEDED}")
    if not any(folder.glob("*.safetensors")):
        suffixes = (".bin", ".pt", ".pth", ".h5")
        others = ", ".join(sorted(file.name for file in folder.iterdir() if file.suffix in suffixes))
        raise InputError(f"{folder} has no .safetensors weights (weights found: {others or 'none'}): {NEEDED}")
    return folder


@contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Within the block, transformers shows no progress bars and no table of keys; `load` checks the keys itself."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0][:300]


def tap_layer(model: nn.Module, layer: int, device: torch.device, target: str | None = None) -> Tap:
    """The residual stream after block `layer`, counted from 0, and a target. Blocks behind both never run.

    Without a target, they are deleted.
    """
    module = layer_named(model, layer)
    if target is not None:
        return Tap(model, module, device, point_named(model, target))
    del find_blocks(model)[1][layer + 1 :]
    return Tap(model, module, device)


def tap_hook(model: nn.Module, hook: str, device: torch.device, target: str | None = None) -> Tap:
    """One or two points by name, with or without the prefix of the model with a head (transformer.h.3 is h.3)."""
    return Tap(model, point_named(model, hook), device, None if target is None else point_named(model, target))


def point_named(model: nn.Module, point: str) -> str:
    """A point of this model, from a module's name, with INPUT for its input and, if one likes, OUTPUT for its output.

    A module whose own name ends so goes first.
    """
    for suffix, kept in ((INPUT, INPUT), (OUTPUT, "")):
        if point.endswith(suffix):
            with suppress(InputError):
                return module_named(model, point)
            return module_named(model, point.removesuffix(suffix)) + kept
    return module_named(model, point)


def layer_named(model: nn.Module, layer: int) -> str:
    """The name of block `layer`, counted from 0."""
    name, blocks = find_blocks(model)
    if not 0 <= layer < len(blocks):
        raise InputError(f"layer is {layer}: the model has {len(blocks)} blocks, 0 to {len(blocks) - 1}")
    return f"{name}.{layer}"


def module_named(model: nn.Module, hook: str) -> str:
    """The name of a module in this model, from its name in the model with or without a head."""
    names = {name for name, _ in model.named_modules() if name}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    bare = hook.removeprefix(prefix)
    for name in (hook, bare, prefix + hook):
        if name in names:
            return name
    near = difflib.get_close_matches(bare, sorted(names), n=4, cutoff=0.3) or sorted(names)[:4]
    raise InputError(f"the model has no module {hook!r}; similar names: {', '.join(near)}")


def find_blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """The name and the list of a model's blocks: the only outermost nn.ModuleList of config.num_hidden_layers modules.

    Raises: InputError if there is none, or several (an encoder and a decoder)
    """
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    modules = dict(model.named_modules())
    lists = {name: part for name, part in modules.items() if isinstance(part, nn.ModuleList) and len(part) == count}
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outer) != 1:
        names = f" ({', '.join(outer)})" if outer else ""
        raise InputError(
            f"{type(model).__name__} has {len(outer)} lists of {count} blocks{names}: name a module (hook), not a layer"
        )
    return outer[0], lists[outer[0]]


def probe(tap: Tap, inputs: dict[str, Tensor], missing: Iterable[str]) -> list[int]:
    """The width d at each point of the tap, from one short pass that refuses to use weights that the checkpoint lacks.

    transformers fills such weights with random numbers, which are harmless only behind the tap.
    """
    with ExitStack() as guards:
        for name in missing:
            owner = name.rpartition(".")[0]
            if owner in {module for module, _ in tap.model.named_modules()}:
                guard = tap.model.get_submodule(owner).register_forward_pre_hook(_refuse(tap.model, name))
                guards.callback(guard.remove)
        return [activations.shape[-1] for activations in tap.each(inputs)]


def _refuse(model: Any, name: str) -> Any:
    def guard(_module: nn.Module, _inputs: Any) -> None:
        raise InputError(
            f"{model.name_or_path} lacks {name}, which transformers would fill at random: save the whole model"
        )

    return guard
