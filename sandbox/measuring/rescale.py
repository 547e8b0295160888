"""A correction of shrinkage: another decoder for the same latents, fitted on some documents, evaluated on the others.

The decoder bias is part of x̂ but no part of what shrinks (MATHS, traps). So for each token
    t = x − bias,   u = x̂ − bias = Σ_j f_j d_j,
and the factor that brings u nearest to t is C2 of this pair, the measure `scale_x_hat` of its moments. Every kind of
correction here is that one formula, of one pair after another.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from sandbox import checkpoints
from sandbox.activations import activations
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.correction import Correction, Evaluated
from sandbox.measuring.forward import BATCH, dtype_named
from sandbox.measuring.latents import Latents
from sandbox.measuring.split import Parts, Split
from sandbox.moments.moments import Moments
from sandbox.report import Report
from sandbox.system.devices import device_named, without_autocast

Fit = tuple[Tensor, Tensor | None]


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
    """The decoder that undoes an SAE's shrinkage, and what it does to documents that it was not fitted on.

    Kinds, each at least as good on the part that it is fitted on as "scalar":
        scalar:      W_dec times one factor, about the decoder bias
        scale-shift: that, and another b_dec: the best factor of the centred vectors, and the difference of the means
        per-latent:  scalar first; then each row of W_dec goes towards its latent's own best factor s_j
                     (`sandbox.measuring.latents`). Latents are on together, so that all going the whole way would
                     (`sandbox.measuring.latents`). Latents are on together, so all going the whole way would overshoot:
                     x̂ best. Latents of which the fitting part says nothing, their interval holding 1, do not go.

    Args:
        checkpoint:     its path, what `sandbox.checkpoints.read` gave, or a SAELens object
        source:         activations, as for `sandbox.measuring.measure.measure`; read several times (`passes`)
        documents:      one id a token, likewise, where the source has none; without any, blocks of BLOCK tokens are
                        fitted on or held out, though neighbouring blocks may be of one document
        share, seed:    of the documents to fit on, and of the draw (`Split`)
        device, dtype:  where and in what the SAE is computed; the corrected weights are float32
        batch_size:     tokens at a time
        name:           of the SAE, in the reports
        drop_nonfinite: leave out tokens with a NaN or an infinity in place of refusing them
        progress:       called after each batch with the tokens that it held
    Returns: a `Correction`, which writes the corrected checkpoint.
    Raises:  InputError for another kind, a share outside (0, 1), one document only, input that cannot be measured or
             gives other tokens the second time, and an x̂ that no positive factor brings nearer to x.
    Source:  C2, C12; MATHS, per latent
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: at least one token at a time is needed")
    fit, split = _fit_of(kind), Split(share, seed)
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = checkpoints.read(checkpoint)
    computed, original = (device_named(device), dtype_named(dtype)), checkpoint.sae
    opened = activations(source, documents)
    if opened.width != original.d_in:
        raise InputError(
            f"the SAE reads activations of dimension {original.d_in}, but {opened.name} has {opened.width}"
        )
    parts = Parts(opened, split, batch_size, computed[0], drop_nonfinite, progress)
    sae = _placed(original, *computed)
    factor, shift = fit(sae, parts)
    W_dec = (original.W_dec.double() * factor.reshape(-1, 1)).float()
    b_dec = original.b_dec if shift is None else (original.b_dec.double() + shift).float()
    changed = _placed(original.with_decoder(W_dec, b_dec), *computed)  # as it will be written, encoder included
    facts = {
        "name": name or checkpoint.name,
        "documents": None if parts.blocks else len(split.seen[False]),
        "dtype": dtype,
        "device": str(computed[0]),
        "description": checkpoint.describe(),
    }
    before, after = (_evaluated(one, parts, facts) for one in (sae, changed))
    fitted = len(split.seen[True])
    return Correction(kind, checkpoint, W_dec, b_dec, factor, share, seed, fitted, before, after)


def check_kind(checkpoint: Checkpoint, kind: str) -> None:
    """Refuse, before any work is done, a kind that there is not, or that the checkpoint's layout cannot hold."""
    _fit_of(kind)
    sae = checkpoint.sae
    checkpoint.rewritten(sae.with_decoder(2 * sae.W_dec, sae.b_dec + (kind == "scale-shift")))


def _fit_of(kind: str) -> Callable[[SAE, Parts], Fit]:
    if kind not in FITS:
        raise InputError(f"kind is {kind!r}: choose {', '.join(FITS)}")
    return FITS[kind]


def passes(kind: str) -> int:
    """How often `rescale` reads the activations."""
    return 5 if kind == "per-latent" else 3


def _placed(sae: SAE, device: torch.device, dtype: torch.dtype) -> SAE:
    """A copy where it is to be computed: the checkpoint's own stays as it was read."""
    return deepcopy(sae).to(device, dtype)


class Batch(NamedTuple):
    """A batch of tokens as an SAE sees it, in the space of x: t and u of the module's first lines."""

    x: Tensor
    x_hat: Tensor
    feature_acts: Tensor
    scale: Tensor
    t: Tensor
    u: Tensor


