"""`Forward`: computes x̂ and the latents of anything that can be measured, in pieces when memory is short."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sandbox import checkpoints
from sandbox.activations import Source, Targets
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm, Normalised
from sandbox.checkpoints.origin import reconstructs, trained_on
from sandbox.checkpoints.penalty import Penalty, penalty_of
from sandbox.errors import InputError
from sandbox.measuring.libraries import decoder_of
from sandbox.measuring.objects import refuse_dependence, refuse_settings, taking_flat_tokens, transcodes, width
from sandbox.measuring.reconstruct import FEW, Reconstruct, close, out_of_memory
from sandbox.measuring.sparse import nonzero
from sandbox.system.devices import device_named, device_type
from sandbox.system.dtypes import dtype_named

BATCH = 4096  # default number of tokens per batch
NORMALISATIONS = {"constant_norm_rescale": ConstantNorm, "layer_norm": LayerNorm}
"""SAELens' values of normalize_activations that change each token at inference; its other values do nothing then."""


class Passed(NamedTuple):
    """The result for a batch: what x̂ is compared with, x̂, and the L0 of each token (None if latents are hidden).

    For a transcoder, x is the target y, and x_hat is ŷ.
    """

    x: Tensor
    x_hat: Tensor
    l0: Tensor | None


Observe = Callable[[Tensor, Tensor, Tensor, slice], None]
"""Called with the latents, x and x̂ of each piece of a batch, and the slice of the batch that the piece covers."""


