"""`Fits`: every way to fit a decoder that undoes shrinkage, on one part of the documents (`rescale` names them)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import linear

from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.forward import Forward, row_norms
from sandbox.measuring.latents import Latents
from sandbox.measuring.least_squares import LeastSquares
from sandbox.measuring.normal_equations import NormalEquations, fold_of
from sandbox.measuring.penalties import slopes
from sandbox.measuring.readings import Batch, Readings
from sandbox.measuring.token_means import TokenMeans
from sandbox.moments.clusters import runs_of
from sandbox.moments.moments import GROUPS, Moments
from sandbox.moments.sums import Sums
from sandbox.report import Report
from sandbox.report.law import NOT_EXPLAINED, Training
from sandbox.system.devices import sent

FROM_L1 = "from-l1"
"""The kind that needs the L1 coefficient of training."""

JOINT, DECODER = "joint", "decoder"
"""The kinds that need the normal equations."""


@dataclass(frozen=True)
class DecoderFit:
    """A fitted decoder.

    Attributes:
        W_dec:  Float[Tensor, "d_sae d_in"], float32
        b_dec:  Float[Tensor, "d_in"], float32
        factor: Float64[Tensor, ""] for all of W_dec, or Float64[Tensor, "d_sae"] with one factor per row; for a decoder
                fitted freely, that of the part of each row along the original one
        ridge:  of the least squares, in tokens; None for the other kinds
    """

    W_dec: Float[Tensor, "d_sae d_in"]
    b_dec: Float[Tensor, "d_in"]
    factor: Float64[Tensor, "*d_sae"]
    ridge: float | None = None


class Fits:
    """Fits decoders to one part of the documents; kinds that need the same totals share a pass.

    Args:
        sae:      the SAE on its device
        original: the SAE on the CPU, in float32, whose decoder is to be changed
        readings: the documents
        kinds:    all that will be fitted
        ridge:    of the least squares, in tokens; None: chosen by cross-validation
    """

    def __init__(
        self, sae: Forward, original: SAE, readings: Readings, kinds: Collection[str], ridge: float | None = None
    ):
        self.sae, self.original, self.readings, self._ridge = sae, original, readings, ridge
        self._with_equations = bool({JOINT, DECODER} & set(kinds))

    def of(self, kind: str) -> DecoderFit:
        """The decoder of that kind. Raises: InputError as `rescale` does"""
        return FITS[kind](self)

    @cached_property
    def _moments(self) -> Moments:
        """Those of t and u; the same pass adds up the normal equations, if any kind needs them."""
        equations, split = self._equations if self._with_equations else None, self.readings.split
        seed = split.seed if split and split.seed else 0

        def count(batch: Batch, cluster: np.ndarray) -> Moments:
            moments = moments_of(batch.t, batch.u, cluster)
            if equations:  # last, because what is added in place cannot be undone if memory runs out
                equations.add(batch.feature_acts, batch.scale, batch.t, fold_of(cluster, seed))
            return moments

        return self.readings.checked(self.readings.total(self.sae, count, fitting=True))

    @cached_property
    def _equations(self) -> NormalEquations:
        return NormalEquations.zeros(self.original.d_sae, self.original.d_in, self.sae.device)

    @cached_property
    def _least_squares(self) -> LeastSquares:
        _refuse_unless_along(self._moments)
        totals = self.readings.summed(self._equations, self.sae.device)
        del self._equations
        return LeastSquares(totals, self.original.W_dec.double(), self._ridge)

    @cached_property
    def _scalar_factor(self) -> Tensor:
        return _best(self._moments)

    def _scaled(self, factor: Tensor, shift: Tensor | None = None) -> DecoderFit:
        W_dec, b_dec = self.original.W_dec, self.original.b_dec
        return DecoderFit(
            (W_dec.double() * factor.reshape(-1, 1)).float(),
            b_dec if shift is None else (b_dec.double() + shift).float(),
            factor,
        )

    def scalar(self) -> DecoderFit:
        """One factor for all of W_dec."""
        return self._scaled(self._scalar_factor)

    def scale_shift(self) -> DecoderFit:
        """One factor, and a shift of b_dec.

        With t and u divided by the token's scale, x̂ is s·u + b', and each token has weight scale². The moments are
        those of t and u, except that the count and the sums, which centre them, are weighted.
        """

        def count(batch: Batch, cluster: np.ndarray) -> Moments:
            plain = moments_of(batch.t, batch.u, cluster)
            if self.sae.sae.normalisation is None:
                return plain
            weighed = moments_of(batch.scale * batch.t, batch.scale * batch.u, cluster)
            weights = moments_of(batch.scale, batch.scale, cluster)
            return Moments(plain.totals, weights.totals[..., 0], weighed.sums, plain.nonfinite)

        moments = self.readings.checked(self.readings.total(self.sae, count, fitting=True))
        factor = _best(moments.centred())
        mean_t, mean_u = moments.sums.sum(0) / moments.n
        return self._scaled(factor, mean_t - factor * mean_u)

    def per_latent(self) -> DecoderFit:
        """One factor, and then the same fraction of the way to each latent's own."""
        s, W_dec = self._scalar_factor.item(), self.sae.sae.W_dec

        def count_latents(batch: Batch, cluster: np.ndarray) -> Latents:
            return Latents.from_batch(batch.feature_acts, batch.t - s * batch.u, s * W_dec, cluster, batch.scale)

        latents = self.readings.total(self.sae, count_latents, fitting=True)
        low, high = latents.intervals()
        change = torch.where((low > 1) | (high < 1), latents.scale_factors() - 1, 0)
        rows = (change[:, None] * W_dec.cpu()).to(W_dec)

        def count_products(batch: Batch, cluster: np.ndarray) -> Products:
            vectors = torch.stack((batch.t, batch.u, linear(batch.feature_acts, rows.mT) * batch.scale), 1)
            products = vectors @ vectors.mT
            finite = torch.where(products.isfinite().all((1, 2), keepdim=True), products, 0)
            return Products(finite.sum(0, dtype=torch.float64))

        total = self.readings.total(self.sae, count_products, fitting=True).total
        # The least-norm solution: share is 0 if `change` is 0.
        common, share = torch.linalg.lstsq(total[1:, 1:], total[1:, 0], driver="gelsd").solution
        return self._scaled(common + share * change)

    def joint(self) -> DecoderFit:
        """A factor for each row, all fitted at once."""
        fitted = self._least_squares.joint()
        return replace(self._scaled(fitted.rows[:, 0]), ridge=fitted.ridge)

    def decoder(self) -> DecoderFit:
        """All of W_dec and b_dec."""
        fitted = self._least_squares.decoder()
        W_dec, rows = self.original.W_dec.double(), fitted.rows[:-1]
        energy = W_dec.square().sum(1)
        factor = torch.where(energy > 0, (rows * W_dec).sum(1) / energy, 1)
        b_dec = self.original.b_dec.double() + fitted.rows[-1]
        return DecoderFit(rows.float(), b_dec.float(), factor, fitted.ridge)

    def from_l1(self) -> DecoderFit:
        """A factor for each row, which the law predicts."""
        sae = self.sae
        assert sae.penalty is not None  # `rescale` has checked it
        W_dec = sae.sae.W_dec
        norms = row_norms(W_dec)

        def count(batch: Batch, cluster: np.ndarray) -> Trained:
            runs = runs_of(cluster, batch.x.shape[:1], GROUPS)
            moments, dots = Moments.with_dots(batch.x, batch.x_hat, runs)
            penalties = slopes(batch.feature_acts, norms, sae.penalty, 1.0)
            tokens = TokenMeans.from_dots(
                dots, None, sent(runs.of_each_token(), dots.device), GROUPS, penalty=penalties
            )
            return Trained(moments, tokens, Latents.from_batch(batch.feature_acts, batch.t - batch.u, W_dec, cluster))

        trained = self.readings.total(sae, count, fitting=True)
        training = Training(*trained.tokens.penalties(), sae.penalty)
        b_dec, moments = sae.sae.b_dec.cpu(), self.readings.checked(trained.moments)
        report = Report(sae.name, moments, b_dec=b_dec, blocks=self.readings.blocks, training=training)
        _refuse_unless_along(moments.about(torch.stack((b_dec, b_dec)).double()))
        assert report.law is not None
        assert report.l1 is not None
        if report.law.word == NOT_EXPLAINED:
            raise InputError(f"kind {FROM_L1}: {report.law.in_words()}")
        latents = trained.latents
        change = torch.nan_to_num(latents.predicted(report.l1) - 1, 0)  # a latent that is never active keeps its row
        rows = (change[:, None] * W_dec.cpu()).to(W_dec)

        def count_change(batch: Batch, cluster: np.ndarray) -> Moments:
            return moments_of(batch.t - batch.u, linear(batch.feature_acts, rows.mT), cluster)

        a, b, _ = self.readings.total(sae, count_change, fitting=True).means
        # C2 of x − x̂ and the change. By definition of s_j, E[f_j d_j·(x − x̂)] is (s_j − 1)·E‖f_j d_j‖².
        c = (change**2 * latents.energy.sum(0)).sum() / latents.tokens.sum()
        return self._scaled(1 + evaluate(REGISTRY["scale_x_hat"], a, b, c) * change)


