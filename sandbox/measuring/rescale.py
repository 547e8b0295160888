"""Correct shrinkage: refit the decoder for the same latents on some documents, and evaluate it on the others.

The decoder bias is part of x̂ but does not shrink (docs/mathematics.md, "Traps"). For each token, therefore, let
    t = x − bias,   u = x̂ − bias = Σ_j f_j d_j.
The factor that brings u closest to t is C2 of this pair: the measure `scale_x_hat` of its moments. Every kind of
correction applies this formula to some pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import linear

from sandbox import checkpoints
from sandbox.activations import activations
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.correction import Correction, Evaluated
from sandbox.measuring.forward import BATCH, Forward
from sandbox.measuring.latents import Latents
from sandbox.measuring.ranks import Ranks, each_has_its_own
from sandbox.measuring.readings import Batch, Readings
from sandbox.moments.moments import Moments
from sandbox.moments.sums import Sums
from sandbox.report import Report
from sandbox.system.devices import without_autocast

DecoderFit = tuple[Tensor, Tensor | None]
"""The factor of W_dec (a scalar, or one per latent), and the shift added to b_dec (None: no shift)."""


@without_autocast()
def rescale(
    checkpoint: str | Path | Checkpoint | Any,
    source: Any,
    *,
    kind: str = "scalar",
    documents: Any = None,
    share: float = 0.5,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = BATCH,
    name: str | None = None,
    drop_nonfinite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Correction:
    """Fit a decoder that undoes an SAE's shrinkage, and evaluate it on held-out documents.

    Kinds; on the documents they are fitted on, each does at least as well as "scalar":
        scalar:      multiply W_dec by one factor, about the decoder bias
        scale-shift: also shift b_dec: the best factor of the centred vectors, and the difference of the means
        per-latent:  first scalar; then move each row of W_dec towards its latent's own best factor s_j
                     (`sandbox.measuring.latents`). Latents are active together, so moving each the whole way would
                     overshoot: all move the same fraction of the way, the best one for x̂. A latent whose interval
                     contains 1 keeps its row.

    Args:
        checkpoint:     a path, the result of `sandbox.checkpoints.read`, or a SAELens object
        source:         activations, as for `sandbox.measuring.measure.measure`; read several times (`passes`)
        documents:      one ID per token, if the source has none; without IDs, blocks of BLOCK tokens are split
                        instead, although neighbouring blocks may belong to the same document
        share, seed:    share of the documents to fit on, and random seed of the split (`Split`)
        device, dtype:  of the SAE's forward pass; the corrected weights are float32
        batch_size:     tokens per batch
        name:           of the SAE, in the reports
        drop_nonfinite: leave out tokens with a NaN or an infinity instead of refusing them
        progress:       called after each batch with its number of tokens
    Returns: a `Correction`, which can write the corrected checkpoint
    Raises:  InputError for an unknown kind, a share outside (0, 1), a single document, input that cannot be measured or
             changes between passes, and an x̂ that no positive factor brings closer to x
    Source:  C2, C12 and "Per latent" in docs/mathematics.md
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: at least one token at a time is needed")
    fit, split, ranks = _fit_of(kind), Split(share, seed), Ranks.here()
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = checkpoints.read(checkpoint)
    placing = {"device": ranks.device(device), "dtype": dtype, "tokens": batch_size, "sparse": False}
    sae, original = Forward(checkpoint, **placing), checkpoint.sae
    opened = activations(ranks.own(source), ranks.own(documents))
    sae.check_width(opened)
    with ranks.joined(str(sae.device)):
        mine = ranks.share(opened, batch_size, each_has_its_own(source), shared_ids=documents is not None)
        readings = Readings(opened, split, batch_size, drop_nonfinite, ranks, mine, progress)
        factor, shift = fit(sae, readings)
        W_dec = (original.W_dec.double() * factor.reshape(-1, 1)).float()
        b_dec = original.b_dec if shift is None else (original.b_dec.double() + shift).float()
        # The SAE as it will be written, encoder included.
        changed = Forward(replace(checkpoint, sae=original.with_decoder(W_dec, b_dec)), **placing)
        facts = {
            "name": name or checkpoint.name,
            "documents": None if readings.blocks else readings.held_out,
            "dtype": dtype,
            "device": str(sae.device),
            "description": checkpoint.describe(),
        }
        before, after = (_evaluated(side, readings, facts) for side in (sae, changed))
    return Correction(kind, checkpoint, W_dec, b_dec, factor, share, seed, readings.fitted, before, after)


def check_kind(checkpoint: Checkpoint, kind: str) -> None:
    """Raise InputError, before any work, for an unknown kind or one that the checkpoint's layout cannot store."""
    _fit_of(kind)
    sae = checkpoint.sae
    checkpoint.rewritten(sae.with_decoder(2 * sae.W_dec, sae.b_dec + (kind == "scale-shift")))


def _fit_of(kind: str) -> Callable[[Forward, Readings], DecoderFit]:
    if kind not in FITS:
        raise InputError(f"kind is {kind!r}: choose {', '.join(FITS)}")
    return FITS[kind]


