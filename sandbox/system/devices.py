"""Names of devices, copies that nobody waits for, and arithmetic in the dtypes that numbers are held in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The dtypes that activations and reconstructions may be stored in, and `ANY_FLOAT`: the same in words."""
ANY_FLOAT = "float16, bfloat16, float32 or float64"
SAE_DTYPES = ("float32", "float64", "bfloat16")
MODEL_DTYPES = (*SAE_DTYPES, "float16")
"""Names of the dtypes that an SAE, or a model, may compute in."""


def dtype_named(name: str, choices: Sequence[str] = SAE_DTYPES) -> torch.dtype:
    """The dtype of that name. Raises InputError if it is none of `choices`."""
    if name not in choices:
        raise InputError(f"dtype is {name!r}: choose {', '.join(choices)}")
    return getattr(torch, name)


def device_named(name: str | torch.device) -> torch.device:
    """The device of that name. Raises InputError when there is none, or it cannot hold a tensor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        probe = torch.empty(1, device=device)
        probe.cpu()  # a device that holds no numbers, such as meta, fails here
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        named = " or ".join(["auto", *(one for one, is_there in there.items() if is_there)])
        raise InputError(f"device {str(name)!r} cannot be used on this machine: choose {named}") from error
    return probe.device  # with its number, so that it equals that of its tensors


def device_type(name: str | torch.device) -> str:
    """Its type, cpu or cuda, say, whether there is one here or not. Raises InputError for what is no device at all."""
    try:
        return torch.device(name).type
    except RuntimeError:
        return device_named(name).type


def sent(held: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """What is on the CPU, on the device. The program does not wait: on CUDA it goes through pinned memory, since a copy
    of what is not pinned may first wait for all that the device has to do.
    """
    tensor = torch.from_numpy(held) if isinstance(held, np.ndarray) else held
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Within, numbers are multiplied in the dtype that they are held in, whatever autocast the caller is in.

    A report says in which dtype an SAE was computed: autocast would make bfloat16 of float32, and say nothing.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