class Forward:
    """An SAE or a transcoder on its device, ready to compute.

    A transcoder reads rows that hold x, then y (`Targets`); what it is compared with is y. A token whose x is not
    finite gets a ŷ of nan, so that it is counted as such: its latents may all be zero, and its ŷ finite.

    Attributes:
        name:          for reports
        description:   layout, sizes and conventions of a checkpoint; the type of anything else
        device, dtype: of the forward pass
        d_in:          None if the object does not state it
        d_out:         dimension of what it reconstructs; None until `read_from` for an object
        transcodes:    whether it is a transcoder; None if nothing says so, and then the source's `targets` decide
        targets:       of the source that it reads, set by `read_from`; None for an SAE
        penalty:       the penalty that its settings say it was trained with; None if they name none
        trained_on:    the activations that its settings say it was trained on; None if they name none
        reconstructs:  those that its settings say a transcoder reconstructs; None if they name none
        W_dec, b_dec:  x̂ = feature_acts·W_dec + b_dec, apart from a skip. W_dec is None if x̂ has no such form; b_dec
                       also if it differs between tokens. Set by `try_on`
        sees_latents:  whether the latents are visible. Set by `try_on`
    """

    W_dec: Tensor | None = None
    b_dec: Tensor | None = None
    sees_latents = False
    targets: Targets | None = None
    sae: Any

    def __init__(
        self,
        sae: Any,
        device: str,
        dtype: str,
        source_device: torch.device | None = None,
        tokens: int | None = None,
        *,
        sparse: bool = True,
    ):
        """Load an SAE.

        Args:
            sae:           a checkpoint's path, a `Checkpoint`, or any module or callable that maps x to x̂
            device, dtype: of a checkpoint's forward pass; objects keep their own
            source_device: device of the activations, used for a callable without weights
            tokens:        tokens per forward pass; None: the whole batch at once
            sparse:        whether to decode from the active latents only, where that is faster (on a CPU); it adds up
                           in a different order
        Raises: InputError for any other `sae`; errors of `checkpoints.read`
        """
        kind = dtype_named(dtype)
        if isinstance(sae, str | Path):
            sae = checkpoints.read(sae)
        self.d_in: int | None = None
        self.d_out: int | None = None
        self._piece = tokens
        if isinstance(sae, Checkpoint):
            self.device, self.dtype = device_named(device), kind
            # Convert a copy: the checkpoint keeps its exact weights, to be written again.
            self.sae = deepcopy(sae.sae).to(self.device, self.dtype)
            self.name, self.description = sae.name, sae.describe()
            self.d_in, self.d_out, self.transcodes = self.sae.d_in, self.sae.d_out, self.sae.transcodes
            self.trained_on, self.penalty = trained_on(sae), penalty_of(sae)
        elif callable(sae):
            self.sae = sae
            self._place_object(device, kind, source_device)
            self.name, self.d_in = getattr(sae, "__name__", type(sae).__name__), width(sae)
            refuse_settings(sae, self.name)
            self.transcodes = sae.transcodes if isinstance(sae, SAE) else transcodes(sae)
            self.d_out = sae.d_out if isinstance(sae, SAE) else None
            self.trained_on, self.penalty = trained_on(sae), penalty_of(sae)
            self.description = sae.describe() if isinstance(sae, SAE) else type(sae).__name__
        else:
            raise InputError(
                f"sae is a {type(sae).__name__}: give a checkpoint's path, or a module or callable that maps x to x̂"
            )
        self.reconstructs = reconstructs(sae)
        self._reconstruct = Reconstruct(self.sae, self.name, sparse)

    def _place_object(self, device: str, dtype: torch.dtype, source_device: torch.device | None) -> None:
        """Set the device and dtype of a user's object, which is never moved or converted."""
        weight = next((tensor for tensor in _tensors(self.sae) if tensor.is_floating_point()), None)
        if weight is not None:
            self.device, self.dtype = weight.device, weight.dtype
            if device != "auto" and device_type(device) != self.device.type:
                raise InputError(
                    f"the SAE is on {self.device}, but device is {device!r}: move it first, with sae.to({device!r})"
                )
        else:
            self.device = device_named((source_device or "cpu") if device == "auto" else device)
            self.dtype = dtype

    def __call__(self, rows: Tensor, observe: Observe | None = None) -> Passed:
        """Compute x̂ of a batch; `observe` is called with the latents of each piece before they are freed.

        When memory runs out, the pieces are halved for the rest of the run. Raises only if one token is too many.
        """
        x, compared = self.read(rows), self.compared(rows)
        x_hat: Tensor | None = None
        l0: Tensor | None = None
        start = 0
        while start < len(x):
            stop = min(start + (self._piece or len(x)), len(x))
            window = slice(start, stop)
            try:
                part_hat, count = self._observed(x[window], compared[window], window, observe)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or stop - start == 1:
                    raise
                part_hat = None
            if part_hat is None:  # outside `except`: the error no longer keeps the tensors alive
                self._halve(stop - start)
                continue
            if stop - start == len(x):
                return Passed(compared, part_hat, count)
            x_hat = part_hat.new_empty(compared.shape) if x_hat is None else x_hat
            x_hat[window] = part_hat
            if count is not None:
                l0 = count.new_empty(len(x)) if l0 is None else l0
                l0[window] = count
            start = stop
        assert x_hat is not None  # batches are not empty
        return Passed(compared, x_hat, l0)

    def _observed(
        self, part: Tensor, compared: Tensor, window: slice, observe: Observe | None
    ) -> tuple[Tensor, Tensor | None]:
        """x̂ of a piece and the L0 of each token; its latents are freed on return."""
        part_hat, feature_acts, count = self._reconstruct(part.to(self.dtype))
        if self.targets is not None:
            part_hat = part_hat.masked_fill(~part.isfinite().all(1, keepdim=True), torch.nan)
        if count is None and feature_acts is not None:
            count = nonzero(feature_acts)
        if observe is not None and feature_acts is not None:
            observe(feature_acts, compared, part_hat, window)
        return part_hat, count

    def read(self, rows: Tensor) -> Tensor:
        """The columns of a source's rows that it reads: x."""
        return rows if self.targets is None else rows[:, : self.targets.start]

    def compared(self, rows: Tensor) -> Tensor:
        """The columns of a source's rows that x̂ is compared with: x, or a transcoder's y."""
        return rows if self.targets is None else rows[:, self.targets.start :]

    def read_from(self, source: Source) -> None:
        """Prepare to read a source.

        Raises: InputError if its dimensions differ from the SAE's, and unless it holds targets exactly for a transcoder
        """
        self.targets = getattr(source, "targets", None)
        if self.targets is None and self.transcodes:
            raise InputError(
                f"{self.name} is a transcoder: its output reconstructs other activations than it reads; give these as "
                "targets, with --targets beside --activations, or --target-hook beside --model"
            )
        if self.targets is not None and self.transcodes is False:
            raise InputError(
                f"{self.name} is an SAE, which reconstructs the activations that it reads, but there are targets "
                f"({self.targets.name}), which only a transcoder needs: leave them out"
            )
        width = source.width if self.targets is None else self.targets.start
        if self.d_in is not None and self.d_in != width:
            heads = "; concatenate the outputs of heads, (..., heads, d_head), first: x.flatten(-2)"
            raise InputError(
                f"the SAE reads activations of dimension {self.d_in}, but {source.name} has {width}"
                f"{heads if width and not self.d_in % width else ''}"
            )
        if self.targets is not None and self.d_out not in (None, source.width - width):
            raise InputError(
                f"the transcoder reconstructs activations of dimension {self.d_out}, but {self.targets.name} has "
                f"{source.width - width}"
            )
        self._reconstruct.d_out = None if self.targets is None else source.width - width
        self.d_out = self._reconstruct.d_out or self.d_out

    def run(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x̂ and the latents of a few tokens."""
        return self._reconstruct(x.to(self.device, self.dtype))[:2]

    def try_on(self, rows: Tensor) -> None:
        """Find out on a few tokens whether latents are visible, and whether x̂ = feature_acts·W_dec + constant + skip.

        W_dec stays None for an object in half precision: rounding hides whether x̂ has that form.

        Raises: InputError if no token is finite, or if x̂ of a token depends on the other tokens
        """
        x = self.read(rows[rows.isfinite().all(-1)][:FEW])
        if not len(x):
            raise InputError(f"each of the first {FEW} tokens tried has a NaN or an infinity")
        x_hat, feature_acts = self.run(x)
        self.sees_latents = feature_acts is not None
        self._tried = x_hat
        if isinstance(self.sae, SAE):
            self.W_dec, self.b_dec = self.sae.W_dec, self.sae.b_dec if self.sae.normalisation is None else None
            return
        refuse_dependence(lambda few: self.run(few)[0], x, x_hat, self.name)
        W_dec = decoder_of(self.sae)
        if W_dec is None or feature_acts is None or _is_half(x_hat.dtype):
            return
        if W_dec.shape != (feature_acts.shape[-1], x_hat.shape[-1]):
            return
        normalised = self._normalise(x.to(x_hat))
        z_hat = x_hat if normalised is None else (x_hat - normalised.shift) / normalised.scale
        skipped = self._reconstruct.skipped(x.to(x_hat))
        rest = z_hat - feature_acts @ W_dec - (0 if skipped is None else skipped)
        if close(rest, rest[:1].expand_as(rest), z_hat):
            self.W_dec, self.b_dec = W_dec.detach(), rest[0].detach() if normalised is None else None

    @cached_property
    def decoder_norms(self) -> Tensor | None:
        """‖d_j‖ of each latent, (d_sae,), in float32 or better; None unless x̂ is feature_acts·W_dec + b_dec."""
        known = self.W_dec is not None and self.b_dec is not None and self._reconstruct.W_skip is None
        return row_norms(self.W_dec) if known and self.W_dec is not None else None

    @property
    def identity(self) -> str:
        """A fingerprint of its weights and of x̂ on the tokens of `try_on`."""
        return fingerprint((*_tensors(self.sae), self._tried))

    def scale(self, x: Tensor) -> Tensor | None:
        """The factor that undoes each token's normalisation; None if the SAE does not normalise tokens."""
        normalised = self._normalise(x.to(self.dtype))
        return None if normalised is None else normalised.scale

    def _normalise(self, x: Tensor) -> Normalised | None:
        """x as the encoder reads it if the SAE normalises tokens (our `SAE`, or SAELens' setting); otherwise None.

        SAELens does not undo on ŷ what a transcoder's setting does to x, so that ŷ needs no scale.
        """
        if self.targets is not None:
            return None
        if isinstance(self.sae, SAE):
            return None if self.sae.normalisation is None else self.sae.normalisation(x)
        setting = getattr(getattr(self.sae, "cfg", None), "normalize_activations", None)
        return NORMALISATIONS[setting]()(x) if setting in NORMALISATIONS else None

    def _halve(self, tokens: int) -> None:
        self._piece = max(1, tokens // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"sandbox: out of memory; {self.name} continues with {self._piece} tokens at a time", file=sys.stderr)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put a module in evaluation mode and let it read flat tokens; restore it afterwards."""
        modules = [m for m in self.sae.modules() if m.training] if isinstance(self.sae, nn.Module) else []
        try:
            for module in modules:
                module.training = False
            with taking_flat_tokens(self.sae):
                yield
        finally:
            for module in modules:
                module.training = True


class Pairs:
    """Takes the place of an SAE for existing reconstructions: each row holds x followed by x̂."""

    W_dec = b_dec = decoder_norms = dtype = None
    penalty: Penalty | None = None
    sees_latents = False
    targets = None
    identity = ""  # the fingerprint of the activations covers x̂
    description = "existing reconstructions"

    def __init__(self, name: str, d_in: int, device: torch.device):
        self.name, self.d_in, self.device = name, d_in, device

    def __call__(self, x: Tensor, observe: Observe | None = None) -> Passed:
        """Split each row into x and x̂."""
        return Passed(self.compared(x), x[:, self.d_in :], None)

    def compared(self, rows: Tensor) -> Tensor:
        """The columns that hold x."""
        return rows[:, : self.d_in]

    def try_on(self, x: Tensor) -> None:
        """Do nothing: there are no latents."""

    def scale(self, x: Tensor) -> None:
        """None: nothing is normalised."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Do nothing: there is no module."""
        yield


def row_norms(W_dec: Tensor) -> Tensor:
    """‖d_j‖ of each row, (d_sae,), in float32 or better."""
    return W_dec.detach().to(torch.promote_types(W_dec.dtype, torch.float32)).norm(dim=1)


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A digest of the tensors' bytes."""
    digest = blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_half(dtype: torch.dtype) -> bool:
    return torch.finfo(dtype).eps > 1e-4


def _tensors(sae: Any) -> Iterator[Tensor]:
    if isinstance(sae, nn.Module):
        yield from sae.parameters()
        yield from sae.buffers()
