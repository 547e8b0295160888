"""Corrections of an SAE's decoder, fitted on some documents, that the loss is then measured with on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sandbox.activations import Source, activations
from sandbox.checkpoints import Checkpoint
from sandbox.downstream.replacements import Reconstructions
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.fits import Fits
from sandbox.measuring.forward import BATCH, Forward
from sandbox.measuring.one_pass import stream
from sandbox.measuring.preflight import SAMPLE, outlier_limit
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.readings import Readings
from sandbox.moments.moments import Moments
from sandbox.moments.sums import Sums


@dataclass(frozen=True, eq=False)
class Gathered:
    """Activations to fit on, in a temporary file, because they are read several times.

    Attributes:
        source:            the activations, with their documents
        tokens, documents: how many they are
        limit:             norm above which a token is an outlier
        outliers:          number of tokens above it
        mean:              Float[Tensor, "d"], of the activations
    """

    source: Source
    tokens: int
    documents: int
    limit: float
    outliers: int
    mean: Float[Tensor, "d"]


@contextmanager
def gathered(
    source: Source, tokens: int, exclude_outliers: bool, above: float, progress: Callable[[int], None] | None = None
) -> Iterator[Gathered]:
    """The first tokens of a source; their file is removed at the end.

    Args:
        tokens:           maximum number of tokens
        exclude_outliers: leave out tokens above the limit; they are counted
        above:            the limit as a multiple of the median norm, in a sample spread over the tokens
    Raises: InputError if a number is not finite, or if no token is left
    """
    with TemporaryDirectory(prefix="sandbox-") as folder:
        file = np.lib.format.open_memmap(Path(folder) / "fit.npy", "w+", np.float32, (tokens, source.width))
        ids = np.empty(tokens, np.int64)
        at = 0
        for chunk in source.chunks(BATCH, 0, tokens):
            x = chunk.x.detach().cpu().float()
            if not x.isfinite().all():
                raise InputError(f"{source.name}: an activation is nan or infinite: compute the model in float32")
            assert chunk.documents is not None  # those of the text
            file[at : at + len(x)], ids[at : at + len(x)] = x.numpy(), chunk.documents
            at += len(x)
            if progress:
                progress(len(x))
        limit = outlier_limit(activations(file).sample(SAMPLE), above)
        total, kept, outliers = torch.zeros(source.width, dtype=torch.float64), 0, 0
        for start in range(0, tokens, BATCH):
            x, documents = torch.from_numpy(file[start : start + BATCH]), ids[start : start + BATCH]
            typical = (x.norm(dim=-1) <= limit).numpy()
            outliers += int((~typical).sum())
            chosen = typical if exclude_outliers else np.ones_like(typical)
            rows = x.numpy()[chosen]  # a copy: it moves to the front of the file
            file[kept : kept + len(rows)], ids[kept : kept + len(rows)] = rows, documents[chosen]
            kept += len(rows)
            total += torch.from_numpy(rows).double().sum(0)
        number = len(np.unique(ids[:kept]))
        if number < 2:
            raise InputError(
                f"{source.name}: the {tokens:,} tokens to fit on are of fewer than two documents: fit on more "
                "(fit_tokens, --fit-tokens)"
            )
        kept_source = activations(file[:kept], ids[:kept], source.name)
        yield Gathered(kept_source, kept, number, limit, outliers, (total / kept).float())


def best_factor(sae: Reconstructions, gathered: Gathered) -> float | None:
    """C2 of x − b_dec and x̂ − b_dec: the factor of the decoder that brings x̂ closest to x; None if undefined."""

    def count(x: Tensor, cluster: np.ndarray) -> list[Sums]:
        computed = sae.computed(x)
        t, u = x - computed.bias, computed.x_hat - computed.bias
        return [Moments.from_pairs(t, u, cluster, drop_nonfinite=True)]

    moments: Moments = stream([sae.sae], gathered.source, BATCH, count, Share()).totals[0].to("cpu")
    means = moments.means.tolist()
    if why_undefined(REGISTRY["relative_reconstruction_bias"], *means):  # no positive factor brings x̂ closer to x
        return None
    return evaluate(REGISTRY["scale_x_hat"], *means).item()


def refitted(checkpoint: Checkpoint, sae: Forward, gathered: Gathered, kinds: Sequence[str]) -> dict[str, Forward]:
    """The SAE with its decoder corrected as `sandbox.measuring.rescale.rescale` does, fitted on all that was gathered.

    Args: kinds: as for `rescale`
    """
    readings = Readings(gathered.source, None, BATCH, False, Ranks(), Share(), None)
    placing = {"device": str(sae.device), "dtype": str(sae.dtype).removeprefix("torch."), "tokens": BATCH}
    fits = Fits(Forward(checkpoint, **placing, sparse=False), checkpoint.sae, readings, kinds)
    corrected = {}
    for kind in kinds:
        fit = fits.of(kind)
        changed = replace(checkpoint, sae=checkpoint.sae.with_decoder(fit.W_dec, fit.b_dec))
        corrected[kind] = Forward(changed, **placing)
    return corrected
