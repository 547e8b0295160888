"""`Forward`: x ► x̂ and the latents of anything that can be measured, in pieces where memory is short."""

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
from sandbox.activations import Source
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm, Normalised
from sandbox.checkpoints.origin import trained_on
from sandbox.checkpoints.penalty import penalty_of
from sandbox.errors import InputError
from sandbox.measuring.objects import refuse_dependence, refuse_settings, taking_flat_tokens, width
from sandbox.measuring.sparse import is_sparse, nonzero, sparse_product
from sandbox.system.devices import device_named, device_type
from sandbox.system.dtypes import dtype_named

BATCH = 4096  # tokens at a time
FEW = 64  # tokens that show whether encode and decode are the forward pass: next to nothing in time
NORMALISATIONS = {"constant_norm_rescale": ConstantNorm, "layer_norm": LayerNorm}
"""What SAELens' setting normalize_activations does to each token at inference; its other values do nothing."""


class Computed(NamedTuple):
    """x̂, the latents (None where they are not seen), and how many of each token are on (None where not counted yet)."""

    x_hat: Tensor
    feature_acts: Tensor | None = None
    l0: Tensor | None = None


class Passed(NamedTuple):
    """What a batch gave: x as it is compared, x̂, and the nonzero latents of each token (None: latents not seen)."""

    x: Tensor
    x_hat: Tensor
    l0: Tensor | None


Look = Callable[[Tensor, Tensor, Tensor, slice], None]
"""Called with the latents, x and x̂ of a piece of the batch, and its place in the batch."""


