"""Correct shrinkage: refit the decoder for the same latents on some documents, and evaluate it on the others.

The decoder bias is part of x̂ but does not shrink (docs/mathematics.md, "Traps"). For each token, therefore, let
    t = x − bias,   u = x̂ − bias = Σ_j f_j d_j.
The factor that brings u closest to t is C2 of this pair: the measure `scale_x_hat` of its moments. Every kind of
correction applies this formula to some pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox import checkpoints
from sandbox.activations import activations
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.penalty import Penalty, given, penalty_of
from sandbox.errors import InputError
from sandbox.measuring.correction import Correction, Evaluated
from sandbox.measuring.fits import DECODER, FITS, FROM_L1, JOINT, DecoderFit, Fits, fitting_passes, moments_of
from sandbox.measuring.forward import BATCH, Forward
from sandbox.measuring.normal_equations import LIMIT, check_memory
from sandbox.measuring.ranks import Ranks, each_has_its_own
from sandbox.measuring.readings import Batch, Readings
from sandbox.moments.moments import Moments
from sandbox.moments.sums import Sums
from sandbox.report import Report
from sandbox.system.devices import without_autocast


class Settings(TypedDict, total=False):
    """The keyword arguments of `rescale`, except for `kind`."""

    documents: Any
    share: float
    seed: int
    device: str
    dtype: str
    batch_size: int
    name: str | None
    k: int | None
    l1: float | None
    ridge: float | None
    memory: float
    drop_nonfinite: bool
    progress: Callable[[int], None] | None


def rescale(
    checkpoint: str | Path | Checkpoint | Any, source: Any, *, kind: str = "scalar", **settings: Unpack[Settings]
) -> Correction:
    """Fit a decoder that undoes an SAE's shrinkage, and evaluate it on held-out documents.

    Kinds; on the documents they are fitted on, those from the second to the fifth do at least as well as "scalar":
        scalar:      multiply W_dec by one factor, about the decoder bias
        scale-shift: also shift b_dec: the best factor of the centred vectors, and the difference of the means
        per-latent:  first scalar; then move each row of W_dec towards its latent's own best factor s_j
                     (`sandbox.measuring.latents`). Latents are active together, so moving each the whole way would
                     overshoot: all move the same fraction of the way, the best one for x̂. A latent whose interval
                     contains 1 keeps its row.
        joint:       a factor for each row, all fitted at once by least squares: the best that any factors can do.
                     Factors of rare latents stay near the one best factor (`sandbox.measuring.least_squares`); a
                     latent that is never active keeps its row
        decoder:     all of W_dec and b_dec by least squares: the best that any decoder of these latents can do. Rare
                     latents stay near their rows of "joint"
        from-l1:     for an SAE trained with an L1 penalty: move each row towards the factor s_j that the law predicts
                     from the coefficient and the means of f_j and f_j² (C20). Nothing is fitted to the errors x − x̂;
                     they only check that the law holds. Each s_j is the best factor if no other row moves, so moving
                     all the whole way overshoots here, too: all move the same fraction of the way. The best fraction
                     needs the energy of the whole change, and its inner product with x − x̂, which the law implies.

    Args:
        checkpoint:     a path, the result of `sandbox.checkpoints.read`, or a SAELens object
        source:         activations, as for `sandbox.measuring.measure.measure`; read several times (`passes`)
        documents:      one ID per token, if the source has none; without IDs, blocks of BLOCK tokens are split
                        instead, although neighbouring blocks may belong to the same document
        share, seed:    share of the documents to fit on (0.5), and random seed of the split (0; `Split`)
        device, dtype:  of the SAE's forward pass; the corrected weights are float32
        batch_size:     tokens per batch
        name:           of the SAE, in the reports
        k:              active latents per token of a checkpoint whose files do not state it (Qwen-Scope)
        l1:             for from-l1: the L1 coefficient, in the units of the activations that training saw, where the
                        checkpoint does not state it
        ridge:          for joint and decoder: how strongly each row is held where it starts, in tokens; by default,
                        cross-validation within the documents to fit on chooses it
        memory:         for joint and decoder: limit in GB of the products of all latents with one another, which take
                        48·d_sae² bytes
        drop_nonfinite: leave out tokens with a NaN or an infinity instead of refusing them
        progress:       called after each batch with its number of tokens
    Returns: a `Correction`, which can write the corrected checkpoint
    Raises:  InputError for an unknown kind, a share outside (0, 1), a single document, input that cannot be measured or
             changes between passes, and an x̂ that no positive factor brings closer to x; for joint and decoder, if
             `memory` is too small; for from-l1, if no coefficient above 0 is known, or the law does not hold
    Source:  C2, C12, C20 and "Per latent" in docs/mathematics.md
    """
    return corrections(checkpoint, source, (kind,), **settings)[kind]


@without_autocast()
def corrections(
    checkpoint: str | Path | Checkpoint | Any, source: Any, kinds: Sequence[str], **settings: Unpack[Settings]
) -> dict[str, Correction]:
    """As `rescale`, for several kinds: by kind, with passes shared, and all evaluated in one pass.

    Args: kinds: in the order to fit them in
    """
    with _Work(checkpoint, source, kinds, settings) as work:
        fits = work.fits()
        # The SAEs as they will be written, encoders included.
        saes = [work.sae, *(work.forward(work.changed(fit)) for fit in fits.values())]
        before, *after = _evaluated(saes, work.readings, work.facts())
    split = work.split
    assert split.seed is not None
    return {
        kind: Correction(
            kind, work.checkpoint, fit.W_dec, fit.b_dec, fit.factor, split.share, split.seed, work.readings.fitted,
            before, evaluated, fit.ridge,
        )
        for (kind, fit), evaluated in zip(fits.items(), after, strict=True)
    }  # fmt: skip


@without_autocast()
def corrected_saes(
    checkpoint: str | Path | Checkpoint | Any, source: Any, kinds: Sequence[str], **settings: Unpack[Settings]
) -> dict[str, SAE]:
    """The corrected SAE of each kind, to put in the original's place: a module that maps x to x̂.

    It is fitted as by `rescale`, but not evaluated. The documents not fitted on are those that
    `~Split(share, seed).chosen(ids)` names (`sandbox.activations.split`).

    Returns: the SAEs by kind, on the CPU in float32; their latents are those of the original
    """
    with _Work(checkpoint, source, kinds, settings) as work:
        return {kind: work.changed(fit) for kind, fit in work.fits().items()}


class _Work:
    """What `rescale` works with: the SAE on its device, the activations, and the split of the documents."""

    def __init__(self, checkpoint: Any, source: Any, kinds: Sequence[str], settings: Settings):
        self.kinds, self._settings = tuple(dict.fromkeys(kinds)), settings
        self._batch, self._dtype = settings.get("batch_size", BATCH), settings.get("dtype", "float32")
        if self._batch < 1:
            raise InputError(f"batch_size is {self._batch}: at least one token at a time is needed")
        for kind in self.kinds:
            _check_known(kind)
        self.split, ranks = Split(settings.get("share", 0.5), settings.get("seed", 0)), Ranks.here()
        k = settings.get("k")
        if k is not None or not isinstance(checkpoint, Checkpoint):
            checkpoint = checkpoints.read(checkpoint, k)
        self.checkpoint, l1, documents = checkpoint, settings.get("l1"), settings.get("documents")
        for kind in self.kinds:
            _check_fit(checkpoint, kind, l1, settings.get("ridge"), settings.get("memory", LIMIT))
        self._device, self._ranks = ranks.device(settings.get("device", "auto")), ranks
        self.sae = self.forward(checkpoint.sae)
        opened = activations(ranks.own(source), ranks.own(documents))
        self.sae.check_width(opened)
        self.sae.penalty = _penalty(checkpoint, l1)

        def readings() -> Readings:
            mine = ranks.share(opened, self._batch, each_has_its_own(source), shared_ids=documents is not None)
            drop, progress = settings.get("drop_nonfinite", False), settings.get("progress")
            return Readings(opened, self.split, self._batch, drop, ranks, mine, progress)

        self._open, self._stack = readings, ExitStack()

    def __enter__(self) -> _Work:
        self._stack.enter_context(self._ranks.joined(str(self.sae.device)))
        self.readings = self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def forward(self, sae: SAE) -> Forward:
        """An SAE with the checkpoint's name, on the device."""
        checkpoint = replace(self.checkpoint, sae=sae)
        return Forward(checkpoint, self._device, self._dtype, tokens=self._batch, sparse=False)

    def fits(self) -> dict[str, DecoderFit]:
        """The decoder of each kind."""
        made = Fits(self.sae, self.checkpoint.sae, self.readings, self.kinds, self._settings.get("ridge"))
        return {kind: made.of(kind) for kind in self.kinds}

    def changed(self, fit: DecoderFit) -> SAE:
        """The original with that decoder."""
        return self.checkpoint.sae.with_decoder(fit.W_dec, fit.b_dec)

    def facts(self) -> dict[str, Any]:
        """What the reports state."""
        return {
            "name": self._settings.get("name") or self.checkpoint.name,
            "documents": None if self.readings.blocks else self.readings.held_out,
            "dtype": self._dtype,
            "device": str(self.sae.device),
            "description": self.checkpoint.describe(),
        }


