"""`LossSums`: rows of losses, summed in each group of documents; runs merge by `+`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS
from sandbox.moments.sums import Sums
from sandbox.system.devices import sent


@dataclass(frozen=True, eq=False)
class LossSums(Sums):
    """Sums of a reader's columns over the tokens of each group of documents.

    Attributes: sums: Float64[Tensor, "groups columns"]
    """

    sums: Float64[Tensor, "groups columns"]

    @classmethod
    def of(cls, rows: Float[Tensor, "n columns"], cluster: np.ndarray) -> LossSums:
        """The sums of a batch of rows. Args: cluster: the document of each row"""
        group = sent(runs_of(cluster, rows.shape[:1], GROUPS).of_each_token(), rows.device)
        return cls(rows.new_zeros(GROUPS, rows.shape[1], dtype=torch.float64).index_add_(0, group, rows.double()))
