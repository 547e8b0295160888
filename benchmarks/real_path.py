"""Measuring a streamed SAE on the CPU, against its forward pass alone over the same batches."""

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.gpu.forward import BATCH, random_sae
from benchmarks.timing import claim, ratio
from sandbox import checkpoints
from sandbox.activations import activations
from sandbox.checkpoints.autoencoder import SAE
from sandbox.data import embedded
from sandbox.measuring.measure import measure

MORE: dict[str, dict[str, Any]] = {
    "": {},
    ", with the libraries' figures": {"published": BATCH},
    ", each latent counted": {"latents": True},
}
"""What is measured, in words."""

LIMITS = {"minilm-relu": (0.9, 1.3, 1.2), "minilm-gated": (0.9, 1.3, 1.2), "768 × 12288": (0.8, 0.9, 0.9)}
"""Of each of MORE."""


def cases() -> Iterator[tuple[str, SAE, torch.Tensor, torch.Tensor | None]]:
    """SAEs, activations for them, and their documents."""
    x = activations(embedded("activations")).sample(10_000).float().repeat(4, 1)
    for name in ("minilm-relu", "minilm-gated"):
        yield name, checkpoints.load(embedded(name)), x, torch.arange(len(x)) // 70
    noise = torch.randn(2 * BATCH, 768, generator=torch.Generator().manual_seed(0))
    yield "768 × 12288", random_sae(768, 12288), noise, None


def claims() -> Iterator[bool]:
    """Print and yield each claim. Without the preflight check, whose time does not depend on the number of tokens."""
    for name, sae, x, documents in cases():

        def forward(sae: SAE = sae, x: torch.Tensor = x) -> None:
            with torch.inference_mode():
                for batch in x.split(BATCH):
                    sae(batch)

        for (words, options), limit in zip(MORE.items(), LIMITS[name], strict=True):
            settings = {"batch_size": BATCH, "documents": documents, "look": False} | options

            def ours(sae: SAE = sae, x: torch.Tensor = x, settings: dict[str, Any] = settings) -> None:
                measure(sae, x, **settings)

            value = ratio(ours, forward, repeats=5)
            yield claim(f"real path: measuring {name} on the CPU{words}, times its forward pass", value, limit)
