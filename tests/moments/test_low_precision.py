"""Moments of half-precision activations are those of the numbers that are there: nothing overflows, nothing rounds."""

import numpy as np
import pytest
import torch

from sandbox.moments.moments import Moments


def brute_force(x, x_hat):
    """(a, b, c) in float64 from the start, by numpy."""
    x, x_hat = (one.double().numpy() for one in (x, x_hat))
    return [np.einsum("nd,nd->", *both) / len(x) for both in ((x, x), (x_hat, x_hat), (x, x_hat))]


def long_vectors(norm: float, dtype: torch.dtype, n: int = 500, d: int = 64):
    """x of one norm, and an x̂ that is shorter, at an angle and off-centre, as they are in that dtype."""
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=-1) * norm
    return x.to(dtype), (0.9 * x + 0.1 * x.abs() + 0.01 * norm).to(dtype)


# float16 ends at 65504: 310² is beyond it, and a norm of 100 000 is, though no number in the vector is.
@pytest.mark.parametrize(
    ("norm", "dtype"),
    [
        (310.0, torch.float16),
        (100_000.0, torch.float16),
        (1e-4, torch.float16),  # where numbers are subnormal, and squares are 0
        (310.0, torch.bfloat16),
        (1e30, torch.bfloat16),  # squares are beyond float32
        (1e30, torch.float32),
        (310.0, torch.float32),
    ],
)
def test_the_moments_are_exact_in_every_dtype(norm, dtype):
    x, x_hat = long_vectors(norm, dtype)
    moments = Moments.from_pairs(x, x_hat)
    # sums of 32 000 products in float64, in another order than numpy's
    np.testing.assert_allclose(moments.means.numpy(), brute_force(x, x_hat), rtol=1e-12)
    assert moments.nonfinite == 0
    centred = moments.centred()
    np.testing.assert_allclose(
        centred.means.numpy(),
        brute_force(*(one.double() - one.double().mean(0) for one in (x, x_hat))),
        rtol=1e-11,  # a difference of moments, some ten times what is left
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_pair_of_two_dtypes_is_widened_and_not_narrowed(dtype):
    x, _ = long_vectors(310.0, dtype)
    x_hat = 1.0019 * x.float()
    np.testing.assert_allclose(Moments.from_pairs(x, x_hat).means.numpy(), brute_force(x, x_hat), rtol=1e-12)
