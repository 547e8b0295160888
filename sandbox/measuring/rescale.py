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
from sandbox.activations import activations, with_targets
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.penalty import Penalty, given, penalty_of
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.correction import Correction, Evaluated
from sandbox.measuring.forward import BATCH, Forward, row_norms
from sandbox.measuring.latents import Latents
from sandbox.measuring.penalties import slopes
from sandbox.measuring.ranks import Ranks, each_has_its_own
from sandbox.measuring.readings import Batch, Readings
from sandbox.measuring.token_means import TokenMeans
from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS, Moments
from sandbox.moments.sums import Sums
from sandbox.report import Report
from sandbox.report.law import NOT_EXPLAINED, Training
from sandbox.system.devices import sent, without_autocast

FROM_L1 = "from-l1"
"""The kind that needs the L1 coefficient of training."""

DecoderFit = tuple[Tensor, Tensor | None]
"""The factor of W_dec (a scalar, or one per latent), and the shift added to b_dec (None: no shift)."""


@without_autocast()
def rescale(
    checkpoint: str | Path | Checkpoint | Any,
    source: Any,
    *,
    targets: Any = None,
    kind: str = "scalar",
    documents: Any = None,
    share: float = 0.5,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = BATCH,
    name: str | None = None,
    k: int | None = None,
    l1: float | None = None,
    drop_nonfinite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Correction:
    """Fit a decoder that undoes an SAE's shrinkage, and evaluate it on held-out documents.

    Kinds; on the documents they are fitted on, the second and third do at least as well as "scalar":
        scalar:      multiply W_dec by one factor, about the decoder bias
        scale-shift: also shift b_dec: the best factor of the centred vectors, and the difference of the means
        per-latent:  first scalar; then move each row of W_dec towards its latent's own best factor s_j
                     (`sandbox.measuring.latents`). Latents are active together, so moving each the whole way would
                     overshoot: all move the same fraction of the way, the best one for x̂. A latent whose interval
                     contains 1 keeps its row.
        from-l1:     for an SAE trained with an L1 penalty: move each row towards the factor s_j that the law predicts
                     from the coefficient and the means of f_j and f_j² (C20). Nothing is fitted to the errors x − x̂;
                     they only check that the law holds. Each s_j is the best factor if no other row moves, so moving
                     all the whole way overshoots here, too: all move the same fraction of the way. The best fraction
                     needs the energy of the whole change, and its inner product with x − x̂, which the law implies.

    Args:
        checkpoint:     a path, the result of `sandbox.checkpoints.read`, or a SAELens object
        source:         activations, as for `sandbox.measuring.measure.measure`; read several times (`passes`)
        targets:        for a transcoder, the activations that it reconstructs, as for `measure`: the decoder is fitted
                        to them; a skip stays as it is
        documents:      one ID per token, if the source has none; without IDs, blocks of BLOCK tokens are split
                        instead, although neighbouring blocks may belong to the same document
        share, seed:    share of the documents to fit on, and random seed of the split (`Split`)
        device, dtype:  of the SAE's forward pass; the corrected weights are float32
        batch_size:     tokens per batch
        name:           of the SAE, in the reports
        k:              active latents per token of a checkpoint whose files do not state it (Qwen-Scope)
        l1:             for from-l1: the L1 coefficient, in the units of the activations that training saw, where the
                        checkpoint does not state it
        drop_nonfinite: leave out tokens with a NaN or an infinity instead of refusing them
        progress:       called after each batch with its number of tokens
    Returns: a `Correction`, which can write the corrected checkpoint
    Raises:  InputError for an unknown kind, a share outside (0, 1), a single document, input that cannot be measured or
             changes between passes, and an x̂ that no positive factor brings closer to x; for from-l1, if no coefficient
             above 0 is known, or the law does not hold
    Source:  C2, C12, C20 and "Per latent" in docs/mathematics.md
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: at least one token at a time is needed")
    fit, split, ranks = _fit_of(kind), Split(share, seed), Ranks.here()
    if k is not None or not isinstance(checkpoint, Checkpoint):
        checkpoint = checkpoints.read(checkpoint, k)
    if kind == FROM_L1:
        _check_penalty(checkpoint, l1)
    placing = {"device": ranks.device(device), "dtype": dtype, "tokens": batch_size, "sparse": False}
    sae, original = Forward(checkpoint, **placing), checkpoint.sae
    opened = with_targets(activations(ranks.own(source), ranks.own(documents)), ranks.own(targets))
    sae.read_from(opened)
    sae.penalty = _penalty(checkpoint, l1)
    with ranks.joined(str(sae.device)):
        mine = ranks.share(opened, batch_size, each_has_its_own(source), shared_ids=documents is not None)
        readings = Readings(opened, split, batch_size, drop_nonfinite, ranks, mine, progress)
        factor, shift = fit(sae, readings)
        W_dec = (original.W_dec.double() * factor.reshape(-1, 1)).float()
        b_dec = original.b_dec if shift is None else (original.b_dec.double() + shift).float()
        # The SAE as it will be written, encoder included.
        changed = Forward(replace(checkpoint, sae=original.with_decoder(W_dec, b_dec)), **placing)
        changed.read_from(opened)
        facts = {
            "name": name or checkpoint.name,
            "documents": None if readings.blocks else readings.held_out,
            "dtype": dtype,
            "device": str(sae.device),
            "description": checkpoint.describe(),
            "targets": "" if sae.targets is None else sae.targets.name,
        }
        before, after = (_evaluated(side, readings, facts) for side in (sae, changed))
    return Correction(kind, checkpoint, W_dec, b_dec, factor, share, seed, readings.fitted, before, after)


def check_kind(checkpoint: Checkpoint, kind: str, l1: float | None = None) -> None:
    """Raise InputError, before any work, for an unknown kind or one that the checkpoint's layout cannot store.

    Args: l1: as for `rescale`
    """
    _fit_of(kind)
    if kind == FROM_L1:
        _check_penalty(checkpoint, l1)
    sae = checkpoint.sae
    checkpoint.rewritten(sae.with_decoder(2 * sae.W_dec, sae.b_dec + (kind == "scale-shift")))


def _fit_of(kind: str) -> Callable[[Forward, Readings], DecoderFit]:
    if kind not in FITS:
        raise InputError(f"kind is {kind!r}: choose {', '.join(FITS)}")
    return FITS[kind]


def passes(kind: str) -> int:
    """Number of times that `rescale` reads the activations."""
    return {"per-latent": 5, FROM_L1: 4}.get(kind, 3)


def _penalty(checkpoint: Checkpoint, l1: float | None) -> Penalty | None:
    return penalty_of(checkpoint) if l1 is None else given(l1)


def _check_penalty(checkpoint: Checkpoint, l1: float | None) -> None:
    """Raise InputError unless an L1 coefficient above 0 is known, and b_dec is the same for each token."""
    penalty, start = _penalty(checkpoint, l1), f"kind {FROM_L1}: {checkpoint.name}"
    if penalty is None:
        raise InputError(f"{start} states no L1 coefficient: give it with --l1")
    if penalty.l1 is None:
        raise InputError(
            f"{start} was trained with a tanh penalty ({penalty.source}), not with L1: choose another kind"
        )
    if not penalty.l1:
        raise InputError(f"{start} has the L1 coefficient {penalty.l1:g} ({penalty.source}): choose another kind")
    if checkpoint.sae.W_skip is not None:
        raise InputError(f"{start} has a skip, which the law does not cover: choose another kind")
    if checkpoint.sae.normalisation is not None:
        raise InputError(f"{start} normalises each token, which the law does not cover: choose another kind")


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


def _from_l1(sae: Forward, readings: Readings) -> DecoderFit:
    assert sae.penalty is not None  # `rescale` has checked it
    W_dec = sae.sae.W_dec
    norms = row_norms(W_dec)

    def count(batch: Batch, cluster: np.ndarray) -> Trained:
        runs = runs_of(cluster, batch.x.shape[:1], GROUPS)
        moments, dots = Moments.with_dots(batch.x, batch.x_hat, runs)
        penalties = slopes(batch.feature_acts, norms, sae.penalty, 1.0)
        tokens = TokenMeans.from_dots(dots, None, sent(runs.of_each_token(), dots.device), GROUPS, penalty=penalties)
        return Trained(moments, tokens, Latents.from_batch(batch.feature_acts, batch.t - batch.u, W_dec, cluster))

    trained = readings.total(sae, count, fitting=True)
    training = Training(*trained.tokens.penalties(), sae.penalty)
    b_dec, moments = sae.sae.b_dec.cpu(), readings.checked(trained.moments)
    report = Report(sae.name, moments, b_dec=b_dec, blocks=readings.blocks, training=training)
    _refuse_unless_along(moments.about(torch.stack((b_dec, b_dec)).double()))
    assert report.law is not None
    assert report.l1 is not None
    if report.law.word == NOT_EXPLAINED:
        raise InputError(f"kind {FROM_L1}: {report.law.in_words()}")
    latents = trained.latents
    change = torch.nan_to_num(latents.predicted(report.l1) - 1, 0)  # a latent that is never active keeps its row
    rows = (change[:, None] * W_dec.cpu()).to(W_dec)

    def count_change(batch: Batch, cluster: np.ndarray) -> Moments:
        return _moments(batch.t - batch.u, linear(batch.feature_acts, rows.mT), cluster)

    a, b, _ = readings.total(sae, count_change, fitting=True).means
    # C2 of x − x̂ and the change. By definition of s_j, E[f_j d_j·(x − x̂)] is (s_j − 1)·E‖f_j d_j‖².
    c = (change**2 * latents.energy.sum(0)).sum() / latents.tokens.sum()
    return 1 + evaluate(REGISTRY["scale_x_hat"], a, b, c) * change, None


def _best(moments: Moments) -> Tensor:
    """C2: the factor that brings the second of the pair closest to the first. Raises InputError unless positive."""
    _refuse_unless_along(moments)
    return evaluate(REGISTRY["scale_x_hat"], *moments.means)


def _refuse_unless_along(moments: Moments) -> None:
    if reason := why_undefined(REGISTRY["relative_reconstruction_bias"], *moments.means.tolist()):
        raise InputError(f"no rescaling of the decoder corrects this SAE, about its bias: {reason}")


FITS: dict[str, Callable[[Forward, Readings], DecoderFit]] = {
    "scalar": _scalar,
    "scale-shift": _scale_shift,
    "per-latent": _per_latent,
    FROM_L1: _from_l1,
}
"""The function that fits the decoder, by kind."""


@dataclass(frozen=True, eq=False)
class Trained(Sums):
    """What the law needs, of x and x̂: their moments, the means over tokens with the penalty, and the latents."""

    moments: Moments
    tokens: TokenMeans
    latents: Latents


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
