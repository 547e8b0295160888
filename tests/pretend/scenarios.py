"""All that the sandbox does on a GPU, each as a function of the device, the dtype, and how many batches there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox import simulate
from sandbox.activations import activations
from sandbox.activations.live.contexts import Contexts
from sandbox.activations.live.model import load
from sandbox.activations.live.source import Live
from sandbox.checkpoints.activation_functions import Gate, GroupMax, JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.data import embedded
from sandbox.downstream.reader import Reader
from sandbox.downstream.replacements import Ablations, Reconstructions
from sandbox.downstream.splice import Splice
from sandbox.downstream.totals import LossSums
from sandbox.measuring.fits import FITS, FROM_L1
from sandbox.measuring.forward import Forward
from sandbox.measuring.measure import measure, measure_pairs
from sandbox.measuring.one_pass import stream
from sandbox.measuring.rescale import rescale
from sandbox.moments.moments import Moments
from sandbox.simulate import features
from sandbox.training import Job, Training, gather, train
from sandbox.training.architectures import ARCHITECTURES
from tests.helpers import runs
from tests.helpers.models import make_texts, save_model

D, D_SAE, BATCH = 16, 64, 96

Scenario = Callable[[str, torch.dtype, int], dict[str, Any]]
"""(device, dtype, batches) ► numbers by name."""


@cache
def tokens(batches: int) -> tuple[Tensor, np.ndarray]:
    """x off its mean, with one token of extreme norm, which is set apart; and its documents."""
    x = torch.randn(batches * BATCH, D, generator=torch.Generator().manual_seed(0)) + 0.5
    x[3] *= 1000
    return x, np.arange(len(x)) // 7


@cache
def embedded_tokens(batches: int) -> tuple[Tensor, np.ndarray]:
    """Real activations, and documents of 20 of them."""
    x = activations(embedded("activations")).sample(batches * BATCH)
    return x, np.arange(len(x)) // 20


def sae(activation: Any, normalisation: Any = None) -> SAE:
    """A random SAE, x̂ not far from x, that subtracts its decoder bias."""
    generator = torch.Generator().manual_seed(1)
    W_dec = torch.nn.functional.normalize(torch.randn(D_SAE, D, generator=generator), dim=1)
    made = activation()
    settings = {"activation": made, "normalisation": normalisation, "subtract_b_dec": True}
    return SAE(0.4 * W_dec.T.contiguous(), W_dec, 0.5 * torch.ones(D), torch.full((D_SAE,), -0.05), **settings)


def _gate() -> Gate:
    return Gate(torch.full((D_SAE,), -0.2), torch.full((D_SAE,), -0.05), torch.full((D_SAE,), 0.1))


ACTIVATIONS: dict[str, Any] = {
    "relu": ReLU,
    "jumprelu": lambda: JumpReLU(torch.full((D_SAE,), 0.1)),
    "topk": lambda: TopK(8),
    "groupmax": lambda: GroupMax(8),
    "gated": _gate,
}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def measured(made: SAE, device: str, dtype: torch.dtype, batches: int, **options: Any) -> dict[str, Any]:
    """Everything that a report can hold, of an object on the device."""
    x, documents = tokens(batches)
    placed = made.to(device, dtype)
    settings = {"documents": documents, "batch_size": BATCH, "published": BATCH // 2, "latents": True, "look": False}
    report = measure(placed, x.to(dtype), **settings | options)
    assert report.latents is not None
    return report.to_dict() | {"latents": report.latents.scale_factors()}


def _measured(key: str, device: str, dtype: torch.dtype, batches: int, normalisation: Any = None) -> dict[str, Any]:
    return measured(sae(ACTIVATIONS[key], normalisation), device, dtype, batches)


def _excluded(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    return measured(sae(ReLU), device, dtype, batches, exclude_outliers=True)


def _by_direction(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    return measured(sae(ReLU), device, dtype, batches, directions=(3, 10))


def _halved(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    """An SAE for which more than 70 tokens at a time are too many."""
    made = sae(ReLU)

    def small(x: Tensor) -> Tensor:
        if len(x) > 70:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made(x)

    x, documents = tokens(batches)
    made.to(device, dtype)
    settings = {"documents": documents, "batch_size": BATCH, "dtype": _name(dtype), "look": False}
    return measure(small, x.to(device), **settings).to_dict()


def _there_already(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    """Activations and documents that are on the device, and pairs of them."""
    x, documents = tokens(batches)
    x, ids = x.to(dtype).to(device), torch.from_numpy(documents).to(device)
    settings: dict[str, Any] = {"documents": ids, "batch_size": BATCH, "look": False}
    alone = measure(lambda x: 0.9 * x, x, **settings)
    return {"callable": alone.to_dict(), "pairs": measure_pairs(x, 0.9 * x, **settings).to_dict()}


def _file(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    """Two checkpoints, with the look before the run, and a saved state."""
    x = runs.tokens()[: batches * BATCH]
    settings: dict[str, Any] = {"documents": np.arange(len(x)) // 20, "batch_size": BATCH, "device": device}
    with TemporaryDirectory() as folder:
        path = Path(folder)
        np.save(path / "x.npy", x.numpy())
        saes = [path / "sae-0", path / "sae-1"]
        for seed, one in enumerate(saes):
            runs.save_sae(one, seed)
        found = measure(saes, path / "x.npy", dtype=_name(dtype), checkpoint=path / "state", every=1e9, **settings)
    return {one.name: one.to_dict() for one in found}


def _moments(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    total = None
    for at in range(batches):
        x = torch.randn(BATCH, D, generator=torch.Generator().manual_seed(at))
        x[at % BATCH, 0] = torch.nan
        x = x.to(dtype).to(device, non_blocking=True)
        part = Moments.from_pairs(x, 0.9 * x, np.arange(BATCH) // 7, drop_nonfinite=True)
        total = part if total is None else total + part
    assert total is not None
    return _totals(total) | {"nonfinite": total.nonfinite.cpu()}


def _totals(moments: Moments) -> dict[str, Tensor]:
    """All that a report is made of."""
    return {"a, b, c": moments.means.cpu(), "sums": moments.sums.cpu(), "clusters": moments.clusters.cpu()}


def _rescaled(kind: str, device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    x, documents = embedded_tokens(batches)
    l1 = 1.2 / 1.44 if kind == FROM_L1 else None  # these few tokens imply this coefficient
    settings = {"documents": documents, "kind": kind, "device": device, "batch_size": BATCH, "l1": l1, "ridge": 1000.0}
    found = rescale(embedded("minilm-relu"), x, dtype=_name(dtype), **settings)
    return {"factor": found.factor, "before": found.before.to_dict(), "after": found.after.to_dict()}


def _spliced(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    """The losses of a language model with x̂, the mean and zero in the place of x, by all libraries' rules, too."""
    with TemporaryDirectory() as folder:
        model, _, tokenizer = load(save_model(Path(folder), "llama"), _name(dtype), head=True)
    contexts = Contexts(tokenizer, model.config, model, 12)
    text = list(contexts(make_texts()))[:8] * batches
    splice = Splice(model, "model.layers.1", torch.device(device))
    W_dec = torch.eye(32)
    made = SAE(W_dec, W_dec, torch.zeros(32), torch.zeros(32), activation=ReLU(), subtract_b_dec=False).to(
        device, dtype
    )
    forward = Forward(made, device, _name(dtype))
    sae = Reconstructions(forward, {"stretched": 1.5})
    reader = Reader(splice, tokenizer, contexts.special.tolist(), [sae], Ablations(torch.full((32,), 0.1)))
    source = Live("text", reader, contexts, [], False, 8, set(), None, lambda: iter(text))

    def count(rows: Tensor, cluster: np.ndarray) -> list[LossSums]:
        return [LossSums.of(rows, cluster)]

    sums = stream([forward], source, 8 * contexts.size, count).totals[0].sums.sum(0).cpu()
    return dict(zip(reader.columns, sums / sums[0], strict=True))


