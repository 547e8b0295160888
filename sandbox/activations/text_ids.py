"""Document ids that are text (names, hashes, URLs), numbered in 64 bits (`sandbox.moments.clusters.numbered`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError
from sandbox.moments.clusters import numbered
from sandbox.system.files import Version, changed, readable, version_of


@dataclass(frozen=True)
class TextRows:
    """Texts of one width in a file (numpy's dtypes U and S), read a window at a time, as a number each.

    Attributes:
        path, offset: where they start, in bytes
        dtype:        as they are stored
        rows:         how many there are
        version:      of the file, when it was opened: it has to stay the same
    """

    path: Path
    offset: int
    dtype: np.dtype
    rows: int
    version: Version
    width: ClassVar[int] = 1

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, window: slice) -> Tensor:
        start, stop, _ = window.indices(self.rows)
        count = max(stop - start, 0)
        with readable(self.path), self.path.open("rb") as file:
            texts = np.fromfile(file, self.dtype, count, offset=self.offset + start * self.dtype.itemsize)
            if len(texts) != count:
                raise InputError(f"{self.path} ends before row {stop}: it was cut short while it was read")
            if version_of(file.fileno()) != self.version:
                raise changed(self.path)
        return torch.from_numpy(numbered(texts).astype(np.int64)).unsqueeze(1)
