"""`Moments`, the waist of the hourglass: the totals behind a = E‖x‖², b = E‖x̂‖², c = E[x·x̂].

Everything that the sandbox says about shrinkage is a function of these totals. They are kept per *group* of
clusters (documents), because every kept number is then a plain sum over tokens. So the moments of a file are the
sum of the moments of its parts for any split, even one in the middle of a document. The cluster products that a
standard error needs (C16), and the centred moments with *their* products (C14), follow from the groups afterwards,
without a second pass over the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from sandbox.errors import InputError
from sandbox.moments.clusters import BLOCK, Runs, blocks_of, runs_of
from sandbox.moments.dense import check_dense
from sandbox.moments.sums import Sums
from sandbox.moments.totalling import total
from sandbox.system.devices import without_autocast
from sandbox.system.dtypes import ANY_FLOAT
from sandbox.system.files import written_whole

__all__ = ["BLOCK", "GROUPS", "Moments", "refuse_out_of_range"]

GROUPS = 256
"""Groups that clusters are dealt into: enough that a t quantile with 255 degrees of freedom is 1.97."""

LEAST, MOST = 1e-95, 1e95
"""E‖x‖² and E‖x̂‖² that are measured: products of three of them stay in float64, and all of float32 lies within."""

GONE = 1e-12
"""Share of its energy up to which what is left from another origin is rounding, or cannot be told from it."""

STILL = 1e-22
"""The same for what the sums of x alone show, whose rounding is squared: seen from there, what is below it is 0."""

STRETCH, STRETCHES = 8, 8
"""Neighbouring blocks that are taken for one cluster where no documents are known, which may be longer than a block;
fewer, where these would not be STRETCHES at least. (By blocks alone, 95 % intervals cover 67 % where documents have
four blocks; where blocks are independent, stretches cost a width of 1.03: `python -m benchmarks.coverage`.)"""


@dataclass(frozen=True, eq=False)
class Moments(Sums):
    """Totals over tokens of (‖x‖², ‖x̂‖², x·x̂), per group of clusters; `+` merges.

    Attributes:
        totals:    Float64[Tensor, "*batch groups 3"], sums of ‖x‖², ‖x̂‖², x·x̂, squared activation units
        count:     Float64[Tensor, "*batch groups"], tokens
        sums:      Float64[Tensor, "*batch groups 2 d"], sums of x and of x̂, activation units
        nonfinite: Float64[Tensor, "*batch"], tokens left out because x or x̂ was not finite

    >>> import torch
    >>> m = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    >>> m.a.item(), m.b.item(), m.c.item()
    (1.0, 0.25, 0.5)
    """

    totals: Float64[Tensor, "*batch groups 3"]
    count: Float64[Tensor, "*batch groups"]
    sums: Float64[Tensor, "*batch groups 2 d"]
    nonfinite: Float64[Tensor, "*batch"]

    @classmethod
    def from_pairs(
        cls,
        x: Float[Tensor, "*batch *tokens d"] | np.ndarray,
        x_hat: Float[Tensor, "*batch *tokens d"] | np.ndarray,
        cluster: Int[Tensor, "*tokens"] | np.ndarray | None = None,
        *,
        batch_dims: int = 0,
        first_token: int = 0,
        groups: int = GROUPS,
        drop_nonfinite: bool = False,
    ) -> Moments:
        """The moments of pairs (x, x̂).

        Args:
            x, x_hat:       activations and reconstructions, the same shape, any float dtype, any device
            cluster:        an integer (or a text) per token, the same for tokens that are not independent (the
                            document); without it, blocks of BLOCK tokens are the clusters
            batch_dims:     leading axes that are kept: one `Moments` for a whole sweep of settings
            first_token:    place of the first token in its file, where this is a part of one: it sets the blocks
            groups:         how many groups clusters are dealt into
            drop_nonfinite: leave out (and count) tokens with a NaN or an infinity in place of refusing them
        Returns: totals in float64, on the device of x (on the CPU if that device has no float64).
        Raises:  InputError for shapes that differ, no tokens, a dtype that is not a float, non-finite tokens, and
                 numbers so large or small that totals of their squares leave the range of float64.
        Source:  "Notation" and C16 in docs/mathematics.md.
        """
        moments, _ = cls.with_dots(x, x_hat, cluster, batch_dims=batch_dims, first_token=first_token, groups=groups)
        if not drop_nonfinite:
            moments.refuse_nonfinite()
            moments.refuse_out_of_range()
        return moments

    @classmethod
    @without_autocast()
    def with_dots(
        cls,
        x: Float[Tensor, "*batch *tokens d"] | np.ndarray,
        x_hat: Float[Tensor, "*batch *tokens d"] | np.ndarray,
        cluster: Int[Tensor, "*tokens"] | np.ndarray | Runs | None = None,
        *,
        batch_dims: int = 0,
        first_token: int = 0,
        groups: int = GROUPS,
        apart_above: float | None = None,
    ) -> tuple[Moments, Float64[Tensor, "n 3"]]:
        """As `from_pairs`, with every token's own ‖x‖², ‖x̂‖², x·x̂, which are there anyway.

        Args:
            cluster:     as for `from_pairs`, or `runs_of` it in as many groups
            apart_above: tokens with ‖x‖ above it are kept apart: the moments then have a first axis of 2, the other
                         tokens' and theirs (both together: `merged`)
        Returns: the moments, tokens that are not finite left out and counted; and the dots, nan or infinite for those
        Raises:  as `from_pairs`
        """
        x, x_hat = _checked(x, "x"), _checked(x_hat, "x_hat")
        if x.shape != x_hat.shape:
            raise InputError(f"x has shape {tuple(x.shape)} and x_hat {tuple(x_hat.shape)}: they must be the same")
        if x.device != x_hat.device:
            raise InputError(f"x is on {x.device} and x_hat on {x_hat.device}: move them to one device")
        if not 0 <= batch_dims < x.ndim:
            raise InputError(f"batch_dims is {batch_dims}, but x of shape {tuple(x.shape)} has {x.ndim - 1} such axes")
        if groups < 1:
            raise InputError(f"groups is {groups}: at least one is needed")
        if not x.numel():
            raise InputError(f"x has shape {tuple(x.shape)}: there are no tokens to measure")
        batch, tokens, d = x.shape[:batch_dims], x.shape[batch_dims:-1], x.shape[-1]
        n, settings = tokens.numel(), batch.numel()
        if cluster is None:
            runs = blocks_of(first_token, n, groups)
        else:
            runs = cluster if isinstance(cluster, Runs) else runs_of(cluster, tokens, groups)
        if settings > 1:  # a setting's groups are its own
            runs = runs.repeated(settings, groups)
        parts = (1 if apart_above is None else 2, *batch)
        limit = math.inf if apart_above is None else float(apart_above) ** 2
        x, x_hat = x.detach().reshape(-1, d), x_hat.detach().reshape(-1, d)
        totals, count, sums, dots = total(x, x_hat, runs, settings * groups, parts[0], limit)
        nonfinite = dots.new_full(parts, 0)
        nonfinite[0] = n - count.reshape(*parts, groups).sum((0, -1))
        moments = cls(
            totals.reshape(*parts, groups, 3),
            count.reshape(*parts, groups),
            sums.reshape(*parts, groups, 2, d),
            nonfinite,
        )
        return (moments[0] if apart_above is None else moments), dots

    def __getitem__(self, index: int | slice) -> Moments:
        """One setting of the first axis, or a slice of them."""
        return type(self)(*(t[index] for t in self))

    def merged(self) -> Moments:
        """The settings of the first axis together, as one set of tokens."""
        return Moments(*(t.sum(0) for t in self))

    def refuse_nonfinite(self) -> None:
        """Raise InputError if any token was left out for a NaN or an infinity."""
        if bad := int(self.nonfinite.sum()):
            seen = bad + int(self.count.sum())
            raise InputError(
                f"{bad} of {seen} tokens have a NaN or an infinity in x or x_hat (or a number whose square is one, "
                "beyond 1e150): mend them, or drop them with drop_nonfinite=True (--drop-nonfinite)"
            )

    def refuse_out_of_range(self) -> None:
        """Raise InputError where E‖x‖² or E‖x̂‖² is so large or small that formulas with it would leave float64."""
        energy = self.totals.sum(-2)[..., :2] / self.n.clamp(min=1)[..., None]
        there = (energy != 0) | (self.sums != 0).any(-1).any(-2)  # squares may be 0 where x is not
        if (bad := there & ~((energy >= LEAST) & (energy <= MOST))).any():
            at = tuple(bad.nonzero()[0])
            name = ("x", "x_hat")[int(at[-1])]
            raise InputError(out_of_range(name, f"E‖{name}‖² is {energy[at]:.3g}"))

    @property
    def n(self) -> Float64[Tensor, "*batch"]:
        """Tokens measured."""
        return self.count.sum(-1)

    @property
    def means(self) -> Float64[Tensor, "*batch 3"]:
        """(a, b, c), squared activation units; nan where no token was measured."""
        return self.totals.sum(-2) / self.n[..., None]

    @property
    def a(self) -> Float64[Tensor, "*batch"]:
        """E‖x‖²."""
        return self.means[..., 0]

    @property
    def b(self) -> Float64[Tensor, "*batch"]:
        """E‖x̂‖²."""
        return self.means[..., 1]

    @property
    def c(self) -> Float64[Tensor, "*batch"]:
        """E[x·x̂]."""
        return self.means[..., 2]

    @property
    def clusters(self) -> Int[Tensor, "*batch"]:
        """G of C16: the groups that hold at least one token."""
        return (self.count > 0).sum(-1)

    @property
    def products(self) -> Float64[Tensor, "*batch 3 3"]:
        """M = Σ_g T_g T_gᵀ of C16, over the groups."""
        return self.totals.mT @ self.totals

    def centred(self) -> Centred:
        """The same pairs with the mean of x taken from x, and the mean of x̂ from x̂ (C14), clusters included."""
        return Centred(*self.about(self._means_of(Centred.mean_of)))

    def centred_on_x(self) -> CentredOnX:
        """The same pairs with the mean of x taken from both, which leaves x̂ − x as it is."""
        return CentredOnX(*self.about(self._means_of(CentredOnX.mean_of)))

    def _means_of(self, whose: tuple[int, int]) -> Float64[Tensor, "*batch 2 d"]:
        return _rows(self.sums.sum(-3), whose) / self.n[..., None, None]

    def in_stretches(self) -> Moments:
        """The same with neighbouring groups as one: neighbouring blocks lie in neighbouring groups."""
        totals, count, sums = (in_stretches(one, self.count) for one in (self.totals, self.count, self.sums))
        return Moments(totals, count, sums, self.nonfinite)

    def leave_one_out(self) -> Float64[Tensor, "*batch groups 3"]:
        """The totals without each group in turn: what a jackknife needs, without a second pass over the data."""
        return self.totals.sum(-2, keepdim=True) - self.totals

    def about(self, origin: Float64[Tensor, "*batch 2 d"]) -> Moments:
        """The same pairs seen from `origin`: its first row is taken from every x, its second from every x̂.

        What is left of x, or of x̂, is 0 where it equals its origin everywhere; where it is less than a millionth of the
        whole, float64 cannot say how much it is: such totals are nan (`sandbox.maths.measures.NOT_RESOLVABLE`).
        """
        m, n = origin[..., None, :, :], self.count[..., None, None]
        totals = self.totals + _shift(self.sums, n, m)
        sums = self.sums - n * m
        # A vector that equals its origin everywhere leaves only rounding behind: a zero, not a tiny moment. One that
        # keeps so near to it that rounding hides how near leaves a nan. The sums of x tell the two apart, as far as the
        # groups differ: ‖Σ(u − m)‖²/n of each is at most its Σ‖u − m‖², and nothing cancels in it but the mean.
        energy, left = self.totals.sum(-2)[..., :2], totals.sum(-2)[..., :2]
        seen = (sums.square().sum(-1) / self.count.clamp(min=1)[..., None]).sum(-2)
        gone = left <= GONE * energy
        hidden = gone & (seen > STILL * energy)
        sums = sums.masked_fill(gone[..., None, :, None], 0)
        gone, hidden = (torch.stack((*one.unbind(-1), one.any(-1)), -1)[..., None, :] for one in (gone, hidden))
        totals = torch.where(hidden, torch.nan, torch.where(gone, 0, totals))
        return Moments(totals, self.count, sums, self.nonfinite)

    def save(self, path: str | Path) -> None:
        """Write to a .safetensors file, whole or not at all."""
        from safetensors.torch import save_file

        with written_whole(path) as beside:
            save_file({f.name: t.cpu().contiguous() for f, t in zip(fields(self), self, strict=True)}, beside)

    @classmethod
    def load(cls, path: str | Path) -> Moments:
        """Read what `save` wrote. Raises InputError when the file is not one."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        names = [f.name for f in fields(cls)]
        try:
            stored = load_file(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} cannot be read as saved Moments: {error}") from error
        if sorted(stored) != sorted(names):
            raise InputError(f"{path} holds {sorted(stored)}, not the {sorted(names)} of saved Moments")
        moments = cls(*(stored[name] for name in names))
        groups = moments.count.shape
        if moments.totals.shape != (*groups, 3) or moments.sums.shape[:-1] != (*groups, 2):
            raise InputError(f"{path} holds tensors that do not belong together; save the moments again")
        return moments

    def __repr__(self) -> str:
        if self.n.ndim:
            return f"Moments({tuple(self.n.shape)} settings, {self.n.sum():.0f} tokens)"
        return f"Moments(a={self.a:.6g}, b={self.b:.6g}, c={self.c:.6g}, n={self.n:.0f}, clusters={self.clusters})"


