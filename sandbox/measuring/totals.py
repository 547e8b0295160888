"""`Totals`: everything that a pass counts for one SAE. They are sums, so runs can be split, resumed and merged."""

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
from sandbox.measuring.penalties import slopes
from sandbox.measuring.preflight import OUTLIER
from sandbox.measuring.published import Published
from sandbox.measuring.token_means import TokenMeans
from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS, Moments
from sandbox.moments.sums import Sums
from sandbox.moments.totalling import dots_about
from sandbox.system.devices import sent


@dataclass(frozen=True)
class Counting:
    """What to count, and how.

    Attributes:
        published:        tokens per batch of the libraries' evaluations; 0: do not count them
        latents:          whether to count each latent separately
        outlier_limit:    norm of x above which a token is an outlier, counted apart
        outliers_above:   that norm as a multiple of the median
        exclude_outliers: whether to leave outliers out of the latents, which do not count them apart
        scale:            k, the factor that brings the sample's mean norm to √d: that of training, perhaps
    """

    published: int = 0
    latents: bool = False
    outlier_limit: float = float("inf")
    exclude_outliers: bool = False
    scale: float = 1.0
    outliers_above: float = OUTLIER


@dataclass(frozen=True, eq=False)
class Totals(Sums):
    """Everything that `measure` counts for one SAE.

    Attributes:
        moments:   shape (2,): of the typical tokens, then of the outliers
        tokens:    sums for the means over tokens
        norms:     totals by the norm of x
        published: totals of the libraries' evaluations; None if not counted
        latents:   totals of each latent; None if not counted
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
            assert sae.W_dec is not None  # `measure` has checked it
            wide = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
            residual = x.to(wide) - x_hat.to(wide)
            if counting.exclude_outliers:  # `Latents` leaves out tokens with nan
                extreme = x.norm(dim=-1, keepdim=True, dtype=wide) > counting.outlier_limit
                residual = residual.masked_fill(extreme, torch.nan)
            latents.append(Latents.from_batch(feature_acts, residual, sae.W_dec, cluster[window], sae.scale(x)))

        norms = sae.decoder_norms
        penalty = None if norms is None else norms.new_empty(len(x), 2)

        def observe(feature_acts: Tensor, x: Tensor, x_hat: Tensor, window: slice) -> None:
            if penalty is not None and norms is not None:
                penalty[window] = slopes(feature_acts, norms, sae.penalty, counting.scale)
            if counting.latents:
                count_latents(feature_acts, x, x_hat, window)

        x, x_hat, l0 = sae(x, observe)
        runs = runs_of(cluster, x.shape[:1], GROUPS)
        moments, dots = Moments.with_dots(x, x_hat, runs, apart_above=counting.outlier_limit)
        group = sent(runs.of_each_token(), dots.device)
        about = None if sae.b_dec is None else dots_about(x, x_hat, sae.b_dec)
        tokens = TokenMeans.from_dots(dots, l0, group, GROUPS, counting.outlier_limit, penalty, about)
        published = Published.from_tokens(x, x_hat, size, l0) if (size := counting.published) else None
        return cls(
            moments, tokens, Norms.from_dots(dots), published, reduce(Latents.__add__, latents) if latents else None
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Totals:
        """Rebuild the totals from the result of `tensors`."""
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
    """The `count` function of `stream` for these SAEs.

    Args: refuse_nonfinite: on a CPU, where checking is cheap, raise InputError at the first token that is not finite
    """

    def count(x: Tensor, cluster: np.ndarray) -> list[Totals]:
        parts = [Totals.of(sae, x, cluster, counting) for sae in saes]
        if refuse_nonfinite and x.device.type == "cpu":
            for part in parts:
                part.moments.refuse_nonfinite()
        return parts

    return count
