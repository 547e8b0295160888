"""Devices by name, asynchronous copies to them, and arithmetic without autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError


def device_named(name: str | torch.device) -> torch.device:
    """The device of that name; "auto" prefers CUDA to MPS to the CPU. Raises InputError for an unusable device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        probe = torch.empty(1, device=device)
        probe.cpu()  # fails for a device without numbers, such as meta
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        choices = " or ".join(["auto", *(device for device, usable in available.items() if usable)])
        raise InputError(f"device {str(name)!r} cannot be used on this machine: choose {choices}") from error
    return probe.device  # including its index, so that it equals the device of its tensors


def device_type(name: str | torch.device) -> str:
    """The device's type, such as cpu or cuda, available or not. Raises InputError for an unknown name."""
    try:
        return torch.device(name).type
    except RuntimeError:
        return device_named(name).type


def sent(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Values from the CPU, on the device, without waiting.

    On CUDA they go through pinned memory: a copy from memory that is not pinned may wait for all queued work.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Within the block, tensors are multiplied in their own dtype, even if the caller has autocast enabled.

    A report states the dtype in which the SAE computed; autocast would silently turn float32 into bfloat16.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
