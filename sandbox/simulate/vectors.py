"""Pairs (x, x̂) at controlled angles and norms, by the million, in torch, on any device.

To draw a pair, take a Gaussian u, whose direction is isotropic, and a Gaussian w in the hyperplane orthogonal to the
first axis. The reflection that maps the first axis to the direction of u maps w to a vector v that is orthogonal to u
and as long as w. x̂ is then a combination of u and v. A reflection loses no digits, whereas the usual subtraction of the
component along u loses all of them when the two vectors are nearly parallel. The reflection is never formed: it only
changes the two coefficients and the first component.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from sandbox.errors import InputError
from sandbox.moments.moments import BLOCK, Moments
from sandbox.system.devices import device_named, sent, without_autocast

NORMS = ("fixed", "chi", "log-normal")

Setting = float | Tensor | Distribution | Callable[[Tensor], Tensor]
"""A number; a tensor, as a grid of settings for one call; or a distribution from which each pair draws its own value:
a torch.distributions object with an `icdf`, or a function from probabilities to values."""

Checked = Callable[[Tensor], tuple[Tensor, Tensor, str]]
"""Values ► values corrected for rounding, whether each is valid, and the message for those that are not."""

ON_HOST, ON_DEVICE = 2**20, 2**25
"""Numbers in a chunk. On a CPU a chunk stays in the cache; on an accelerator it must take longer than launching its
kernels, some 60 at a few microseconds each."""


@runtime_checkable
class Drawing(Protocol):
    """What `in_chunks` needs to know: the grid of settings, the dimension, the device, and a final check."""

    grid: torch.Size
    d: int
    device: torch.device

    def refuse_invalid(self) -> None:
        """Raise InputError if anything so far was invalid; waits for the device."""


class Pairs(NamedTuple):
    """Simulated activations and reconstructions, Float[Tensor, "*grid n d"]: n for each setting of the grid."""

    x: Float[Tensor, "*grid n d"]
    x_hat: Float[Tensor, "*grid n d"]


@without_autocast()
def pairs(
    angle: Setting,
    norm_ratio: Setting = 1.0,
    d: int = 64,
    n: int = 1,
    *,
    norm: str = "fixed",
    scale: float = 1.0,
    spread: float = 1.0,
    correlation: float = 0.0,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    seed: int | torch.Generator = 0,
) -> Pairs:
    """Draw pairs of vectors at a given angle, with x̂ `norm_ratio` times as long as x, in isotropic directions.

    Args:
        angle:       radians, 0 to π: a number, a grid, or a distribution over pairs
        norm_ratio:  ‖x̂‖/‖x‖, 0 or more: the same choices; grids of angles and norm ratios broadcast
        d, n:        dimension (2 or more), and pairs for each setting
        norm:        of x: "fixed" (every ‖x‖ = scale), "chi" (Gaussian x, E‖x‖² = scale²), "log-normal" (heavy tail)
        spread:      standard deviation of log ‖x‖ when log-normal (its median is scale)
        correlation: −1 to 1, between the normal scores of ‖x‖ and of the angle; needs a log-normal norm and a
                     distribution of angles
        seed:        an integer, or a torch.Generator on that device
    Returns: x and x̂, Float[Tensor, "*grid n d"]. Angle and norm are as exact as `dtype` allows: rounding moves a
             direction by up to the epsilon of `dtype`, in radians.
    Raises:  InputError for settings outside these ranges.

    >>> x, x_hat = pairs(angle=torch.pi / 3, d=8, n=1000, dtype=torch.float64)
    >>> (x * x_hat).sum(-1).mean()
    tensor(0.5000, dtype=torch.float64)
    """
    device = device_named(device)
    settings = _Settings(angle, norm_ratio, d, norm, scale, spread, correlation, device)
    drawn = _drawn(settings, n, dtype, generator_of(seed, device))
    settings.refuse_invalid()
    return drawn


def _drawn(settings: _Settings, n: int, dtype: torch.dtype, generator: torch.Generator) -> Pairs:
    """`pairs` for checked settings; nothing here waits for the device."""
    if n < 1:
        raise InputError(f"n is {n}: at least one pair is needed")
    theta, ratio, length = settings.draw(n, generator)
    d, device = settings.d, settings.device
    shape = (*settings.grid, n, d)
    u = torch.randn(shape, dtype=dtype, device=device, generator=generator)
    w = torch.randn(shape, dtype=dtype, device=device, generator=generator)
    w[..., 0] = 0
    if d == 2:  # a single number may be drawn as exactly 0, which has no direction
        w[..., 1].masked_fill_(w[..., 1] == 0, 1)
    size_u, size_w = (torch.linalg.vector_norm(t, dim=-1).double() for t in (u, w))
    along = torch.linalg.vecdot(u, w).double()
    first = u[..., 0].double()
    # v = w − reflect · (u + sign(u₁)‖u‖e₁)
    reflect = along / (size_u * (size_u + first.abs()))
    if settings.norm == "chi":
        length = size_u * settings.scale / d**0.5
    to_x = length / size_u
    to_v = ratio * length * theta.sin() / size_w
    of_u = ratio * to_x * theta.cos() - to_v * reflect
    of_first = to_v * reflect * size_u * torch.where(first < 0, -1.0, 1.0)
    x_hat = w.mul_(to_v.to(dtype)[..., None]).addcmul_(u, of_u.to(dtype)[..., None])
    x_hat[..., 0] -= of_first.to(dtype)
    return Pairs(u.mul_(to_x.to(dtype)[..., None]), x_hat)


@without_autocast()
def stream(
    angle: Setting,
    norm_ratio: Setting = 1.0,
    d: int = 64,
    n: int = 1_000_000,
    *,
    norm: str = "fixed",
    scale: float = 1.0,
    spread: float = 1.0,
    correlation: float = 0.0,
    dtype: torch.dtype = torch.float32,
    chunk: int | None = None,
    groups: int = 32,
    progress: Callable[[int], None] | None = None,
    device: str | torch.device = "cpu",
    seed: int | torch.Generator = 0,
) -> Moments:
    """The `Moments` of `n` simulated pairs for each setting, drawn in chunks, so memory does not grow with n.

    Args:
        chunk:    pairs drawn at a time for each setting; by default, a chunk has about 2²⁰ numbers on the CPU and 2²⁵
                  on an accelerator
        groups:   of `Moments`, for its standard error
        progress: called after each chunk with the number of pairs in it
        others:   as for `pairs`
    Returns: Moments with the grid of settings as batch axes.

    >>> m = stream(torch.tensor([0.0, torch.pi / 2]), n=1000, dtype=torch.float64)
    >>> m.c.round(decimals=6).abs()
    tensor([1., 0.], dtype=torch.float64)
    """
    device = device_named(device)
    settings = _Settings(angle, norm_ratio, d, norm, scale, spread, correlation, device)
    generator = generator_of(seed, device)

    def draw(count: int) -> Pairs:
        return _drawn(settings, count, dtype, generator)

    return in_chunks(draw, settings, n, chunk, groups, progress)


def in_chunks(draw: Callable[[int], Pairs], drawing: Drawing, n, chunk, groups, progress) -> Moments:
    """The moments of `n` pairs for each setting; `draw` returns as many pairs as requested.

    An accelerator is waited for only at the end, when invalid values are refused.
    """
    if n < 1:
        raise InputError(f"n is {n}: at least one pair is needed")
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}: at least one pair at a time is needed")
    on_host = drawing.device.type == "cpu"
    numbers = ON_HOST if on_host else ON_DEVICE
    chunk = chunk or max(groups, numbers // max(drawing.grid.numel() * drawing.d, 1))  # at least one pair per group
    total: Moments | None = None
    for start in range(0, n, chunk):
        count = min(chunk, n - start)
        # Each pair is its own cluster. With large chunks, blocks of pairs fill the groups equally well, and spare the
        # CPU a pass over the pairs, which would take longer than all of an accelerator's work.
        pair = np.arange(start, start + count) if on_host or min(n, chunk) < 16 * groups * BLOCK else None
        options: dict[str, Any] = {"first_token": start, "batch_dims": len(drawing.grid), "groups": groups}
        part = Moments.from_pairs(*draw(count), pair, **options, drop_nonfinite=True)
        if on_host:  # where checking costs nothing
            drawing.refuse_invalid()
        total = part if total is None else total + part
        if progress:
            progress(count)
    assert total is not None
    drawing.refuse_invalid()
    total.refuse_nonfinite()
    return total


def generator_of(seed: int | torch.Generator, device: str | torch.device) -> torch.Generator:
    """A generator as it is, or a new one with that seed on that device."""
    return seed if isinstance(seed, torch.Generator) else torch.Generator(device).manual_seed(seed)


class _Settings:
    """Angle, norm ratio and length of pairs: settings are checked at once, drawn values after everything is drawn.

    Attributes: grid: the shape of the settings; d, norm, scale, device: as for `pairs`
    Raises:     InputError for settings outside their ranges
    """

    def __init__(self, angle, norm_ratio, d, norm, scale, spread, correlation, device: torch.device):
        if d < 2:
            raise InputError(f"d is {d}: an angle needs at least 2 dimensions")
        if norm not in NORMS:
            raise InputError(f"norm is {norm!r}: choose {', '.join(NORMS)}")
        if not (scale > 0 and spread >= 0):
            raise InputError(f"scale is {scale} and spread {spread}: scale must be positive, and spread 0 or more")
        if not -1 <= correlation <= 1:
            raise InputError(f"correlation is {correlation}: it must be between -1 and 1")
        if correlation and not (norm == "log-normal" and _varies(angle)):
            raise InputError("correlation needs a log-normal norm and an angle that is a distribution")
        self.d, self.norm, self.scale, self.spread, self.correlation = d, norm, float(scale), spread, correlation
        self.device = device
        self._angle = _Setting(angle, "angle", _within_half_a_turn, device)
        self._ratio = _Setting(norm_ratio, "norm_ratio", _not_negative, device)
        self.grid = torch.broadcast_shapes(self._angle.shape, self._ratio.shape)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Angle, norm ratio and ‖x‖ as float64 tensors that broadcast to (*grid, n), without waiting for the device."""
        like: dict[str, Any] = {"dtype": torch.float64, "device": self.device}

        def scores() -> Tensor:
            return torch.randn(n, generator=generator, **like)

        of_angle = scores() if self._angle.varies else torch.zeros(1, **like)
        theta = self._angle.at(of_angle)
        ratio = self._ratio.at(scores() if self._ratio.varies else of_angle)
        length = torch.full((1,), self.scale, **like)
        if self.norm == "log-normal":
            of_norm = self.correlation * of_angle + (1 - self.correlation**2) ** 0.5 * scores()
            length = length * (self.spread * of_norm).exp()
        return theta, ratio, length

    def refuse_invalid(self) -> None:
        """Raise InputError if a distribution gave an angle or a norm ratio outside its range; waits for the device."""
        for setting in (self._angle, self._ratio):
            setting.refuse_invalid()