FITS: dict[str, Callable[[Fits], DecoderFit]] = {
    "scalar": Fits.scalar,
    "scale-shift": Fits.scale_shift,
    "per-latent": Fits.per_latent,
    JOINT: Fits.joint,
    DECODER: Fits.decoder,
    FROM_L1: Fits.from_l1,
}
"""The method that fits the decoder, by kind."""

SHARED = {"scalar", "per-latent", JOINT, DECODER}
"""The kinds that share the pass for the moments of t and u."""

ALONE = {"scale-shift": 1, "per-latent": 2, FROM_L1: 2}
"""Further passes of one kind alone."""


def fitting_passes(kinds: Collection[str]) -> int:
    """Number of times that fitting these kinds reads the activations."""
    return bool(SHARED & set(kinds)) + sum(ALONE.get(kind, 0) for kind in set(kinds))


def moments_of(u: Tensor, v: Tensor, cluster: np.ndarray) -> Moments:
    """Moments of a pair; tokens that are not finite are only counted."""
    return Moments.from_pairs(u, v, cluster, drop_nonfinite=True)  # `checked` refuses them after the pass: no wait here


def _best(moments: Moments) -> Tensor:
    """C2: the factor that brings the second of the pair closest to the first. Raises InputError unless positive."""
    _refuse_unless_along(moments)
    return evaluate(REGISTRY["scale_x_hat"], *moments.means)


def _refuse_unless_along(moments: Moments) -> None:
    if reason := why_undefined(REGISTRY["relative_reconstruction_bias"], *moments.means.tolist()):
        raise InputError(f"no rescaling of the decoder corrects this SAE, about its bias: {reason}")


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
