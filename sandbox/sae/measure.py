"""Stream activations through an SAE into a `Report`: one pass, flat memory, nothing waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.data import resolve
from sandbox.devices import device_named
from sandbox.errors import InputError
from sandbox.moments import Moments
from sandbox.report import Report
from sandbox.sae import checkpoints
from sandbox.sae.activations import Source as Opened
from sandbox.sae.activations import activations
from sandbox.sae.autoencoder import SAE

BATCH = 4096
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}

Source = str | Path | np.ndarray | Tensor
Progress = Callable[[int], None]


class Batch(NamedTuple):
    """What an SAE gives for a batch of activations."""

    x: Tensor
    x_hat: Tensor
    feature_acts: Tensor | None
    documents: np.ndarray | None


def measure(
    sae: str | Path | nn.Module | Callable[[Tensor], Tensor],
    source: Source,
    *,
    documents: Source | None = None,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = BATCH,
    name: str | None = None,
    drop_nonfinite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Every measure of shrinkage of an SAE on activations, with its uncertainty.

    Args:
        sae:            a checkpoint's folder, or any module or callable that maps x to x̂ (a SAELens object as it is)
        source:         activations of shape (..., d): a .npy or .safetensors file, an array or a tensor
        documents:      one id a token, likewise: the clusters of the standard error
        device, dtype:  where and in what a checkpoint is computed; an object of yours stays where and as it is
        batch_size:     tokens at a time
        drop_nonfinite: leave out tokens with a NaN or an infinity in place of refusing them
        progress:       called after each batch with the tokens that it held
    Raises: InputError for input that cannot be measured.
    """
    rows = activations(source, documents)
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}: choose {', '.join(DTYPES)}")
    forward, where, kind, d_in, label = _forward(sae, device, dtype, rows)
    if d_in is not None and d_in != rows.width:
        raise InputError(f"the SAE reads activations of dimension {d_in}, but {rows.name} has {rows.width}")

    def batches() -> Iterator[Batch]:
        for chunk in rows.chunks(batch_size):
            x = chunk.x.to(where, non_blocking=True)
            yield Batch(x, *forward(x.to(kind)), chunk.documents)

    facts = {"name": name or label, "dtype": str(kind).removeprefix("torch."), "device": _device_name(where)}
    with _evaluating(sae):
        return _stream(batches(), rows, batch_size, drop_nonfinite, progress, facts)