def _batch(sae: SAE, x: Tensor) -> Batch:
    cast = x.to(sae.W_dec.dtype)
    feature_acts = sae.encode(cast)
    x_hat = sae.decode(feature_acts, cast)
    _, scale, shift = sae.normalise(cast)
    wide = torch.promote_types(x_hat.dtype, torch.float32)
    x, x_hat, bias = x.to(wide), x_hat.to(wide), (sae.b_dec * scale + shift).to(wide)
    return Batch(x, x_hat, feature_acts, scale.expand(len(x), 1).to(wide), x - bias, x_hat - bias)


def _moments(u: Tensor, v: Tensor, cluster: np.ndarray) -> Moments:
    return Moments.from_pairs(u, v, cluster, drop_nonfinite=True)  # refused, if so, when all is read: nothing waits


def _fitted(parts: Parts, pairs: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Moments:
    """The moments of pairs that are made of x, over the part to fit on."""
    return parts.checked(parts.total(lambda x, cluster: _moments(*pairs(x), cluster), fitting=True))


def _scalar(sae: SAE, parts: Parts) -> Fit:
    def pairs(x: Tensor) -> tuple[Tensor, Tensor]:
        batch = _batch(sae, x)
        return batch.t, batch.u

    return _best(_fitted(parts, pairs)), None


def _scale_shift(sae: SAE, parts: Parts) -> Fit:
    """With t and u divided by the token's scale, x̂ is s·u + b', and a token counts scale² times.

    Its moments are those of t and u, but for the weights in the count and in the sums, from which they are centred.
    """

    def tally(x: Tensor, cluster: np.ndarray) -> Moments:
        batch = _batch(sae, x)
        plain = _moments(batch.t, batch.u, cluster)
        if sae.normalisation is None:
            return plain
        weighed = _moments(batch.scale * batch.t, batch.scale * batch.u, cluster)
        weights = _moments(batch.scale, batch.scale, cluster)
        return Moments(plain.totals, weights.totals[..., 0], weighed.sums, plain.nonfinite)

    moments = parts.checked(parts.total(tally, fitting=True))
    factor = _best(moments.centred())
    mean_t, mean_u = moments.sums.sum(0) / moments.n
    return factor, mean_t - factor * mean_u


def _per_latent(sae: SAE, parts: Parts) -> Fit:
    scalar, _ = _scalar(sae, parts)
    s = scalar.item()

    def tally(x: Tensor, cluster: np.ndarray) -> Latents:
        batch = _batch(sae, x)
        return Latents.from_batch(batch.feature_acts, batch.t - s * batch.u, s * sae.W_dec, cluster, batch.scale)

    latents = parts.total(tally, fitting=True)
    low, high = latents.intervals()
    way = torch.where((low > 1) | (high < 1), latents.scale_factors() - 1, 0)
    rows = (way[:, None] * sae.W_dec.cpu()).to(sae.W_dec)

    def gram(x: Tensor, cluster: np.ndarray) -> Tensor:
        batch = _batch(sae, x)
        three = torch.stack((batch.t, batch.u, linear(batch.feature_acts, rows.mT) * batch.scale), 1)
        products = three @ three.mT
        return torch.where(products.isfinite().all((1, 2), keepdim=True), products, 0).sum(0, dtype=torch.float64)

    total = parts.total(gram, fitting=True)
    both, share = torch.linalg.lstsq(total[1:, 1:], total[1:, 0], driver="gelsd").solution  # 0 where way is
    return both + share * way, None


def _best(moments: Moments) -> Tensor:
    """C2: the factor that brings the second of the pair nearest to the first; refused unless it is positive."""
    if reason := why_undefined(REGISTRY["relative_reconstruction_bias"], *moments.means.tolist()):
        raise InputError(f"no rescaling of the decoder corrects this SAE, about its bias: {reason}")
    return evaluate(REGISTRY["scale_x_hat"], *moments.means)


FITS: dict[str, Callable[[SAE, Parts], Fit]] = {
    "scalar": _scalar,
    "scale-shift": _scale_shift,
    "per-latent": _per_latent,
}
"""By kind: the factor of W_dec (one, or one a latent), and what is added to b_dec (None: nothing)."""


@dataclass(frozen=True)
class _Held:
    """What is added up over the part held out."""

    raw: Moments
    about_bias: Moments
    active: Tensor

    def __add__(self, other: _Held) -> _Held:
        return _Held(self.raw + other.raw, self.about_bias + other.about_bias, self.active + other.active)

    def to(self, device: str) -> _Held:
        return _Held(self.raw.to(device), self.about_bias.to(device), self.active.to(device))


def _evaluated(sae: SAE, parts: Parts, facts: dict[str, Any]) -> Evaluated:
    """An SAE on the part held out."""

    def tally(x: Tensor, cluster: np.ndarray) -> _Held:
        batch = _batch(sae, x)
        ok = (batch.x_hat.isfinite() & batch.x.isfinite()).all(1, keepdim=True)
        active = ((batch.feature_acts != 0) & ok).sum()
        return _Held(_moments(batch.x, batch.x_hat, cluster), _moments(batch.t, batch.u, cluster), active)

    held = parts.total(tally, fitting=False)
    raw, about = parts.checked(held.raw), parts.checked(held.about_bias)
    facts = facts | {"l0": held.active.item() / raw.n.item(), "blocks": facts["documents"] is None}
    return Evaluated(Report(moments=raw, **facts), Report(moments=about, **facts))
