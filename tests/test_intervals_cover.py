"""A 95 % interval covers the truth in about 95 % of repeated simulations with correlated tokens, raw and centred."""

import pytest
import torch

from sandbox.compile import evaluate, gradient
from sandbox.measures import REGISTRY
from sandbox.moments import Moments
from sandbox.report import interval, standard_error

REPEATS, DOCUMENTS, TOKENS, D = 600, 100, 12, 6


def experiment(repeats: int, documents: int, seed: int, *, ignore_documents: bool = False) -> Moments:
    """Tokens of a document share their offset, their strength and the length of their reconstruction."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shape = (repeats, documents)
    strength = (0.3 * normal(*shape, 1, 1)).exp()
    x = strength * (normal(*shape, TOKENS, D) + normal(*shape, 1, D)) + 1.0
    shrink = 0.8 + 0.15 * normal(*shape, 1, 1)
    x_hat = shrink * x + 0.5 * strength * normal(*shape, TOKENS, D)
    flat = (repeats, documents * TOKENS, D)
    ids = torch.arange(documents * TOKENS) // (1 if ignore_documents else TOKENS)
    return Moments.from_pairs(x.reshape(flat), x_hat.reshape(flat), ids, batch_dims=1)


@pytest.fixture(scope="module")
def repeated():
    return experiment(REPEATS, DOCUMENTS, seed=0)


@pytest.fixture(scope="module")
def truth():
    """Of 400,000 documents: a hundred times closer to the truth than one experiment is."""
    total = experiment(1, 4000, seed=1)
    for seed in range(2, 101):
        total = total + experiment(1, 4000, seed)
    return total


def coverage(measured: Moments, key: str, exact: Moments) -> float:
    true = evaluate(REGISTRY[key], *exact.means[0])
    low, high = interval(measured, REGISTRY[key])
    return ((low <= true) & (true <= high)).double().mean().item()


@pytest.mark.parametrize("origin", ["raw", "centred"])
@pytest.mark.parametrize("key", REGISTRY)
def test_intervals_cover_the_truth(key, origin, repeated, truth):
    pick = Moments.centred if origin == "centred" else lambda moments: moments
    cover = coverage(pick(repeated), key, pick(truth))
    # 600 repeats: a share of 0.95 has a standard error of 0.009; documents of unequal strength cost a little
    assert 0.92 <= cover <= 0.98, f"{key} {origin}: {cover:.3f}"


def test_taking_tokens_for_independent_covers_far_less(truth):
    naive = experiment(REPEATS, DOCUMENTS, seed=0, ignore_documents=True)
    assert coverage(naive, "relative_reconstruction_bias", truth) < 0.75


@pytest.mark.parametrize("key", REGISTRY)
def test_the_standard_error_is_that_of_the_cluster_products(key, repeated):
    """C16 as it is written: Var = G/(G−1) · ∇fᵀ M ∇f, at the totals."""
    expression = REGISTRY[key].expression
    slope = gradient(expression)(*repeated.totals.sum(-2).unbind(-1))
    variance = torch.einsum("ri,rij,rj->r", slope, repeated.products, slope) * DOCUMENTS / (DOCUMENTS - 1)
    torch.testing.assert_close(standard_error(repeated, expression), variance.sqrt(), rtol=1e-6, atol=1e-12)