def measure_pairs(
    x: Source,
    x_hat: Source,
    *,
    documents: Source | None = None,
    batch_size: int = BATCH,
    name: str | None = None,
    drop_nonfinite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Every measure of shrinkage of reconstructions that are already there: two files, arrays or tensors.

    Args, Raises: as for `measure`.
    """
    rows, rows_hat = activations(x, documents, "x"), activations(x_hat, name="x_hat")
    shape, shape_hat = (rows.tokens, rows.width), (rows_hat.tokens, rows_hat.width)
    if shape != shape_hat:
        raise InputError(f"{rows.name} has shape {shape} and {rows_hat.name} {shape_hat}: they must agree")
    pairs = zip(rows.chunks(batch_size), rows_hat.chunks(batch_size), strict=True)
    label = name or (Path(x_hat).stem if isinstance(x_hat, str | Path) else "x_hat")
    facts = {"name": label, "dtype": "", "device": ""}
    batches = (Batch(one.x, other.x, None, one.documents) for one, other in pairs)
    return _stream(batches, rows, batch_size, drop_nonfinite, progress, facts)


def _stream(
    batches: Iterator[Batch],
    rows: Opened,
    batch_size: int,
    drop_nonfinite: bool,
    progress: Progress | None,
    facts: dict[str, str],
) -> Report:
    """The one loop: each batch's moments and count of active latents are added up where they are."""
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: at least one token at a time is needed")
    seen: set[int] = set()
    total: Moments | None = None
    active: Tensor | None = None
    start = 0
    with torch.no_grad():
        for x, x_hat, feature_acts, cluster in batches:
            stop = start + len(x)
            if cluster is not None:
                seen.update(np.unique(cluster).tolist())  # the one thing that grows, with the number of documents
            part = Moments.from_pairs(x, x_hat, cluster, first_token=start, drop_nonfinite=True)
            total = part if total is None else total + part
            if feature_acts is not None:
                nonzero = _l0(feature_acts)
                if drop_nonfinite:
                    nonzero = nonzero.where(x.isfinite().all(-1) & x_hat.isfinite().all(-1), 0)
                count = nonzero.long().sum()
                active = count if active is None else active + count
            if not drop_nonfinite and x.device.type == "cpu":
                part.refuse_nonfinite()  # at once where looking costs nothing
            start = stop
            if progress:
                progress(len(x))
    assert total is not None  # a source without tokens is refused when it is opened
    total = total.to("cpu")
    if not drop_nonfinite:
        total.refuse_nonfinite()
    if not total.n:
        raise InputError(f"{rows.name}: every token has a NaN or an infinity in x or x̂; nothing is left to measure")
    l0 = None if active is None else active.item() / total.n.item()
    return Report(moments=total, documents=len(seen) or None, l0=l0, **facts)


def _l0(feature_acts: Tensor) -> Tensor:
    """Nonzero latents of each token.

    In pieces that stay in a CPU's cache, through the sign: several times faster there than `count_nonzero`, which
    alone would cost a tenth of the SAE's forward pass.
    """
    rows = max(1, 2**18 // feature_acts.shape[-1]) if feature_acts.device.type == "cpu" else len(feature_acts)
    if feature_acts.dtype == torch.bool:
        feature_acts = feature_acts.float()
    return torch.cat([piece.sign().abs_().sum(-1, dtype=torch.float32) for piece in feature_acts.split(rows)])


@contextmanager
def _evaluating(sae: Any) -> Iterator[None]:
    """A module in its evaluation mode (no dropout, no running statistics), and afterwards as it was."""
    modules = [one for one in sae.modules() if one.training] if isinstance(sae, nn.Module) else []
    try:
        for one in modules:
            one.training = False
        yield
    finally:
        for one in modules:
            one.training = True


def _forward(sae: Any, device: str, dtype: str, rows: Opened):
    """x ► (x̂, latents or None), with the device and dtype it works in, d_in and a name."""
    if isinstance(sae, str | Path):
        where, kind = device_named(device), DTYPES[dtype]
        loaded = checkpoints.load(sae).to(where, kind)
        return _with_latents(loaded), where, kind, loaded.d_in, resolve(sae).resolve().name
    if not callable(sae):
        raise InputError(f"sae is a {type(sae).__name__}: a folder, or a module or callable from x to x̂, is needed")
    held = next((p for p in _tensors(sae) if p.is_floating_point()), None)
    given = rows.sample(1).device
    where = held.device if held is not None else device_named(given if device == "auto" else device)
    if held is not None and device != "auto" and torch.device(device).type != where.type:
        raise InputError(f"the SAE is on {where}, but device is {device!r}: move it first, with sae.to({device!r})")
    kind = held.dtype if held is not None else DTYPES[dtype]
    return _chosen(sae), where, kind, None, getattr(sae, "__name__", type(sae).__name__)


def _tensors(sae: Any) -> Iterator[Tensor]:
    if isinstance(sae, nn.Module):
        yield from sae.parameters()
        yield from sae.buffers()


def _with_latents(sae: Any) -> Callable[[Tensor], tuple[Tensor, Tensor | None]]:
    def forward(x: Tensor) -> tuple[Tensor, Tensor | None]:
        feature_acts = sae.encode(x)
        return sae.decode(feature_acts, x) if isinstance(sae, SAE) else sae.decode(feature_acts), feature_acts

    return forward


def _chosen(sae: Any) -> Callable[[Tensor], tuple[Tensor, Tensor | None]]:
    """Forward through `encode` and `decode`, so that latents are seen, if the first tokens show that sae(x) is that."""
    if isinstance(sae, SAE):  # ours: known to be that, and to leave x as it is
        return _with_latents(sae)
    known: list[Callable[[Tensor], tuple[Tensor, Tensor | None]]] = []

    def plain(x: Tensor) -> tuple[Tensor, Tensor | None]:
        x_hat = sae(x)
        if not isinstance(x_hat, Tensor) or x_hat.shape != x.shape:
            got = tuple(x_hat.shape) if isinstance(x_hat, Tensor) else type(x_hat).__name__
            raise InputError(f"the SAE gave {got} for x of shape {tuple(x.shape)}: x̂, of the same shape, is needed")
        return x_hat, None

    def forward(x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = x.clone()  # what is measured stays as it is, even if the SAE works in place
        if not known:
            few = x[:64]  # enough to see whether it is the same computation, and next to nothing in time
            known.append(_with_latents(sae) if _splits(sae, few, plain(few.clone())[0]) else plain)
        return known[0](x)

    return forward


def _splits(sae: Any, x: Tensor, x_hat: Tensor) -> bool:
    """Whether sae(x) is sae.decode(sae.encode(x)), and the latents are one tensor a token."""
    if not (callable(getattr(sae, "encode", None)) and callable(getattr(sae, "decode", None))):
        return False
    try:
        feature_acts = sae.encode(x.clone())
    except TypeError:  # an encode of another kind, that asks for more than x
        return False
    if not isinstance(feature_acts, Tensor) or feature_acts.shape[:-1] != x.shape[:-1]:
        return False
    near = 16 * torch.finfo(x_hat.dtype).eps  # the same operations twice; on a GPU perhaps in another order
    atol = near * float(x_hat[x_hat.isfinite()].abs().sum() / max(x_hat.isfinite().sum(), 1))
    return torch.allclose(sae.decode(feature_acts), x_hat, rtol=near, atol=atol, equal_nan=True)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
