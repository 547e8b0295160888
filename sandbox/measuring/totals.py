"""`Totals`: all that is counted for one SAE in the one pass. Plain sums, so runs can be split, stopped and joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.latents import Latents
from sandbox.measuring.norms import Norms
from sandbox.measuring.published import Published
from sandbox.measuring.token_means import TokenMeans
from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS, Moments
from sandbox.moments.sums import Sums
from sandbox.system.devices import sent


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
class Totals(Sums):
    """All that `measure` counts for one SAE.

    Attributes:
        moments:   two parts: the tokens up to the outlier limit, and those above
        tokens:    means over tokens
        norms:     totals by the norm of x
        published: what the libraries' evaluations keep; None if not counted
        latents:   each latent's share; None if not counted
    """

    moments: Moments
    tokens: TokenMeans
    norms: Norms
    published: Published | None
    latents: Latents | None

    @classmethod
    def of(cls, sae: Forward | Pairs, x: Tensor, cluster: np.ndarray, counting: Counting) -> Totals:
        """Compute and count one batch.

        Args:
            x:       (n, d), on the SAE's device, as stored
            cluster: (n,) the cluster of each token
        """
        latents: list[Latents] = []

        def count_latents(feature_acts: Tensor, x: Tensor, x_hat: Tensor, window: slice) -> None:
            assert sae.W_dec is not None  # latents are counted only where it is known
            wide = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
            residual = x.to(wide) - x_hat.to(wide)
            if counting.exclude_outliers:  # tokens that are not finite are left out
                extreme = x.norm(dim=-1, keepdim=True, dtype=wide) > counting.outlier_limit
                residual = residual.masked_fill(extreme, torch.nan)
            latents.append(Latents.from_batch(feature_acts, residual, sae.W_dec, cluster[window], sae.scale(x)))

        norms = sae.decoder_norms
        penalty = None if norms is None else norms.new_empty(len(x))

        def observe(feature_acts: Tensor, x: Tensor, x_hat: Tensor, window: slice) -> None:
            if penalty is not None:
                penalty[window] = feature_acts.to(penalty.dtype) @ norms
            if counting.latents:
                count_latents(feature_acts, x, x_hat, window)

        x, x_hat, l0 = sae(x, observe)
        runs = runs_of(cluster, x.shape[:1], GROUPS)
        moments, dots = Moments.with_dots(x, x_hat, runs, apart_above=counting.outlier_limit)
        group = sent(runs.of_each_token(), dots.device)
        tokens = TokenMeans.from_dots(dots, l0, group, GROUPS, counting.outlier_limit, penalty)
        published = Published.from_tokens(x, x_hat, size, l0) if (size := counting.published) else None
        return cls(
            moments, tokens, Norms.from_dots(dots), published, reduce(Latents.__add__, latents) if latents else None
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Totals:
        """What `tensors` gave, put together again."""
        kinds = {"moments": Moments, "tokens": TokenMeans, "norms": Norms, "published": Published, "latents": Latents}
        records: dict[str, Any] = {}
        for name, kind in kinds.items():
            own = {
                key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")
            }
            records[name] = kind(**own) if own else None
        return cls(**records)


def counter(
    saes: Sequence[Forward | Pairs], counting: Counting, refuse_nonfinite: bool = False
) -> Callable[[Tensor, np.ndarray], list[Totals]]:
    """What `stream` calls with each chunk to count it for every SAE.

    Args: refuse_nonfinite: on a CPU, where looking costs nothing, refuse tokens that are not finite at once
    """

    def count(x: Tensor, cluster: np.ndarray) -> list[Totals]:
        parts = [Totals.of(sae, x, cluster, counting) for sae in saes]
        if refuse_nonfinite and x.device.type == "cpu":
            for part in parts:
                part.moments.refuse_nonfinite()
        return parts

    return count
