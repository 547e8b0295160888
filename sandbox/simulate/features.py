"""Where shrinkage comes from (C17, C18): features of random strength, and a threshold that some of them do not pass.

An L1 penalty subtracts the threshold from every strength that passes; a gate or a jump subtracts nothing. That alone
bends one curve of figure 6 and leaves the other flat, before any SAE is trained.

The derivations assume exponential strengths; other distributions are simulated here. A gate leaves f or 0, so b = c and
γ = 1 for strengths of any distribution, but the curve of a soft threshold depends on the distribution's tail.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.errors import InputError
from sandbox.moments.moments import Moments
from sandbox.simulate.distributions import Strengths, inverse_cdf
from sandbox.simulate.vectors import Pairs, generator_of, in_chunks
from sandbox.system.devices import device_named, sent

GATES = ("soft", "hard")


def features(
    threshold: float | Tensor,
    gate: str = "soft",
    d: int = 64,
    n: int = 1,
    *,
    distribution: Strengths = "exponential",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    seed: int | torch.Generator = 0,
) -> Pairs:
    """Draw tokens of `d` independent features of random strength, and what a threshold leaves of them.

    The dictionary is orthonormal, and x and x̂ are given in its coordinates: x_k is the strength of feature k. Rotating
    them into another basis would change none of their moments.

    Args:
        threshold: λ, 0 or more, in units of the mean strength: a number or a grid. As in `pairs`, each setting draws
                   its own strengths, so errors are independent between settings, as readers of error bars along a
                   curve expect. (Shared strengths would shift a whole curve, and still look smooth.)
        gate:      "soft", max(f − λ, 0), what an L1 penalty does; "hard", f·[f > λ], what a gate or a jump does
        d, n:      features, and tokens for each setting
        distribution: of the strengths: "exponential" (the only one with a closed form here), "half-normal" or
                   "log-normal" (σ = 1), all with mean 1; or an inverse CDF (see `Strengths`), whose units λ then has.
                   A function receives float64 probabilities between 0 and 1, Float[Tensor, "n *grid d"], on the
                   device, and returns as many strengths. The last axis is the feature, so each may have its own
        dtype:     of the result. Strengths are drawn in float64 and rounded once: a float32 uniform has 24 bits, so
                   strengths above 10 would come in visible steps, and none would exceed 16.6
        seed:      an integer, or a torch.Generator on that device; the same seed gives both gates the same x
    Returns: x and x̂, Float[Tensor, "*grid n d"]; finite, except for strengths above the range of `dtype`
    Raises:  InputError for settings outside these ranges, and for an inverse CDF whose strengths are negative, not
             finite, decreasing, or of another shape
    Source:  C17, C18

    >>> features(1.0, "soft", d=3)
    Pairs(x=tensor([[3.5083, 1.2304, 0.6150]]), x_hat=tensor([[2.5083, 0.2304, 0.0000]]))
    >>> features(1.0, "soft", d=3, distribution=lambda p: 2 * p)  # uniform from 0 to 2: its inverse CDF is 2p
    Pairs(x=tensor([[1.9401, 1.4156, 0.9188]]), x_hat=tensor([[0.9401, 0.4156, 0.0000]]))
    """
    _check_tokens(n)
    device = device_named(device)
    drawing = _Thresholded(threshold, gate, d, distribution, device)
    drawn = drawing.draw(n, dtype, generator_of(seed, device))
    drawing.refuse_invalid()
    return drawn


def stream_features(
    threshold: float | Tensor,
    gate: str = "soft",
    d: int = 64,
    n: int = 1_000_000,
    *,
    chunk: int | None = None,
    groups: int = 32,
    progress: Callable[[int], None] | None = None,
    distribution: Strengths = "exponential",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    seed: int | torch.Generator = 0,
) -> tuple[Moments, Float64[Tensor, "*grid"]]:
    """The `Moments` of `n` tokens of `features` for each threshold, and the share of features that are active.

    They are drawn in chunks, so memory does not grow with n; an accelerator is waited for only at the end. On the CPU
    the strengths do not depend on the chunk size; on CUDA they do, because each call assigns its numbers by thread.

    Args:    chunk, groups, progress: as for `stream`, in tokens; others: as for `features`
    Returns: Moments with the grid of thresholds as batch axes, and the mean over tokens and features of x̂ > 0
    Raises:  InputError as `features` does
    Source:  C17, C18

    >>> moments, active = stream_features(torch.tensor([0.0, 1.0]), "hard", n=10_000)
    >>> moments.b / moments.c, active.round(decimals=2)
    (tensor([1., 1.], dtype=torch.float64), tensor([1.0000, 0.3700], dtype=torch.float64))
    """
    _check_tokens(n)
    device = device_named(device)
    drawing = _Thresholded(threshold, gate, d, distribution, device)
    generator = generator_of(seed, device)
    active = torch.zeros(drawing.grid, dtype=torch.float64, device=device)

    def draw(count: int) -> Pairs:
        drawn = drawing.draw(count, dtype, generator)
        active.add_((drawn.x_hat > 0).sum((-2, -1)))
        return drawn

    return in_chunks(draw, drawing, n, chunk, groups, progress), active / (n * d)


def _check_tokens(n: int) -> None:
    if n < 1:
        raise InputError(f"n is {n}: at least one token is needed")


class _Thresholded:
    """The checked settings of `features`; only `refuse_invalid` waits for the device."""

    def __init__(self, threshold, gate: str, d: int, distribution: Strengths, device: torch.device):
        if gate not in GATES:
            raise InputError(f"gate is {gate!r}: choose {', '.join(GATES)}")
        if d < 1:
            raise InputError(f"d is {d}: at least one feature is needed")
        level = torch.as_tensor(threshold, dtype=torch.float64)
        if not ((level >= 0) & level.isfinite()).all():
            raise InputError("a threshold is negative or not finite: thresholds are strengths, 0 or more")
        self.grid, self.gate, self.d, self.device = level.shape, gate, d, device
        self._level = sent(level, device)[..., None, None]
        self._strengths = inverse_cdf(distribution, (*self.grid, d), device)

    def draw(self, n: int, dtype: torch.dtype, generator: torch.Generator) -> Pairs:
        """Draw n tokens for each threshold."""
        # tokens come first, so chunks continue one sequence of draws for any grid
        u = torch.rand((n, *self.grid, self.d), dtype=torch.float64, device=self.device, generator=generator)
        f, level = self._strengths(u).movedim(0, -2), self._level
        x_hat = torch.where(f > level, f - level if self.gate == "soft" else f, 0)
        return Pairs(f.to(dtype).contiguous(), x_hat.to(dtype).contiguous())

    def refuse_invalid(self) -> None:
        """Raise InputError if any strength was negative or not finite."""
        self._strengths.refuse_invalid()
