"""`Sums`: totals over tokens that merge by `+`, so that a run can be split, stopped, resumed and dealt out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from sandbox.errors import InputError


@dataclass(frozen=True, eq=False)
class Sums:
    """What a frozen dataclass of tensors, each a plain sum over tokens, can do."""

    def __iter__(self) -> Iterator[Tensor]:
        return (getattr(self, field.name) for field in fields(self))

    def __add__(self, other: Self) -> Self:
        """The sums of both sets of tokens together, as if counted at once. Raises: InputError for other shapes."""
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = ([tuple(tensor.shape) for tensor in one] for one in (self, other))
        if mine != theirs:
            named = type(self).__name__
            raise InputError(f"these {named} do not merge: their sums have the shapes {mine} and {theirs}")
        return type(self)(*(one + another for one, another in zip(self, other, strict=True)))

    def to(self, device: str | torch.device) -> Self:
        """The same on another device."""
        return type(self)(*(tensor.to(device) for tensor in self))
