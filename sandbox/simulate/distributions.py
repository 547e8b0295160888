"""Distributions of feature strengths: named inverse CDFs, and user-defined ones, which are checked on the device."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.distributions import Distribution

from sandbox.errors import InputError
from sandbox.system.devices import device_named

Strengths = str | Distribution | Callable[[Tensor], Tensor]
"""A key of `DISTRIBUTIONS`; a torch.distributions object with an `icdf`; or your own function from probabilities to
strengths, that is, an inverse CDF. Such a function needs neither a generator nor a device, and unlike a sampler it also
gives the threshold that leaves a chosen share of features active."""

LEAST, MOST = 2.0**-54, 1 - 2.0**-52
"""Range of the probabilities passed to a user's inverse CDF: never 0, and far enough below 1 that (1 + p)/2, which the
icdf of torch's HalfNormal computes, is below 1, too."""


def _exponential(p: Tensor) -> Tensor:
    return p.neg_().log1p_().neg_()  # p < 1, so −log(1 − p) is finite, where −log(p) need not be


def _half_normal(p: Tensor) -> Tensor:
    return p.erfinv_().mul_(math.pi**0.5)


def _log_normal(p: Tensor) -> Tensor:
    return torch.special.ndtri(p).sub_(0.5).exp_()


DISTRIBUTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exponential": _exponential,
    "half-normal": _half_normal,  # |z|·√(π/2) of a standard normal z
    "log-normal": _log_normal,  # exp(z − ½): the standard deviation of log f is 1
}
"""Inverse CDFs of strengths with mean 1, by name. They may overwrite their argument, which is below 1."""


class InverseCDF:
    """An inverse CDF, from probabilities to strengths, that needs no checks, such as those of `DISTRIBUTIONS`."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function

    def __call__(self, p: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
        """The strength at each probability in [0, 1); the probabilities may be overwritten."""
        return self.function(p)

    def refuse_invalid(self) -> None:
        """Raise InputError if any strength so far was negative or not finite."""


class UserInverseCDF(InverseCDF):
    """A user's inverse CDF, tried out at once; invalid strengths are then counted on the device and refused at the end.

    Args:   shape: of the strengths of one token; every feature may have its own distribution
    Raises: InputError for a function that fails at any of a few probabilities, including the smallest and the largest
    """

    def __init__(self, function: Callable[[Tensor], Tensor], name: str, shape: tuple[int, ...], device: torch.device):
        super().__init__(function)
        self.name = f"distribution: {name}"
        self.invalid = torch.zeros((), dtype=torch.int64, device=device)
        self._try_out(shape)

    def __call__(self, p: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
        """The strength at each probability; invalid ones are counted and replaced by 0."""
        f = self._values(p)
        valid = _valid(f)
        self.invalid += (~valid).sum()
        return torch.where(valid, f, 0)

    def refuse_invalid(self) -> None:
        """Raise InputError if any strength so far was negative or not finite; waits for the device."""
        if bad := int(self.invalid):
            raise InputError(
                f"{self.name} gave {bad} strengths that are negative or not finite: each must be 0 or more"
            )

    def _values(self, p: Tensor) -> Float64[Tensor, "*any"]:
        shape, device = p.shape, p.device
        f = self.function(p.clamp_(LEAST, MOST))
        if not (isinstance(f, Tensor) and f.is_floating_point()):
            kind = f"a tensor of {f.dtype}" if isinstance(f, Tensor) else f"{f!r:.40}"
            raise InputError(f"{self.name} returned {kind}: it must return a floating-point tensor of strengths")
        if f.shape != shape:
            shapes = f"strengths of shape {tuple(f.shape)} for probabilities of shape {tuple(shape)}"
            raise InputError(f"{self.name} returned {shapes}: it must return one for each, in the same shape")
        if f.device != device:
            raise InputError(f"{self.name} returned strengths on {f.device}: compute them on p.device, {device}")
        return f.detach().to(torch.float64)

    def _try_out(self, shape: tuple[int, ...]) -> None:
        ladder = torch.linspace(0, 1, 9, dtype=torch.float64, device=self.invalid.device).clamp(LEAST, MOST)
        p = ladder.reshape(-1, *(1 for _ in shape)).expand(-1, *shape)
        f = self._values(p.clone())
        if not (valid := _valid(f)).all():
            strength, at = f[~valid][0].item(), p[~valid][0].item()
            raise InputError(
                f"{self.name} gives the strength {strength:g} at probability {at:g}: it must be finite, and 0 or more"
            )
        if (f.diff(dim=0) < 0).any():
            raise InputError(
                f"{self.name} falls as the probability rises, but an inverse CDF must not: "
                "at 0.9 it gives the strength that nine features in ten stay below"
            )


def inverse_cdf(distribution: Strengths, shape: tuple[int, ...], device: torch.device) -> InverseCDF:
    """The inverse CDF of a distribution; a user's own is tried out.

    Args:   shape: of the strengths of one token, "*grid d"
    Raises: InputError for an unknown name, a distribution without an inverse CDF, or an inverse CDF that fails
    """
    if isinstance(distribution, str):
        if distribution not in DISTRIBUTIONS:
            raise InputError(
                f"distribution is {distribution!r}: choose {', '.join(DISTRIBUTIONS)}, "
                "or pass a function from probabilities to strengths"
            )
        return InverseCDF(DISTRIBUTIONS[distribution])
    kind = type(distribution).__name__
    if isinstance(distribution, Distribution):
        try:
            return UserInverseCDF(distribution.icdf, kind, shape, device)
        except NotImplementedError:
            raise InputError(
                f"distribution: {kind} has no icdf; pass a function from probabilities to strengths instead"
            ) from None
    if not callable(distribution):
        raise InputError(f"distribution is {distribution!r:.40}: pass a name or a function")
    return UserInverseCDF(distribution, getattr(distribution, "__name__", kind), shape, device)


def threshold_at(
    share: float | Tensor, distribution: Strengths = "exponential", device: str | torch.device = "cpu"
) -> Float64[Tensor, "*grid"]:
    """The threshold that leaves this share of features active: the strength at probability 1 − share.

    Args:    share: from 1e-15 to 1, of any shape. Fewer are active if many features tie at the threshold, say at 0
             distribution: as for `sandbox.simulate.features.features`, one for all features
    Raises:  InputError for a share outside this range, and for an invalid distribution

    >>> threshold_at(torch.tensor([1.0, 0.1]), "half-normal")
    tensor([0.0000, 2.0615], dtype=torch.float64)
    """
    device = device_named(device)
    share = torch.as_tensor(share, dtype=torch.float64).to(device)
    if not ((share >= 1e-15) & (share <= 1)).all():
        raise InputError("a share of active features lies outside 1e-15 to 1: it is L0 over the width")
    strengths = inverse_cdf(distribution, (), device)
    threshold = strengths(1 - share)
    strengths.refuse_invalid()
    return threshold


def _valid(f: Tensor) -> Bool[Tensor, "*any"]:
    return (f >= 0) & (f < torch.inf)