class Forward:
    """An SAE on its device, ready to compute.

    Attributes:
        name:        for reports
        description: layout, sizes and conventions of a checkpoint; the type of anything else
        device:      where it computes, and `dtype`: in what
        d_in:        None where only trying would tell
        penalty:     the penalty that its settings say it was trained with; None where they do not
        trained_on:  which activations its settings say that it was trained on; None where they do not
        W_dec, b_dec: x̂ is feature_acts·W_dec + b_dec; None where that is not so, or b_dec not the same for every token
        sees_latents: whether the latents are seen; these three are known after `try_on`
    """

    W_dec: Tensor | None = None
    b_dec: Tensor | None = None
    sees_latents = False
    sae: Any

    def __init__(
        self,
        sae: Any,
        device: str,
        dtype: str,
        given: torch.device | None = None,
        tokens: int | None = None,
        *,
        sparse: bool = True,
    ):
        """Of a checkpoint's path, a `Checkpoint`, or any module or callable from x to x̂.

        Args:
            given:  where the activations are, for a callable without weights
            tokens: how many are computed at a time; all of a batch if not given
            sparse: whether a CPU may decode from the latents that are on alone: quicker, added up in another order
        Raises: InputError for anything else, and as `checkpoints.read` does
        """
        kind = dtype_named(dtype)
        if isinstance(sae, str | Path):
            sae = checkpoints.read(sae)
        self.d_in: int | None = None
        self._piece, self._sparse = tokens, sparse
        if isinstance(sae, Checkpoint):
            self.device, self.dtype = device_named(device), kind
            # A copy where it is computed: what was read stays exact, to be written again.
            self.sae = deepcopy(sae.sae).to(self.device, self.dtype)
            self.name, self.description, self.d_in = sae.name, sae.describe(), self.sae.d_in
            self.trained_on, self.penalty = trained_on(sae), penalty_of(sae)
            self._compute: Callable[[Tensor], Computed] | None = self._encode_decode
        elif callable(sae):
            self.sae = sae
            self._place_object(device, kind, given)
            self.name, self.d_in = getattr(sae, "__name__", type(sae).__name__), width(sae)
            refuse_settings(sae, self.name)
            self.trained_on, self.penalty = trained_on(sae), penalty_of(sae)
            self.description = sae.describe() if isinstance(sae, SAE) else type(sae).__name__
            self._compute = self._encode_decode if isinstance(sae, SAE) else None
        else:
            raise InputError(
                f"sae is a {type(sae).__name__}: a checkpoint's path, or a module or callable from x to x̂, is needed"
            )

    def _place_object(self, device: str, dtype: torch.dtype, given: torch.device | None) -> None:
        """An object of the user's stays where and as it is."""
        held = next((tensor for tensor in _tensors(self.sae) if tensor.is_floating_point()), None)
        if held is not None:
            self.device, self.dtype = held.device, held.dtype
            if device != "auto" and device_type(device) != self.device.type:
                raise InputError(
                    f"the SAE is on {self.device}, but device is {device!r}: move it first, with sae.to({device!r})"
                )
        else:
            self.device = device_named((given or "cpu") if device == "auto" else device)
            self.dtype = dtype

    def __call__(self, x: Tensor, look: Look | None = None) -> Passed:
        """x̂ of a batch; `look` sees the latents of each piece before they are let go.

        Where memory runs out the pieces are halved, and stay so, until one token at a time is too much.
        """
        x_hat: Tensor | None = None
        l0: Tensor | None = None
        start = 0
        while start < len(x):
            stop = min(start + (self._piece or len(x)), len(x))
            window = slice(start, stop)
            try:
                part_hat, count = self._looked_at(x[window], window, look)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or stop - start == 1:
                    raise
                part_hat = None
            if part_hat is None:  # out here, where the error no longer holds what was computed
                self._halve(stop - start)
                continue
            if stop - start == len(x):
                return Passed(x, part_hat, count)
            x_hat = part_hat.new_empty(x.shape) if x_hat is None else x_hat
            x_hat[window] = part_hat
            if count is not None:
                l0 = count.new_empty(len(x)) if l0 is None else l0
                l0[window] = count
            start = stop
        assert x_hat is not None  # batches are not empty
        return Passed(x, x_hat, l0)

    def _looked_at(self, part: Tensor, window: slice, look: Look | None) -> tuple[Tensor, Tensor | None]:
        """x̂ of a piece, and the nonzero latents of each token; its latents are let go."""
        part_hat, feature_acts, count = self._computed(part.to(self.dtype))
        if count is None and feature_acts is not None:
            count = nonzero(feature_acts)
        if look is not None and feature_acts is not None:
            look(feature_acts, part, part_hat, window)
        return part_hat, count

    def check_width(self, source: Source) -> None:
        """Raise InputError for activations of another dimension than the SAE reads."""
        if self.d_in is not None and self.d_in != source.width:
            heads = "; outputs of heads, (..., heads, d_head), are laid side by side first: x.flatten(-2)"
            raise InputError(
                f"the SAE reads activations of dimension {self.d_in}, but {source.name} has {source.width}"
                f"{heads if source.width and not self.d_in % source.width else ''}"
            )

    def run(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x̂ and the latents of a few tokens, for a look at them."""
        return self._computed(x.to(self.device, self.dtype))[:2]

    def try_on(self, x: Tensor) -> None:
        """See, on a few tokens, whether there are latents, and whether x̂ is W_dec of them and a constant.

        Of an object in half precision that is not seen: its rounding hides too much.
        """
        x = x[x.isfinite().all(-1)][:FEW]
        if not len(x):
            raise InputError(f"each of the {FEW} tokens that were tried first has a NaN or an infinity")
        x_hat, feature_acts = self.run(x)
        self.sees_latents = feature_acts is not None
        self._tried = x_hat
        if isinstance(self.sae, SAE):
            self.W_dec, self.b_dec = self.sae.W_dec, self.sae.b_dec if self.sae.normalisation is None else None
            return
        refuse_dependence(lambda few: self.run(few)[0], x, x_hat, self.name)
        W_dec = getattr(self.sae, "W_dec", None)
        if not isinstance(W_dec, Tensor) or feature_acts is None or _is_half(x_hat.dtype):
            return
        if W_dec.shape != (feature_acts.shape[-1], x.shape[-1]):
            return
        normalised = self._normalise(x.to(x_hat))
        z_hat = x_hat if normalised is None else (x_hat - normalised.shift) / normalised.scale
        rest = z_hat - feature_acts @ W_dec
        if _close(rest, rest[:1].expand_as(rest), z_hat):
            self.W_dec, self.b_dec = W_dec.detach(), rest[0].detach() if normalised is None else None

    @cached_property
    def decoder_norms(self) -> Tensor | None:
        """‖d_j‖ of each latent, (d_sae,), in float32 or better; None unless x̂ is feature_acts·W_dec + b_dec."""
        if self.W_dec is None or self.b_dec is None:
            return None
        return self.W_dec.detach().to(torch.promote_types(self.W_dec.dtype, torch.float32)).norm(dim=1)

    @property
    def identity(self) -> str:
        """Digits that another SAE does not share, of its weights and of x̂ of the tokens that were tried."""
        return fingerprint((*_tensors(self.sae), self._tried))

    def scale(self, x: Tensor) -> Tensor | None:
        """By how much each token's latents were scaled down, where the SAE normalises tokens; else None."""
        normalised = self._normalise(x.to(self.dtype))
        return None if normalised is None else normalised.scale

    def _normalise(self, x: Tensor) -> Normalised | None:
        """x as the encoder sees it, where each token is normalised: by an SAE of ours, or by SAELens' setting."""
        if isinstance(self.sae, SAE):
            return None if self.sae.normalisation is None else self.sae.normalisation(x)
        setting = getattr(getattr(self.sae, "cfg", None), "normalize_activations", None)
        return NORMALISATIONS[setting]()(x) if setting in NORMALISATIONS else None

    def _halve(self, tokens: int) -> None:
        self._piece = max(1, tokens // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"sandbox: out of memory; {self.name} goes on with {self._piece} tokens at a time", file=sys.stderr)

    def _computed(self, x: Tensor) -> Computed:
        if self._compute is None:
            few = x[:FEW]
            split = self._splits(few, self._plain(few).x_hat)
            self._compute = self._encode_decode if split else self._plain
        return self._compute(x)

    def _encode_decode(self, x: Tensor) -> Computed:
        if isinstance(self.sae, SAE):
            feature_acts = self.sae.encode(x)
            if self._sparse and is_sparse(feature_acts, self.sae.W_dec):
                z_hat, l0 = sparse_product(feature_acts, self.sae.W_dec, self.sae.b_dec)
                return Computed(self.sae.denormalise(z_hat, x), feature_acts, l0)
            return Computed(self.sae.decode(feature_acts, x), feature_acts)
        feature_acts = self.sae.encode(x.clone())  # what is measured stays as it is, even if the SAE works in place
        return Computed(self.sae.decode(feature_acts), feature_acts)

    def _plain(self, x: Tensor) -> Computed:
        x_hat = self.sae(x.clone())
        if not isinstance(x_hat, Tensor) or x_hat.shape != x.shape:
            got = tuple(x_hat.shape) if isinstance(x_hat, Tensor) else type(x_hat).__name__
            raise InputError(f"the SAE gave {got} for x of shape {tuple(x.shape)}: x̂, of the same shape, is needed")
        return Computed(x_hat)

    def _splits(self, x: Tensor, x_hat: Tensor) -> bool:
        """Whether sae(x) is sae.decode(sae.encode(x)), and the latents are one tensor a token."""
        if not (callable(getattr(self.sae, "encode", None)) and callable(getattr(self.sae, "decode", None))):
            return False
        try:
            feature_acts = self.sae.encode(x.clone())
        except TypeError:  # an encode of another kind, that asks for more than x
            return False
        if not isinstance(feature_acts, Tensor) or feature_acts.shape[:-1] != x.shape[:-1]:
            return False
        return _close(self.sae.decode(feature_acts), x_hat, x_hat)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """A module in its evaluation mode (no dropout, no running statistics), reading flat tokens; then as it was."""
        modules = [one for one in self.sae.modules() if one.training] if isinstance(self.sae, nn.Module) else []
        try:
            for one in modules:
                one.training = False
            with taking_flat_tokens(self.sae):
                yield
        finally:
            for one in modules:
                one.training = True


class Pairs:
    """In place of an SAE: x and x̂ that are both there already, side by side in each row."""

    W_dec = b_dec = decoder_norms = penalty = dtype = None
    sees_latents = False
    identity = ""  # x̂ is part of the activations
    description = "reconstructions that were there already"

    def __init__(self, name: str, d_in: int, device: torch.device):
        self.name, self.d_in, self.device = name, d_in, device

    def __call__(self, x: Tensor, look: Look | None = None) -> Passed:
        """Both halves."""
        return Passed(x[:, : self.d_in], x[:, self.d_in :], None)

    def try_on(self, x: Tensor) -> None:
        """Nothing to see: there are no latents."""

    def scale(self, x: Tensor) -> None:
        """None, likewise."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Nothing to change."""
        yield


def _close(one: Tensor, other: Tensor, scale: Tensor) -> bool:
    """Equal up to the same operations done twice; on a GPU perhaps in another order."""
    near = 16 * torch.finfo(scale.dtype).eps
    finite = scale.isfinite()
    atol = near * float(scale[finite].abs().sum() / max(int(finite.sum()), 1))
    return torch.allclose(one, other, rtol=near, atol=atol, equal_nan=True)


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """Some digits that other numbers do not share."""
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


def _out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """torch raises a type of its own on accelerators, and a plain RuntimeError from the CPU's allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
