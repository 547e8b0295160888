"""torch's global settings, such as the default dtype or autocast, do not change any result of the sandbox."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sandbox import Moments, checkpoints, look, measure, measure_pairs, rescale, simulate
from sandbox.data import embedded
from sandbox.explorer import curves
from sandbox.simulate import features, theory

SAE = str(embedded("minilm-relu"))
X = load_file(embedded("activations"))["activations"].float()[:700]
IDS = np.arange(len(X)) // 50
OBJECT = checkpoints.load(SAE)
with torch.no_grad():
    X_HAT = OBJECT(X)
HERE: dict[str, Any] = {"device": "cpu", "documents": IDS}


def of_report(report: Any) -> dict[str, Any]:
    return report.to_dict()


def of_moments(moments: Moments) -> list[list[float]]:
    return [total.flatten().tolist() for total in moments]


WORK: dict[str, Callable[[], Any]] = {
    "look": lambda: [str(finding) for finding in look(SAE, 0.5 * X, **HERE)],
    "measure a file": lambda: of_report(measure(SAE, X, published=128, **HERE)),
    "measure in float64": lambda: of_report(measure(SAE, X[:200], dtype="float64", device="cpu")),
    "measure an object": lambda: of_report(measure(OBJECT, X, **HERE)),
    "measure a callable": lambda: of_report(measure(lambda x: x @ X_HAT[:384], X, **HERE)),
    "latents": lambda: measure(SAE, X, latents=True, **HERE).latents.scale_factors().nan_to_num(-1).tolist(),
    "pairs": lambda: of_report(measure_pairs(X, X_HAT, documents=IDS)),
    "moments": lambda: of_moments(Moments.from_pairs(X, X_HAT)),
    "centred": lambda: of_moments(Moments.from_pairs(X, X_HAT).centred()),
    "simulate": lambda: of_moments(simulate.stream(1.0, 0.7, n=1000)),
    "simulate two": lambda: of_moments(simulate.stream([0.5, 1.0], 0.7, n=1000, spread=0.3)),
    "features": lambda: of_moments(features.stream_features(torch.tensor([0.5, 1.0], dtype=torch.float64), n=1000)[0]),
    "theory": lambda: {key: value.item() for key, value in theory.at_shares(0.3, "soft").values.items()},
    "curves": lambda: [curves.loci(), curves.undefined_regions()],
} | {
    f"rescale {kind}": lambda kind=kind: rescale(SAE, X, **HERE, kind=kind).to_dict()
    for kind in ("scalar", "scale-shift", "per-latent")
}


@cache
def plainly(work: str) -> Any:
    return WORK[work]()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SURROUNDINGS = {
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
@pytest.mark.parametrize("work", WORK)
def test_global_settings_change_nothing(work, surrounding):
    with SURROUNDINGS[surrounding]():
        result = WORK[work]()
    assert result == plainly(work)


def test_autocast_within_a_users_function_stays_in_effect():
    def half(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return x @ X_HAT[:384]

    assert measure(half, X, **HERE).moments.b != measure(lambda x: x @ X_HAT[:384], X, **HERE).moments.b