def _streamed(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    angles = torch.tensor([0.3, 1.0]), lambda p: 0.5 + p, 1.0
    found = [
        simulate.stream(angle, ratio, D, batches * 50, chunk=50, dtype=dtype, device=device)
        for angle, ratio in zip(angles, (0.9, torch.tensor([0.5, 0.9]), lambda p: p), strict=True)
    ]
    pairs = simulate.pairs(1.0, 0.9, D, 20, norm="log-normal", dtype=dtype, device=device)
    return {"pairs": torch.stack(pairs).cpu(), **{str(i): _totals(one) for i, one in enumerate(found)}}


def _features(device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    levels, strengths = torch.tensor([0.5, 1.0]), ("exponential", "log-normal", lambda p: p)
    options: dict[str, Any] = {"chunk": 50, "dtype": dtype, "device": device}
    found = [
        features.stream_features(levels, gate, D, batches * 50, distribution=one, **options)
        for gate in features.GATES
        for one in strengths
    ]
    drawn = features.features(1.0, "soft", D, 20, dtype=dtype, device=device)
    streamed = {str(i): _totals(moments) | {"active": active.cpu()} for i, (moments, active) in enumerate(found)}
    return {"tokens": torch.stack(drawn).cpu(), **streamed}


def _trained(key: str, device: str, dtype: torch.dtype, batches: int) -> dict[str, Any]:
    """A sweep's training loop as it is, with its looks and its savings; `batches` is 12 steps each."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(2000, 24)) - 1, 0).astype(np.float32) @ rng.normal(size=(24, D)).astype(np.float32)
    job, settings = Job(key, ARCHITECTURES[key].coefficients[0], 0), Training(32, 12 * batches, 32, 1e-3)
    with TemporaryDirectory() as folder:
        data = gather(Path(folder) / "activations", activations(x, np.arange(len(x)) // 10), 0.2)
        record = train(job, settings, data, Path(folder) / "sae", device=device)
    return {"points": {str(i): one["raw"] for i, one in enumerate(record["points"])}}


SCENARIOS: dict[str, Scenario] = {
    **{f"measure {key}": partial(_measured, key) for key in ACTIVATIONS},
    "measure, layer norm": partial(_measured, "relu", normalisation=LayerNorm()),
    "measure, constant norm": partial(_measured, "gated", normalisation=ConstantNorm()),
    "measure, outliers excluded": _excluded,
    "measure, by direction": _by_direction,
    "measure, memory short": _halved,
    "measure what is there already": _there_already,
    "measure two from a file": _file,
    "moments": _moments,
    **{f"rescale {kind}": partial(_rescaled, kind) for kind in FITS},
    "simulate": _streamed,
    "features": _features,
    "loss": _spliced,
}
"""In float32 and in bfloat16."""

TRAINING: dict[str, Scenario] = {f"train {key}": partial(_trained, key) for key in ARCHITECTURES}
"""In float32: SAELens' trainers know nothing else."""


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every number of what a scenario gave, with its place."""
    if isinstance(found, dict):
        for key, one in found.items():
            yield from numbers(one, f"{path}/{key}")
    elif isinstance(found, Tensor | np.ndarray):
        yield path, torch.as_tensor(found).double()
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield path, torch.tensor(float(found), dtype=torch.float64)