def passes(kind: str) -> int:
    """Number of times that `rescale` reads the activations."""
    return 5 if kind == "per-latent" else 3


def _moments(u: Tensor, v: Tensor, cluster: np.ndarray) -> Moments:
    return Moments.from_pairs(u, v, cluster, drop_nonfinite=True)  # `checked` refuses them after the pass: no wait here


def _scalar(sae: Forward, readings: Readings) -> DecoderFit:
    def count(batch: Batch, cluster: np.ndarray) -> Moments:
        return _moments(batch.t, batch.u, cluster)

    return _best(readings.checked(readings.total(sae, count, fitting=True))), None


def _scale_shift(sae: Forward, readings: Readings) -> DecoderFit:
    """With t and u divided by the token's scale, x̂ is s·u + b', and each token has weight scale².

    The moments are those of t and u, except that the count and the sums, which centre them, are weighted.
    """

    def count(batch: Batch, cluster: np.ndarray) -> Moments:
        plain = _moments(batch.t, batch.u, cluster)
        if sae.sae.normalisation is None:
            return plain
        weighed = _moments(batch.scale * batch.t, batch.scale * batch.u, cluster)
        weights = _moments(batch.scale, batch.scale, cluster)
        return Moments(plain.totals, weights.totals[..., 0], weighed.sums, plain.nonfinite)

    moments = readings.checked(readings.total(sae, count, fitting=True))
    factor = _best(moments.centred())
    mean_t, mean_u = moments.sums.sum(0) / moments.n
    return factor, mean_t - factor * mean_u


def _per_latent(sae: Forward, readings: Readings) -> DecoderFit:
    scalar, _ = _scalar(sae, readings)
    s, W_dec = scalar.item(), sae.sae.W_dec

    def count_latents(batch: Batch, cluster: np.ndarray) -> Latents:
        return Latents.from_batch(batch.feature_acts, batch.t - s * batch.u, s * W_dec, cluster, batch.scale)

    latents = readings.total(sae, count_latents, fitting=True)
    low, high = latents.intervals()
    change = torch.where((low > 1) | (high < 1), latents.scale_factors() - 1, 0)
    rows = (change[:, None] * W_dec.cpu()).to(W_dec)

    def count_products(batch: Batch, cluster: np.ndarray) -> Products:
        vectors = torch.stack((batch.t, batch.u, linear(batch.feature_acts, rows.mT) * batch.scale), 1)
        products = vectors @ vectors.mT
        finite = torch.where(products.isfinite().all((1, 2), keepdim=True), products, 0)
        return Products(finite.sum(0, dtype=torch.float64))

    total = readings.total(sae, count_products, fitting=True).total
    # The least-norm solution: share is 0 if `change` is 0.
    common, share = torch.linalg.lstsq(total[1:, 1:], total[1:, 0], driver="gelsd").solution
    return common + share * change, None


def _best(moments: Moments) -> Tensor:
    """C2: the factor that brings the second of the pair closest to the first. Raises InputError unless positive."""
    if reason := why_undefined(REGISTRY["relative_reconstruction_bias"], *moments.means.tolist()):
        raise InputError(f"no rescaling of the decoder corrects this SAE, about its bias: {reason}")
    return evaluate(REGISTRY["scale_x_hat"], *moments.means)


FITS: dict[str, Callable[[Forward, Readings], DecoderFit]] = {
    "scalar": _scalar,
    "scale-shift": _scale_shift,
    "per-latent": _per_latent,
}
"""The function that fits the decoder, by kind."""


@dataclass(frozen=True, eq=False)
class Products(Sums):
    """The normal equations of t on u and on the change that the latents' own factors would make.

    Attributes: total: Float64[Tensor, "3 3"], inner products of the three vectors, in squared activation units
    """

    total: Float64[Tensor, "3 3"]


@dataclass(frozen=True, eq=False)
class HeldOut(Sums):
    """Totals of the held-out documents.

    Attributes:
        raw:        moments of x and x̂
        about_bias: moments of t and u
        active:     Float64[Tensor, ""], active latents, summed over all finite tokens
    """

    raw: Moments
    about_bias: Moments
    active: Float64[Tensor, ""]


def _evaluated(sae: Forward, readings: Readings, facts: dict[str, Any]) -> Evaluated:
    """Evaluate an SAE on the held-out documents."""

    def count(batch: Batch, cluster: np.ndarray) -> HeldOut:
        ok = (batch.x_hat.isfinite() & batch.x.isfinite()).all(1, keepdim=True)
        active = ((batch.feature_acts != 0) & ok).sum(dtype=torch.float64)
        return HeldOut(_moments(batch.x, batch.x_hat, cluster), _moments(batch.t, batch.u, cluster), active)

    total = readings.total(sae, count, fitting=False)
    raw, about_bias = readings.checked(total.raw), readings.checked(total.about_bias)
    facts = facts | {"l0": total.active.item() / raw.n.item(), "blocks": facts["documents"] is None}
    return Evaluated(Report(moments=raw, **facts), Report(moments=about_bias, **facts))