class Centred(Moments):
    """Moments seen from the means of these very tokens: without some of them, the origin lies elsewhere.

    Attributes: mean_of: whose mean is taken from x, and whose from x̂: 0 of x, 1 of x̂
    """

    mean_of: ClassVar[tuple[int, int]] = (0, 1)

    def leave_one_out(self) -> Float64[Tensor, "*batch groups 3"]:
        """The totals without each group in turn, seen from the means of the tokens that are left.

        Those follow from the groups' sums: no more memory is needed than these have.
        """
        left = self.totals.sum(-2, keepdim=True) - self.totals
        sums = self.sums.sum(-3, keepdim=True) - self.sums
        n = (self.n[..., None] - self.count)[..., None, None]
        left = left + _shift(sums, n, _rows(sums, self.mean_of) / n)
        # What does not vary without the group leaves only rounding behind: a zero, as in `about`.
        gone = left[..., :2] <= GONE * self.totals.sum(-2, keepdim=True)[..., :2]
        return left.masked_fill(torch.cat((gone, gone.any(-1, keepdim=True)), -1), 0)


class CentredOnX(Centred):
    """The same with the mean of x taken from both."""

    mean_of = (0, 0)


def in_stretches(
    sums: Float64[Tensor, "groups *rest"], count: Float64[Tensor, "groups"]
) -> Float64[Tensor, "stretches *rest"]:
    """Sums per group of blocks, put together in stretches of neighbours; `count` is of the tokens in each group."""
    blocks = int((count > 0).sum())
    size = min(STRETCH, max(blocks // STRETCHES, 1))
    short = sums.new_zeros(-len(sums) % size, *sums.shape[1:])
    return torch.cat((sums, short)).unflatten(0, (-1, size)).sum(1)


def _rows(sums: Float64[Tensor, "*batch 2 d"], which: tuple[int, int]) -> Float64[Tensor, "*batch 2 d"]:
    """Its rows in that order; a list as an index would be sent to the device, and waited for."""
    return torch.stack([sums[..., row, :] for row in which], -2)


def _shift(
    sums: Float64[Tensor, "*batch 2 d"], n: Float64[Tensor, "*batch 1 1"], origin: Float64[Tensor, "*batch 2 d"]
) -> Float64[Tensor, "*batch 3"]:
    """What n tokens' totals of ‖x‖², ‖x̂‖², x·x̂ gain when they are seen from `origin`; `sums` are of x and of x̂."""
    # ⟨u − m, v − m'⟩ = ⟨u, v⟩ − ⟨m, v⟩ − ⟨u, m'⟩ + ⟨m, m'⟩, summed over the tokens, for u and v in {x, x̂}
    cross = origin @ sums.mT
    shift = n * (origin @ origin.mT) - cross - cross.mT
    return torch.stack((shift[..., 0, 0], shift[..., 1, 1], shift[..., 0, 1]), -1)


def _checked(values: Any, name: str) -> Tensor:
    """`values` as a float tensor with a last axis, or an InputError that names it."""
    check_dense(values, name)
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise InputError(f"{name} is no array: {error}") from error
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise InputError(f"{name} has dtype {array.dtype}: activations are {ANY_FLOAT}")
        # A copy where torch cannot share the memory: another byte order, a negative stride, a file mapped read-only.
        shared = array.dtype.isnative and array.flags.c_contiguous and array.flags.writeable
        values = torch.from_numpy(array if shared else np.array(array, array.dtype.newbyteorder("="), order="C"))
    if not values.is_floating_point():
        raise InputError(f"{name} has dtype {values.dtype}: activations are {ANY_FLOAT}")
    if not values.ndim:
        raise InputError(f"{name} is a single number: a vector per token, shape (..., d), is needed")
    return values


def refuse_out_of_range(x: Float[Tensor, "n d"], name: str) -> None:
    """Raise InputError for a sample whose numbers no totals in float64 can hold; all of float32 passes."""
    if x.dtype != torch.float64:
        return
    peak = x.abs().nan_to_num(0, 0, 0).max().item()
    if peak and not LEAST <= peak * peak <= MOST:
        raise InputError(out_of_range(name, f"its largest number is {peak:.3g}, and its square {peak * peak:.3g}"))


def out_of_range(name: str, found: str) -> str:
    """The line that says so, and what to do."""
    return (
        f"{name}: too large or too small for totals in float64: {found}, where {LEAST:g} to {MOST:g} can be had; "
        "multiply x and x_hat by the same factor, such as a power of 2: no measure of shrinkage changes"
    )
