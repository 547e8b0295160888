"""A step of the gated SAE of the paper, as a sweep trains it, against a step of SAELens' own gated SAE."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from benchmarks.timing import claim, ratio
from sandbox.sae.architectures import ARCHITECTURES

D, D_SAE, BATCH = 384, 1536, 256


def steps_of(key: str, device: str) -> Callable[[], object]:
    """Ten steps of SAELens' trainer on that architecture."""
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae_class, settings = ARCHITECTURES[key].classes()
    sae = sae_class(settings(d_in=D, d_sae=D_SAE)).to(device)
    trainer = SAETrainer(SAETrainerConfig(10**9, BATCH, lr=1e-3, lr_end=1e-3, device=device), sae, iter(()))
    x = torch.randn(BATCH, D, device=device)
    return lambda: [trainer.step(x) for _ in range(10)]


def claims() -> Iterator[bool]:
    """Print and give each claim."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        value = ratio(steps_of("gated", device), steps_of("gated_saelens", device), device, repeats=5)
        yield claim(f"training: a step of the paper's gated SAE on {device}, times SAELens' gated SAE", value, 0.85)
