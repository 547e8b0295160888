"""Moments of two (200000, 768) float32 tensors, against what evaluation libraries do a batch, and against reading."""

from collections.abc import Iterator

import torch

from benchmarks.timing import claim, ratio
from sandbox.moments.moments import Moments

TOKENS, D, BATCH = 200_000, 768, 4096


def per_batch_ratios(x: torch.Tensor, x_hat: torch.Tensor) -> list[torch.Tensor]:
    """Shrinkage the way that SAE evaluation code computes it: norms, normalised copies, ratios, a mean per batch."""
    rows = []
    for u, v in zip(x.split(BATCH), x_hat.split(BATCH), strict=True):
        norm, norm_hat = u.norm(dim=-1), v.norm(dim=-1)
        cosine = (u / norm[:, None] * (v / norm_hat[:, None])).sum(-1)
        bias = norm_hat.square().mean() / (u * v).sum(-1).mean()
        loss = (v - u).square().sum(-1)
        explained = 1 - loss / (u - u.mean(0)).square().sum(-1)
        rows.append(torch.stack([(norm_hat / norm).mean(), cosine.mean(), bias, loss.mean(), explained.mean()]))
    return rows


def claims() -> Iterator[bool]:
    """Print and yield each claim."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(TOKENS, D, generator=generator)
    x_hat = 0.9 * x + 0.3 * torch.randn(TOKENS, D, generator=generator)
    documents = torch.arange(TOKENS) // 100

    def ours():
        return Moments.from_pairs(x, x_hat)

    faster = 1 / ratio(ours, lambda: per_batch_ratios(x, x_hat), repeats=4)
    yield claim("moments: times faster than per-batch ratios of evaluation libraries", faster, 8, at_least=True)
    yield claim("moments: times the cost of reading both tensors", ratio(ours, lambda: x.sum() + x_hat.sum()), 3)
    spread = ratio(lambda: Moments.from_pairs(x, x_hat, documents), ours)
    yield claim("moments: with documents of 100 tokens, against none", spread, 2)
