"""What stands in for torch.cuda while a device is pretended: streams and events that do nothing, and a generator."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.distributed as dist

from sandbox.moments import fused


class Generator(torch.Generator):
    """Of the CPU, but it says that it is of the device."""

    pretended = False

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = super().__new__(cls, "cpu")
        made.pretended = torch.device(device).type in ("cuda", "meta")
        return made

    def manual_seed(self, seed: int) -> Generator:
        """As torch's, and it is still this one."""
        super().manual_seed(seed)
        return self


class PinnedMemory(torch.Tensor):
    """A tensor of the CPU in pinned memory: a copy from there need not be waited for."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # what is made of it is no longer pinned


class Stream:
    """All that is done on one is done at once."""

    def __init__(self, device: Any = None):
        self.device = device

    def wait_event(self, event: Any) -> None:
        """Nothing is waited for."""

    def synchronize(self) -> None:
        """Likewise."""


class Event:
    """It has always happened."""

    def __init__(self, **options: Any):
        pass

    def record(self, stream: Any = None) -> None:
        """Nothing to keep."""


_init_process_group = dist.init_process_group


def init_process_group(backend: str, **options: Any) -> None:
    """With gloo in the place of NCCL."""
    _init_process_group(backend.replace("nccl", "gloo"), **options)


STAND_INS: list[tuple[Any, str, Any]] = [
    (torch, "Generator", Generator),
    (torch, "inference_mode", torch.no_grad),  # its tensors take no shell
    (dist, "init_process_group", init_process_group),
    (torch.cuda, "is_available", lambda: True),
    (torch.cuda, "device_count", lambda: 1),
    (torch.cuda, "current_device", lambda: 0),
    (torch.cuda, "set_device", lambda device: None),
    (torch.cuda, "get_device_name", lambda device=None: "a pretended GPU"),
    (fused, "_works_on", lambda device: False),  # no kernel of Triton's can run there
    (torch.cuda, "empty_cache", lambda: None),
    (torch.cuda, "mem_get_info", lambda device=None: (2**30, 2**30)),
    (torch.cuda, "memory_allocated", lambda device=None: 0),
    (torch.cuda, "max_memory_allocated", lambda device=None: 0),
    (torch.cuda, "reset_peak_memory_stats", lambda device=None: None),
    (torch.cuda, "Stream", Stream),
    (torch.cuda, "Event", Event),
    (torch.cuda, "current_stream", Stream),
    (torch.cuda, "stream", lambda stream: nullcontext()),
]
