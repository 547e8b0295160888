"""A 95 % interval covers the truth in about 95 % of repeated simulations with correlated tokens, raw and centred."""

import pytest
import torch

from sandbox.compile import evaluate, gradient
from sandbox.measures import REGISTRY
from sandbox.moments import Moments
from sandbox.report import estimate, interval, standard_error

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


def test_three_clusters_by_hand():
    """γ of T = (3, 1, 2), (1, 1, 1), (2, 2, 1): 4/4, with Student's quantile of 2 degrees of freedom."""
    square, cross = torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, 2.0]]), torch.tensor([2.0, 1.0, 1.0])
    x = torch.stack((square[:, 0].sqrt(), torch.zeros(3)), -1).double()
    along = cross / square[:, 0].sqrt()
    x_hat = torch.stack((along, (square[:, 1] - along**2).abs().sqrt()), -1).double()
    x_hat[0, 1] = 0  # ‖x̂‖² = 4/3 there
    moments = Moments.from_pairs(x, x_hat, torch.arange(3))
    b, c = (4 / 3, 1.0, 2.0), (2.0, 1.0, 1.0)
    gamma = sum(b) / sum(c)
    pulls = [(bi - gamma * ci) / sum(c) for bi, ci in zip(b, c, strict=True)]
    reach = 4.302652729911275 * (3 / 2 * sum(pull**2 for pull in pulls)) ** 0.5
    one = estimate(moments, REGISTRY["relative_reconstruction_bias"])
    assert one.value == pytest.approx(gamma, rel=1e-6)
    assert one.high == pytest.approx(gamma + reach, rel=1e-6)
    assert one.low == pytest.approx(max(gamma - reach, 0), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("key", REGISTRY)
def test_the_standard_error_is_that_of_the_cluster_products(key, repeated):
    """C16 as it is written: Var = G/(G−1) · ∇fᵀ M ∇f, at the totals."""
    expression = REGISTRY[key].expression
    slope = gradient(expression)(*repeated.totals.sum(-2).unbind(-1))
    variance = torch.einsum("ri,rij,rj->r", slope, repeated.products, slope) * DOCUMENTS / (DOCUMENTS - 1)
    torch.testing.assert_close(standard_error(repeated, expression), variance.sqrt(), rtol=1e-6, atol=1e-12)
