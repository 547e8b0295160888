"""Whether an array or a tensor holds one number in every place: masks, gaps and other layouts are refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError


def check_dense(values: Any, name: str) -> None:
    """Refuse an array or a tensor whose numbers are not all there, each in its place.

    numpy and torch would go on with what lies under a mask, or end in an error of their own.

    Args:   values: anything; what is no array and no tensor is left to the caller
    Raises: InputError for a masked array with numbers masked, and a masked, sparse, nested, quantised or meta tensor

    >>> check_dense(np.ma.masked_array([1.0, 2.0], [False, False]), "x")
    """
    if isinstance(values, np.ma.MaskedArray) and (masked := int(np.ma.getmaskarray(values).sum())):
        raise InputError(
            f"{name} is a masked array, {masked} of its {values.size} numbers masked: give the tokens that count as a "
            f"plain array, such as {name}.data[~{name}.mask.any(-1)], and their document ids alike"
        )
    if not isinstance(values, Tensor):
        return
    if isinstance(values, torch.masked.MaskedTensor):
        raise InputError(f"{name} is a masked tensor: give the tokens that count, (n, d), as a plain one")
    if values.is_nested:
        raise InputError(
            f"{name} is a nested tensor: lay its tokens one after the other, with torch.cat({name}.unbind())"
        )
    if values.layout != torch.strided:
        raise InputError(f"{name} has layout {values.layout}: make it dense first, with {name}.to_dense()")
    if values.is_quantized:
        raise InputError(f"{name} is quantised: give its numbers, with {name}.dequantize()")
    if values.is_meta:
        raise InputError(f"{name} is on the device meta, which holds no numbers: give the tensor itself")
