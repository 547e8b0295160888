"""Refuse arrays and tensors that are not dense: masked, sparse, nested, quantised or on the meta device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError


def check_dense(values: Any, name: str) -> None:
    """Refuse an array or a tensor that does not store every one of its numbers.

    numpy and torch would compute with the numbers under a mask, or raise an error that does not say what to do.

    Args:   values: anything; only arrays and tensors are checked
    Raises: InputError for an array with masked numbers, and a masked, sparse, nested, quantised or meta tensor

    >>> check_dense(np.ma.masked_array([1.0, 2.0], [False, False]), "x")
    """
    if isinstance(values, np.ma.MaskedArray) and (masked := int(np.ma.getmaskarray(values).sum())):
        raise InputError(
            f"{name} is a masked array, {masked} of its {values.size} numbers masked: pass the tokens to measure as a "
            f"plain array, such as {name}.data[~{name}.mask.any(-1)], and only their document ids"
        )
    if not isinstance(values, Tensor):
        return
    if isinstance(values, torch.masked.MaskedTensor):
        raise InputError(f"{name} is a masked tensor: pass the tokens to measure as a plain tensor of shape (n, d)")
    if values.is_nested:
        raise InputError(f"{name} is a nested tensor: concatenate its tokens with torch.cat({name}.unbind())")
    if values.layout != torch.strided:
        raise InputError(f"{name} has layout {values.layout}: make it dense first with {name}.to_dense()")
    if values.is_quantized:
        raise InputError(f"{name} is quantised: dequantise it first with {name}.dequantize()")
    if values.is_meta:
        raise InputError(f"{name} is on the meta device, which holds no numbers: pass the tensor itself")