def check_kind(
    checkpoint: Checkpoint,
    kind: str,
    l1: float | None = None,
    ridge: float | None = None,
    memory: float = LIMIT,
    *,
    written: bool = True,
) -> None:
    """Raise InputError, before any work, for an unknown kind or one that the checkpoint's layout cannot store.

    Args: l1, ridge, memory: as for `rescale`; written: whether the layout must be able to store it
    """
    _check_known(kind)
    _check_fit(checkpoint, kind, l1, ridge, memory)
    sae = checkpoint.sae
    if written:
        checkpoint.rewritten(sae.with_decoder(2 * sae.W_dec, sae.b_dec + (kind in ("scale-shift", DECODER))))


def passes(kinds: str | Sequence[str]) -> int:
    """Number of times that `rescale` reads the activations for a kind, or `corrections` for several."""
    return fitting_passes([kinds] if isinstance(kinds, str) else kinds) + 1


def _check_known(kind: str) -> None:
    if kind not in FITS:
        raise InputError(f"kind is {kind!r}: choose {', '.join(FITS)}")


def _check_fit(checkpoint: Checkpoint, kind: str, l1: float | None, ridge: float | None, memory: float) -> None:
    if kind == FROM_L1:
        _check_penalty(checkpoint, l1)
    if kind in (JOINT, DECODER):
        if ridge is not None and not 0 <= ridge < float("inf"):
            raise InputError(f"ridge is {ridge:g}: give a number of tokens, 0 or more")
        if not memory > 0:
            raise InputError(f"memory is {memory:g}: give a limit above 0, in GB")
        check_memory(kind, checkpoint.sae.d_sae, checkpoint.sae.d_in, memory)


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
    if checkpoint.sae.normalisation is not None:
        raise InputError(f"{start} normalises each token, which the law does not cover: choose another kind")


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


def _evaluated(saes: Sequence[Forward], readings: Readings, facts: dict[str, Any]) -> list[Evaluated]:
    """Evaluate SAEs on the held-out documents, in one pass."""

    def count(batch: Batch, cluster: np.ndarray) -> HeldOut:
        ok = (batch.x_hat.isfinite() & batch.x.isfinite()).all(1, keepdim=True)
        active = ((batch.feature_acts != 0) & ok).sum(dtype=torch.float64)
        return HeldOut(moments_of(batch.x, batch.x_hat, cluster), moments_of(batch.t, batch.u, cluster), active)

    def evaluated(total: HeldOut) -> Evaluated:
        raw, about_bias = readings.checked(total.raw), readings.checked(total.about_bias)
        about = facts | {"l0": total.active.item() / raw.n.item(), "blocks": facts["documents"] is None}
        return Evaluated(Report(moments=raw, **about), Report(moments=about_bias, **about))

    return [evaluated(total) for total in readings.total_of_each(saes, count, fitting=False)]
