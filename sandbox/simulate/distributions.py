"""How strong features are: inverse CDFs by name, and a user's own, checked without waiting for the device."""

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
"""A name of `DISTRIBUTIONS`; one of torch.distributions with an `icdf`; or a function of your own that takes
probabilities to strengths: the inverse of a cumulative distribution. Such a function needs no generator and no device
of its own, and gives the threshold that leaves a wished share of features active, which a sampler cannot."""

LEAST, MOST = 2.0**-54, 1 - 2.0**-52
"""The probabilities that a user's own is given lie between: never 0, and so far below 1 that (1 + p)/2, as the icdf of
torch's HalfNormal has it, is below 1, too."""


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
"""Inverse CDFs of strengths whose mean is 1, by name; they may write into their argument, and 1 is not in it."""


class InverseCDF:
    """Probabilities to strengths; those of `DISTRIBUTIONS` need no check."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function

    def __call__(self, p: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
        """The strength at each probability, 0 or more and below 1; the probabilities may be overwritten."""
        return self.function(p)

    def refuse_invalid(self) -> None:
        """Raise InputError if any strength so far was negative or not finite."""


class OwnInverseCDF(InverseCDF):
    """A user's own: what can be seen at once is refused at once, what the device knows is asked for once, at the end.

    Args:   shape: of the strengths of one token; every feature may have a distribution of its own
    Raises: InputError for a function that fails at a few probabilities, the least and the greatest among them
    """

    def __init__(self, function: Callable[[Tensor], Tensor], name: str, shape: tuple[int, ...], device: torch.device):
        super().__init__(function)
        self.name = f"distribution: {name}"
        self.invalid = torch.zeros((), dtype=torch.int64, device=device)
        self._try_out(shape)

    def __call__(self, p: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
        """The strength at each probability; those that are invalid are counted, and 0."""
        f = self._values(p)
        valid = _valid(f)
        self.invalid += (~valid).sum()
        return torch.where(valid, f, 0)

    def refuse_invalid(self) -> None:
        """Raise InputError if any strength so far was negative or not finite; waits for the device."""
        if bad := int(self.invalid):
            raise InputError(f"{self.name} gave {bad} strengths that are negative or not finite: 0 or more is needed")

    def _values(self, p: Tensor) -> Float64[Tensor, "*any"]:
        shape, device = p.shape, p.device
        found = self.function(p.clamp_(LEAST, MOST))
        if not (isinstance(found, Tensor) and found.is_floating_point()):
            kind = f"a tensor of {found.dtype}" if isinstance(found, Tensor) else f"no tensor but {found!r:.40}"
            raise InputError(f"{self.name} returned {kind}: a tensor of floating-point strengths is needed")
        if found.shape != shape:
            made = f"{tuple(found.shape)} strengths of {tuple(shape)} probabilities"
            raise InputError(f"{self.name} made {made}: one for each is needed, in the same shape")
        if found.device != device:
            raise InputError(f"{self.name} returned strengths on {found.device}: compute them on p.device, {device}")
        return found.detach().to(torch.float64)

    def _try_out(self, shape: tuple[int, ...]) -> None:
        ladder = torch.linspace(0, 1, 9, dtype=torch.float64, device=self.invalid.device).clamp(LEAST, MOST)
        p = ladder.reshape(-1, *(1 for _ in shape)).expand(-1, *shape)
        f = self._values(p.clone())
        if not (valid := _valid(f)).all():
            found, at = f[~valid][0].item(), p[~valid][0].item()
            raise InputError(
                f"{self.name} gives the strength {found:g} at probability {at:g}: 0 or more is needed, and finite"
            )
        if (f.diff(dim=0) < 0).any():
            raise InputError(
                f"{self.name} falls as the probability rises, and an inverse CDF never does: "
                "it takes 0.9 to the strength that nine features in ten lie below"
            )


def inverse_cdf(distribution: Strengths, shape: tuple[int, ...], device: torch.device) -> InverseCDF:
    """The inverse CDF that is meant, tried out where it is the user's own.

    Args:   shape: of the strengths of one token, "*grid d"
    Raises: InputError for a name that there is not, a distribution without an inverse CDF, or one that fails
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
            return OwnInverseCDF(distribution.icdf, kind, shape, device)
        except NotImplementedError:
            raise InputError(
                f"distribution: {kind} has no icdf; pass a function from probabilities to strengths instead"
            ) from None
    if not callable(distribution):
        raise InputError(f"distribution is {distribution!r:.40}: a name or a function is needed")
    return OwnInverseCDF(distribution, getattr(distribution, "__name__", kind), shape, device)


def threshold_at(
    share: float | Tensor, distribution: Strengths = "exponential", device: str | torch.device = "cpu"
) -> Float64[Tensor, "*grid"]:
    """The threshold that leaves this share of features active: the strength at probability 1 − share.

    Args:    share: from 1e-15 to 1, of any shape; fewer are active where many features are equally strong (0, say).
             distribution: as for `sandbox.simulate.features.features`, one for all features
    Raises:  InputError for a share outside this range, and for a distribution as there

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
