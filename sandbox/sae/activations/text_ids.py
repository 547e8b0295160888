"""Document ids that are texts (names, hashes, URLs), counted as 64-bit numbers (`sandbox.clusters.numbered`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sandbox.clusters import numbered
from sandbox.errors import InputError


@dataclass(frozen=True)
class TextRows:
    """Texts of one width in a file (numpy's dtypes U and S), read a window at a time, as a number each.

    Attributes:
        path, offset: where they start, in bytes
        dtype:        as they are stored
        rows:         how many there are
    """

    path: Path
    offset: int
    dtype: np.dtype
    rows: int
    width: ClassVar[int] = 1

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, window: slice) -> Tensor:
        start, stop, _ = window.indices(self.rows)
        count = max(stop - start, 0)
        try:
            texts = np.fromfile(self.path, self.dtype, count, offset=self.offset + start * self.dtype.itemsize)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if len(texts) != count:
            raise InputError(f"{self.path} ends before row {stop}: it was cut short while it was read; copy it again")
        return torch.from_numpy(numbered(texts).astype(np.int64)).unsqueeze(1)
