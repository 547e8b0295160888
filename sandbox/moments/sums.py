"""`Sums`: totals over tokens that merge by `+`, so a run can be split, stopped, resumed or distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

from sandbox.errors import InputError


@dataclass(frozen=True, eq=False)
class Sums:
    """Base of frozen dataclasses whose fields are plain sums over tokens.

    Each field is a tensor, another `Sums`, or None for a quantity that is not counted.
    """

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, field.name) for field in fields(self))

    def __add__(self, other: Self) -> Self:
        """The sums over both sets of tokens, as if counted at once. Raises InputError if their shapes differ."""
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = ([tuple(tensor.shape) for tensor in sums.tensors().values()] for sums in (self, other))
        if mine != theirs:
            name = type(self).__name__
            raise InputError(f"these {name} do not merge: their sums have the shapes {mine} and {theirs}")
        pairs = zip(self, other, strict=True)
        return type(self)(*(None if value is None else value + another for value, another in pairs))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with `change` applied to every tensor, in the order of `tensors`."""
        return type(self)(
            *(
                None if value is None else value.map(change) if isinstance(value, Sums) else change(value)
                for value in self
            )
        )

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by the name of its field; "field.name" for the tensors of a nested `Sums`."""
        named = {}
        for field, value in zip(fields(self), self, strict=True):
            if isinstance(value, Sums):
                named |= {f"{field.name}.{name}": tensor for name, tensor in value.tensors().items()}
            elif value is not None:
                named[field.name] = value
        return named

    def to(self, device: str | torch.device) -> Self:
        """A copy on another device."""
        return self.map(lambda tensor: tensor.to(device))
