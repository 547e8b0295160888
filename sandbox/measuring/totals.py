"""`Tallies`: all that is counted for one SAE in the one pass. Plain sums, so runs can be split, stopped and joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.latents import Latents
from sandbox.measuring.norms import Norms
from sandbox.measuring.published import Published
from sandbox.measuring.token_means import TokenStatistics
from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS, Moments
from sandbox.system.devices import sent

RECORDS = {
    "moments": Moments,
    "tokens": TokenStatistics,
    "norms": Norms,
    "published": Published,
    "latents": Latents,
}
"""The parts of `Tallies`: each a dataclass of tensors that add up."""


@dataclass(frozen=True)
class Counting:
    """What is counted, and how.

    Attributes:
        published:     tokens in a batch of the libraries' evaluations; 0: not counted
        latents:       whether each latent is counted for itself
        outlier_limit: norm of x above which a token is kept apart
        exclude_outliers: whether such tokens are left out of the latents, which cannot be taken apart afterwards
    """

    published: int = 0
    latents: bool = False
    outlier_limit: float = float("inf")
    exclude_outliers: bool = False


@dataclass(frozen=True, eq=False)
class Tallies:
    """All that is counted for one SAE.

    Attributes:
        moments:   of two parts: the tokens up to the outlier limit, and those above
        tokens:    statistics per token
        norms:     totals by the length of x
        published: what the libraries' evaluations keep; None if not counted, likewise
        latents:   each latent's share
    """

    moments: Moments
    tokens: TokenStatistics
    norms: Norms
    published: Published | None
    latents: Latents | None

    @classmethod
    def of(cls, sae: Forward | Pairs, x: Tensor, cluster: np.ndarray, counting: Counting) -> Tallies:
        """Of one batch, computed and counted.

        Args:
            x:       (n, d), on the SAE's device, as stored
            cluster: (n,) the cluster of each token
        """
        found: list[Latents] = []

        def look(feature_acts: Tensor, x: Tensor, x_hat: Tensor, window: slice) -> None:
            assert sae.W_dec is not None  # latents are counted only where it is known
            wide = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
            residual = x.to(wide) - x_hat.to(wide)
            if counting.exclude_outliers:  # what is not finite is left out
                extreme = x.norm(dim=-1, keepdim=True, dtype=wide) > counting.outlier_limit
                residual = residual.masked_fill(extreme, torch.nan)
            found.append(Latents.from_batch(feature_acts, residual, sae.W_dec, cluster[window], sae.scale(x)))

        passed = sae(x, look if counting.latents else None)
        moments, dots = Moments.with_dots(passed.x, passed.x_hat, cluster, apart_above=counting.outlier_limit)
        group = sent(runs_of(cluster, x.shape[:1], GROUPS).of_each_token(), dots.device)
        l0 = passed.l0
        tokens = TokenStatistics.from_dots(dots, l0, group, GROUPS, counting.outlier_limit)
        published = Published.from_tokens(passed.x, passed.x_hat, size, l0) if (size := counting.published) else None
        return cls(moments, tokens, Norms.from_dots(dots), published, reduce(Latents.__add__, found) if found else None)

    def __add__(self, other: Tallies) -> Tallies:
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in RECORDS}
        summed: dict[str, Any] = {k: None if mine is None else mine + theirs for k, (mine, theirs) in pairs.items()}
        return Tallies(**summed)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor, by the name of its record and field."""
        return {
            f"{name}.{field.name}": getattr(record, field.name)
            for name in RECORDS
            if (record := getattr(self, name)) is not None
            for field in fields(record)
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Tallies:
        """What `tensors` gave, put together again."""
        parts: dict[str, Any] = {}
        for name, record in RECORDS.items():
            held = {
                key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")
            }
            parts[name] = record(**held) if held else None
        return cls(**parts)

    def to(self, device: torch.device | str) -> Tallies:
        """The same on another device."""
        return Tallies.from_tensors({name: tensor.to(device) for name, tensor in self.tensors().items()})