class _Setting:
    """A number or a grid, checked at once; or a distribution, whose invalid values are counted and replaced by 0."""

    def __init__(self, setting: Setting, name: str, checked: Checked, device: torch.device):
        self.name, self.varies, self._checked = name, _varies(setting), checked
        self._quantile: Any = setting.icdf if isinstance(setting, Distribution) else setting
        self._invalid: Tensor | None = None
        self.shape = torch.Size()
        if not self.varies:
            values = torch.as_tensor(setting, dtype=torch.float64)
            values, valid, reason = checked(values)
            if not valid.all():
                raise InputError(reason)
            self.shape = values.shape
            self._values = sent(values[..., None], device)

    def at(self, score: Float[Tensor, "n"]) -> Float[Tensor, "*grid n"]:
        """The setting itself, or its distribution's quantile at each normal score."""
        if not self.varies:
            return self._values
        try:
            # a score beyond ±8.2 would round to probability 0 or 1, whose quantile may be infinite
            values = self._quantile(torch.special.ndtr(score).clamp(1e-16, 1 - 1e-16))
        except NotImplementedError:
            raise InputError(
                f"{self.name}: {type(self._quantile.__self__).__name__} has no icdf; "
                "pass a function from probabilities to values instead"
            ) from None
        values, valid, _ = self._checked(torch.as_tensor(values).to(score))
        invalid = (~valid).sum()
        self._invalid = invalid if self._invalid is None else self._invalid + invalid
        return torch.where(valid, values, 0)

    def refuse_invalid(self) -> None:
        """Raise InputError if any value so far was invalid."""
        if self._invalid is not None and self._invalid.item():
            raise InputError(self._checked(torch.zeros(0))[2])


def _within_half_a_turn(theta: Tensor) -> tuple[Tensor, Tensor, str]:
    theta = torch.where(theta <= torch.pi * (1 + 1e-6), theta.clamp(max=torch.pi), theta)  # float32's π is above π
    reason = "an angle lies outside 0 to π: angles are in radians (the command line takes degrees)"
    return theta, (theta >= 0) & (theta <= torch.pi), reason


def _not_negative(ratio: Tensor) -> tuple[Tensor, Tensor, str]:
    return ratio, (ratio >= 0) & ratio.isfinite(), "a norm ratio is negative or not finite"


def _varies(setting: Setting) -> bool:
    """Whether each pair draws its own value."""
    return isinstance(setting, Distribution) or callable(setting)
