"""The dtypes that files and tensors may have, and those in which an SAE or a model may compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sandbox.errors import InputError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Dtypes of stored activations and reconstructions; `ANY_FLOAT` lists them in words."""
ANY_FLOAT = "float16, bfloat16, float32 or float64"

SAE_DTYPES = ("float32", "float64", "bfloat16")
"""Dtypes in which an SAE may compute."""
MODEL_DTYPES = (*SAE_DTYPES, "float16")
"""Dtypes in which a language model may compute."""

TORCH = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I8": torch.int8,
    "U8": torch.uint8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I64": torch.int64,
}
"""torch dtypes, by their safetensors names."""

NAMES = {dtype: name for name, dtype in TORCH.items()}
"""The safetensors names of torch dtypes."""


def numpy_dtype(name: str) -> np.dtype:
    """The little-endian numpy dtype for a safetensors name: unsigned 16-bit for BF16, V1 for an unknown name."""
    if name not in TORCH:
        return np.dtype("V1")
    return np.dtype("<u2" if name == "BF16" else f"<{name[0].lower()}{int(name[1:]) // 8}")


def dtype_named(name: str, choices: Sequence[str] = SAE_DTYPES) -> torch.dtype:
    """The torch dtype with this name. Raises InputError if it is not one of `choices`."""
    if name not in choices:
        raise InputError(f"dtype is {name!r}: choose {', '.join(choices)}")
    return getattr(torch, name)
