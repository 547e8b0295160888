"""Tensors that say they are on cuda:0 and compute on the CPU, and a log of every wait that a real card would make.

torch's own FakeTensorMode answers only whether shapes and devices fit; here the numbers are true, so that the CUDA path
can be compared with the CPU's and goes on after a wait. To torch's core a pretended tensor is on `meta`, which needs no
driver and has autograd; Python sees cuda:0. Each operation arrives in `Pretended.run`, which

- refuses tensors of two devices, as CUDA does (a number, and an index, may come from the CPU: the index is a wait);
- refuses products of whole numbers, for which CUDA has no kernel;
- logs what makes the program wait for the device: a number read, a shape that depends on the data, a copy that is not
  asynchronous;
- counts operations, each of which is a kernel or more on a card, and the bytes that they read and write.

What it cannot know is what only a card knows: memory, speed, rounding in another order, TF32.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from tests.pretend.cuda import STAND_INS, PinnedMemory

aten = torch.ops.aten

CUDA = torch.device("cuda:0")
INSIDE = torch.device("meta")  # what torch's core takes it for
HERE = Path(__file__).parent

SOLVERS = ("_linalg_solve_ex", "linalg_inv_ex", "linalg_lstsq", "_linalg_eigh", "_linalg_svd", "linalg_cholesky_ex")
"""They ask the device how it went."""

INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
COPIES = {aten._to_copy.default, aten.copy_.default}
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "vdot")
FREE = {aten.view.default, aten._unsafe_view.default, aten.detach.default, aten.alias.default, aten.select.int}


@dataclass(frozen=True)
class Wait:
    """The program stood still until the device had done all that it was asked for.

    Attributes: why; operation: torch's name of it; place: file and function, "sandbox/moments/moments.py:merged"
    """

    why: str
    operation: str
    place: str


class OnDevice(Tensor):
    """A tensor on the pretended device: a shell around the one on the CPU that has its numbers."""

    held: Tensor
    log: Pretended
    typed = False  # whether it is a number of the program, of which torch made a tensor

    @staticmethod
    def __new__(cls, held: Tensor, log: Pretended) -> OnDevice:
        """The shell of `held`."""
        shell = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=INSIDE,
            requires_grad=False,
        )
        shell.held, shell.log = held, log
        return shell

    @property
    def device(self) -> torch.device:
        """The pretended one."""
        return CUDA

    @property
    def is_cuda(self) -> bool:
        """It says so."""
        return True

    @property
    def is_meta(self) -> bool:
        """It does not say so."""
        return False

    def tolist(self) -> Any:
        """As on a card: the numbers are read."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """As on a card."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def record_stream(self, stream: Any) -> None:
        """Nothing is freed early here."""

    def __format__(self, specification: str) -> str:
        return format(self.item() if not self.ndim else repr(self), specification)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        self.log.wait("it is printed", "repr")
        return f"OnDevice({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        log = next(one.log for one in tree_leaves((args, kwargs)) if isinstance(one, OnDevice))
        return log.run(func, args, kwargs or {})


@dataclass
class Pretended:
    """What has happened on the pretended device.

    Attributes:
        waits:      in their order
        operations: how many of each, by place and name; each is a kernel or more on a card
        moved:      bytes read and written by them
    """

    waits: list[Wait] = field(default_factory=list)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    moved: int = 0

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """One operation, on the CPU, as the device would have it."""
        if func.namespace == "c10d":  # between processes, in place
            return func(*tree_map(_held, args), **tree_map(_held, kwargs))
        leaves = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        here = [one for one in leaves if not isinstance(one, OnDevice)]
        there = [one for one in leaves if isinstance(one, OnDevice)]
        asked = kwargs.get("device")
        wanted = None if asked is None else torch.device(asked).type in ("meta", "cuda")
        if func in COPIES:
            self._copy(func, args, kwargs, wanted)
        elif there and here:
            self._refuse_mixed(func, args, here)
        on_device = bool(there) if wanted is None else wanted
        if there:
            self._look(func, args)
        if wanted is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        kwargs.pop("pin_memory", None)
        found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if there or on_device:
            self._count(func, leaves, found)
        if not on_device:
            return found
        shells = tree_map(lambda one: OnDevice(one, self) if isinstance(one, Tensor) else one, found)
        if not leaves and isinstance(shells, OnDevice):
            shells.typed = not shells.ndim
        return return_and_correct_aliasing(func, args, kwargs, shells) if there and func is not aten.set_ else shells

    def wait(self, why: str, operation: str) -> None:
        """Log one."""
        self.waits.append(Wait(why, operation, _place()))

    def _copy(self, func: Any, args: Any, kwargs: dict[str, Any], wanted: bool | None) -> None:
        target, source = (args[0], args[1]) if func is aten.copy_.default else (None, args[0])
        to = isinstance(target, OnDevice) if target is not None else wanted
        if to is None or to == isinstance(source, OnDevice):
            return
        asynchronous = kwargs.get("non_blocking") or (target is not None and len(args) > 2 and args[2])
        if source.ndim == 0 and to and not asynchronous:
            self.wait("a number is sent and waited for", str(func))
        elif not asynchronous:
            self.wait("a copy is waited for", str(func))
        elif to and not isinstance(source, PinnedMemory):
            self.wait("a copy of memory that is not pinned may be waited for", str(func))
        elif not to:
            self.wait("a copy to memory that is not pinned is waited for", str(func))

    def _refuse_mixed(self, func: Any, args: Any, here: list[Tensor]) -> None:
        written = func._schema.is_mutable and not isinstance(args[0], OnDevice)
        if not any(one.ndim for one in here) and not written:
            # One number from the CPU goes along with whatever is done entry by entry, and into an index or a mask.
            if torch.Tag.pointwise in func.tags or func in INDEXING or "fill" in str(func):
                return
        elif func in INDEXING and not (isinstance(args[0], Tensor) and any(one is args[0] for one in here)):
            values = args[2] if len(args) > 2 else None
            if not any(one is values for one in here if one.ndim):
                self.wait("an index is sent from the CPU", str(func))
                return
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({func}, "
            f"in {_place()})"
        )

    def _look(self, func: Any, args: Any) -> None:
        if torch.Tag.dynamic_output_shape in func.tags and func not in INDEXING:
            self.wait("a shape depends on the data", str(func))
        elif torch.Tag.data_dependent_output in func.tags or func is aten.allclose.default:
            self.wait("a number is read", str(func))
        elif _name(func) in SOLVERS:
            self.wait("a solver's state is read", str(func))
        elif func in INDEXING and any(one.dtype in (torch.bool, torch.uint8) for one in args[1] if one is not None):
            value = args[2] if len(args) > 2 else None
            filled = value is not None and not (isinstance(value, OnDevice) and not value.typed) and value.numel() == 1
            filled = filled and len(args[1]) == 1
            if not filled:  # that one is a masked fill, which takes no shape from the data
                self.wait("a mask is an index: a shape depends on the data", str(func))
        elif _name(func) in PRODUCTS and not args[-1].dtype.is_floating_point:
            raise RuntimeError(f"\"{func}\" not implemented for '{args[-1].dtype}' on CUDA (in {_place()})")

    def _count(self, func: Any, inputs: list[Tensor], found: Any) -> None:
        if func in FREE or func.is_view:
            return
        self.operations[_place(), str(func)] += 1
        outputs = [one for one in tree_leaves(found) if isinstance(one, Tensor)]
        self.moved += sum(one.numel() * one.element_size() for one in (*inputs, *outputs))


class _Operations(TorchDispatchMode):
    """What has no tensor of the device among its arguments, such as `torch.zeros`, and what copies one there."""

    def __init__(self, log: Pretended):
        super().__init__()
        self.log = log

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.log.run(func, args, kwargs or {})


class _Devices(TorchFunctionMode):
    """Torch's core never hears of cuda: it would look for a driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if func is torch.Tensor.pin_memory:
            return args[0] if isinstance(args[0], PinnedMemory) else args[0].as_subclass(PinnedMemory)
        if func is torch.Tensor.cuda:
            func, args = torch.Tensor.to, (args[0], INSIDE)
        if func is torch.Tensor.new_tensor:
            func, args, kwargs = torch.tensor, args[1:], {"dtype": args[0].dtype, "device": args[0].device} | kwargs
        if func in (torch.tensor, torch.as_tensor) and _inside(kwargs.get("device")) is INSIDE:
            made = func(*args, **{name: one for name, one in kwargs.items() if name != "device"})
            return made.to(INSIDE) if not isinstance(made, OnDevice) else made
        kwargs = {name: _inside(one) for name, one in kwargs.items()}
        if (generator := kwargs.get("generator")) is not None:
            there = kwargs.get("device") is INSIDE or any(isinstance(one, OnDevice) for one in args)
            _refuse_other_generator(generator, there)
        return func(*(_inside(one) for one in args), **kwargs)


def _name(func: Any) -> str:
    return func._schema.name.split("::")[-1]


def _inside(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda":
        return INSIDE
    return INSIDE if isinstance(value, str) and value.split(":")[0] == "cuda" else value


def _refuse_other_generator(generator: torch.Generator, on_device: bool) -> None:
    if getattr(generator, "pretended", False) != on_device:
        raise RuntimeError(f"Expected a '{'cuda' if on_device else 'cpu'}' device type for generator (in {_place()})")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnDevice) else value


def _place() -> str:
    """The innermost function that is neither torch's nor of this folder."""
    frame = sys._getframe(1)
    while frame is not None:
        if (named := _named(frame.f_code.co_filename)) is not None:
            return f"{named}:{frame.f_code.co_name}"
        frame = frame.f_back
    return "nowhere"


@cache
def _named(file: str) -> str | None:
    """The file from its package's name on; None for torch's own, and for those of this folder that pretend."""
    path = Path(file)
    if "torch" in path.parts or path.suffix != ".py" or path in (HERE / "device.py", HERE / "cuda.py"):
        return None
    known = [at for at, part in enumerate(path.parts) if part in ("sandbox", "sae_lens", "tests", "benchmarks")]
    return "/".join(path.parts[known[-1] if known else -2 :])


@contextmanager
def pretend_cuda() -> Iterator[Pretended]:
    """While it lasts there is one CUDA device; what happens on it is in the log that is given."""
    log = Pretended()

    @contextmanager
    def modes() -> Iterator[None]:
        with _Operations(log), _Devices():
            yield

    run = threading.Thread.run

    def run_pretending(thread: threading.Thread) -> None:
        with modes():  # torch's modes belong to one thread
            run(thread)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(threading.Thread, "run", run_pretending))
        for owner, name, stand_in in STAND_INS:
            stack.enter_context(mock.patch.object(owner, name, stand_in))

        def synchronize(device: Any = None) -> None:
            log.wait("the program asks to", "torch.cuda.synchronize")

        stack.enter_context(mock.patch.object(torch.cuda, "synchronize", synchronize))
        stack.enter_context(modes())
        yield log
