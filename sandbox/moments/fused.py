"""The totals of the moments on a CUDA device, in one pass that reads x and x̂ once.

Memory bandwidth is the limit, and array operations would first write both tensors out as float64. Here one Triton
program takes a *tile*: neighbouring tokens of one group. It holds a row until the row's products show whether it is
finite, and keeps the sums over rows in registers. A second kernel adds up the tiles of each group, always in the same
order, so two runs give the same bits; atomic additions would not.
"""

from __future__ import annotations

import functools
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from sandbox.system.devices import sent
from sandbox.system.dtypes import FLOATS

if TYPE_CHECKING:
    import triton.language as tl

WIDEST = 8192
"""Elements in the longest row that is supported: its sums still fit in registers."""

TILE = 128
"""The most tokens in a tile. Its sums, 2d float64 written and read again, are then 3 % of what it reads in float32."""

STAGED = 2**16
"""The most bytes of shared memory for rows in flight: every card that can copy while it computes has that many."""


def supported(x: Tensor, x_hat: Tensor) -> bool:
    """Whether `fused_totals` can handle these rows on this machine."""
    return (
        x.is_cuda
        and x.device == x_hat.device
        and {x.dtype, x_hat.dtype} <= set(FLOATS)
        and x.ndim == 2
        and x.shape == x_hat.shape
        and x.shape[0] > 0
        and 0 < x.shape[1] <= WIDEST
        and _works_on(x.device)
    )


@functools.cache
def _works_on(device: torch.device) -> bool:
    """Whether a first, tiny launch succeeds: it needs Triton, a recent enough driver and a C compiler."""
    if torch.version.hip or torch.cuda.get_device_capability(device) < (7, 0):
        return False
    x = torch.zeros(1, 1, device=device)
    try:
        fused_totals(x, x, np.array([0, 1]), np.array([0]), None, 1, 1, math.inf)
    except ModuleNotFoundError:  # Triton does not exist for this system
        return False
    except torch.OutOfMemoryError:  # there may be memory later: exceptions are not cached
        raise
    except Exception as error:  # whatever is missing, the array operations do not need it
        why = str(error).strip().split("\n")[0]
        print(f"sandbox: moments take a slower path on {device} because Triton fails there: {why}", file=sys.stderr)
        return False
    return True


def fused_totals(
    x: Float[Tensor, "n d"],
    x_hat: Float[Tensor, "n d"],
    start: Int64[np.ndarray, "runs_and_end"],
    group: Int64[np.ndarray, "runs"],
    order: Int[np.ndarray, "n"] | None,
    groups: int,
    parts: int,
    limit: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Totals, counts and sums per group, and every token's dot products; nothing waits for the device.

    Args:
        x, x_hat: rows for which `supported` holds
        start:    where each run of tokens starts, and n
        group:    the group of each run, 0 ≤ group < groups; a group may have many runs
        order:    the tokens, run after run; None for 0 … n − 1
        groups:   number of groups, including empty ones
        parts:    2 to keep tokens with ‖x‖² above `limit` apart, in groups numbered from `groups` onwards; else 1
        limit:    squared activation units; inf with 1 part
    Returns: in float64, for each group the sums of ‖x‖², ‖x̂‖², x·x̂ (parts·groups, 3), its tokens (parts·groups), and
             the sums of x and of x̂ (parts·groups, 2, d); then ‖x‖², ‖x̂‖², x·x̂ of every token (n, 3). A token for
             which these are not all finite counts in the last only.
    """
    x, x_hat = (t if t.stride(1) == 1 else t.contiguous() for t in (x, x_hat))
    (n, d), device = x.shape, x.device
    tile = min(TILE, max(16, n // 1024))  # small inputs are cut finer: hundreds of programs run at once
    moved = 2 * n < tile * len(group)
    # The whole plan goes to the device as one 64-bit array, whose layout `_add_rows` and `_add_tiles` know.
    rest = [] if order is None else [order]
    if moved:
        start, group, shift, length = _gathered(start, group, groups)
        rest += [shift, length]
    low, slot, offset = _tiles(start, group, groups, tile)
    tiles = len(low)
    plan = [np.array([limit], np.float64).view(np.int64), low, start[-1:], slot, offset]
    packed = sent(np.concatenate(plan + rest, dtype=np.int64), device)
    pieces = packed.split([sum(map(len, plan)), *map(len, rest)])
    tokens = packed if order is None else pieces[1]
    if moved:
        old = torch.arange(n, device=device) + torch.repeat_interleave(*pieces[-2:], output_size=n)
        tokens = old if order is None else tokens[old]

    constants, warps = _constants(d, x.dtype, x_hat.dtype)
    units = [math.gcd(t.stride(0), 16) for t in (x, x_hat)]
    partial = torch.empty(parts * tiles, 2 * d + 4, dtype=torch.float64, device=device)
    totals, count = partial.new_empty(parts * groups, 3), partial.new_empty(parts * groups)
    sums, dots = partial.new_empty(parts * groups, 2, d), partial.new_empty(n, 3)
    add_rows, add_tiles = _kernels()
    columns = min(128, max(16, 1 << d.bit_length() >> 6))
    with torch.cuda.device_of(x):
        add_rows[(tiles,)](
            *(x, x_hat, tokens, packed, partial, dots, x.stride(0) // units[0], x_hat.stride(0) // units[1]),
            **constants,
            X_UNIT=units[0],
            HAT_UNIT=units[1],
            ORDERED=moved or order is not None,
            PARTS=parts,
            TILE=TILE,
            num_warps=warps,
        )
        add_tiles[(groups, -(-(2 * d + 4) // columns), parts)](
            packed, partial, totals, count, sums, tiles, D=d, ROWS=1024 // columns, COLS=columns
        )
    return totals, count, sums, dots


def _gathered(start, group, groups):
    """Join the runs of each group, for runs that are too short to fill tiles of their own.

    Returns: start and group of the joined runs, one for each group with tokens; and for each old run, in its new
             order, what to add to the new positions of its tokens to get the old ones, and its length
    """
    # numpy sorts 16 bits by radix, in linear time
    by = np.argsort(group.astype(np.uint16) if groups <= 2**16 else group, kind="stable")
    length, group = np.diff(start)[by], group[by]
    begin = np.cumsum(length) - length
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return np.append(begin[first], start[-1]), group[first], start[by] - begin, length


def _tiles(start, group, groups, tile):
    """Cut the runs into tiles of at most `tile` tokens, as equal as possible within a run.

    Returns: where each tile starts; its position among the tiles sorted by group; where each group starts there, and
             the number of tiles
    """
    length = np.diff(start)
    pieces = -(-length // tile)
    run = np.repeat(np.arange(len(group)), pieces)
    piece = np.arange(len(run)) - (np.cumsum(pieces) - pieces)[run]
    low = start[run] + piece * length[run] // pieces[run]
    slot = np.empty_like(run)
    slot[np.argsort(group[run], kind="stable")] = np.arange(len(run))
    return low, slot, np.append(0, np.cumsum(np.bincount(group[run], minlength=groups)))


@functools.cache
def _constants(d: int, dtype: torch.dtype, hat_dtype: torch.dtype) -> tuple[dict[str, int | bool], int]:
    """How one program holds rows of d elements: constants for `_add_rows`, and the number of warps."""
    chunk = max(16, 1 << (d - 1).bit_length())  # blocks are powers of 2: several cover a row with little waste
    while chunk > 16 and 8 * chunk * -(-d // chunk) > 9 * d:
        chunk //= 2
    chunks = -(-d // chunk)
    rows, warps = 1, 1
    while 2 * rows * chunk * chunks <= 768:
        rows *= 2
    while rows * chunk * chunks > 768 * warps:  # 24 pairs a thread, widened, and their sums: 192 of 255 registers
        warps *= 2
    # Longer rows would leave a thread fewer registers. If rows are kept narrow and widened again for the sums, half do.
    twice = warps > 8 and torch.float64 not in (dtype, hat_dtype)
    staged = rows * chunk * chunks * (dtype.itemsize + hat_dtype.itemsize)
    stages = 1 + min(2, STAGED // staged)
    constants = {"D": d, "CHUNK": chunk, "CHUNKS": chunks, "ROWS": rows, "STAGES": stages, "TWICE": twice}
    return constants, 8 if twice else warps


@functools.cache
def _kernels() -> tuple[Any, Any]:
    """The two kernels. Triton is imported here, so only those who use it wait for it."""
    global tl
    import triton
    import triton.language as tl

    jit: Any = triton.jit
    # Do not recompile for numbers that happen to be 1, or for an order that happens to start at a multiple of 16.
    add_rows = jit(_add_rows, do_not_specialize=["x_step", "hat_step"], do_not_specialize_on_alignment=["order"])
    return add_rows, jit(_add_tiles, do_not_specialize=["tiles"])


def _add_rows(
    x,
    x_hat,
    order,
    plan,
    partial,
    dots,
    x_step,
    hat_step,
    D: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
    ROWS: tl.constexpr,
    X_UNIT: tl.constexpr,
    HAT_UNIT: tl.constexpr,
    ORDERED: tl.constexpr,
    PARTS: tl.constexpr,
    STAGES: tl.constexpr,
    TWICE: tl.constexpr,
    TILE: tl.constexpr,
):
    """The dot products of a tile's tokens, and the sums of x, x̂, ‖x‖², ‖x̂‖², x·x̂ and 1: 2D + 4 numbers per part."""
    tile, tiles = tl.program_id(0), tl.num_programs(0)
    limit = tl.load(plan).to(tl.float64, bitcast=True)
    low, high = tl.load(plan + 1 + tile), tl.load(plan + 2 + tile)
    slot = tl.load(plan + 2 + tiles + tile)
    rows, cols = tl.arange(0, ROWS), tl.arange(0, CHUNK)
    # The first tile starts at 0. The compiler does not know that; given a constant, it would merge the two widenings.
    nothing = tl.load(plan + 1).to(tl.float32) if TWICE else 0.0
    zero = tl.zeros((ROWS, CHUNK), tl.float64)
    sums = ()
    for _ in tl.static_range(CHUNKS):
        sums += (zero, zero)
    for first in tl.range(low, high, ROWS, num_stages=STAGES):
        place = first + rows
        here = place < high
        token = tl.load(order + place, mask=here, other=0) if ORDERED else place
        aa, bb, cc = zero, zero, zero
        pairs = ()
        for k in tl.static_range(CHUNKS):
            at = k * CHUNK + cols
            inside = here[:, None] & (at < D)[None, :]
            u = tl.load(x + (token * x_step)[:, None] * X_UNIT + at[None, :], mask=inside, other=0.0)
            v = tl.load(x_hat + (token * hat_step)[:, None] * HAT_UNIT + at[None, :], mask=inside, other=0.0)
            pairs += (u, v)
            aa += u.to(tl.float64) * u.to(tl.float64)
            bb += v.to(tl.float64) * v.to(tl.float64)
            cc += u.to(tl.float64) * v.to(tl.float64)
        a, b, c = tl.sum(aa, 1), tl.sum(bb, 1), tl.sum(cc, 1)
        tl.store(dots + token * 3, a, mask=here)
        tl.store(dots + token * 3 + 1, b, mask=here)
        tl.store(dots + token * 3 + 2, c, mask=here)
        near = (a < float("inf")) & (b < float("inf")) & (tl.abs(c) < float("inf")) & (a <= limit)
        more = ()
        for k in tl.static_range(2 * CHUNKS):
            kept = tl.where(near[:, None], pairs[k], tl.cast(nothing, pairs[k].dtype))
            more += (sums[k] + kept.to(tl.float64),)
        sums = more
    to = partial + slot * (2 * D + 4)
    for k in tl.static_range(2 * CHUNKS):
        at = (k // 2) * CHUNK + cols
        tl.store(to + (k % 2) * D + at, tl.sum(sums[k], 0), mask=at < D)

    tl.debug_barrier()  # other threads have written the dot products
    place = low + tl.arange(0, TILE)
    here = place < high
    token = tl.load(order + place, mask=here, other=0) if ORDERED else place
    a = tl.load(dots + token * 3, mask=here, other=float("inf"))
    b = tl.load(dots + token * 3 + 1, mask=here, other=float("inf"))
    c = tl.load(dots + token * 3 + 2, mask=here, other=float("inf"))
    finite = (a < float("inf")) & (b < float("inf")) & (tl.abs(c) < float("inf"))
    for part in tl.static_range(PARTS):
        mine = finite & ((a > limit) if part else (a <= limit))
        to = partial + (slot + part * tiles) * (2 * D + 4)
        tl.store(to + 2 * D, tl.sum(tl.where(mine, a, 0.0), 0))
        tl.store(to + 2 * D + 1, tl.sum(tl.where(mine, b, 0.0), 0))
        tl.store(to + 2 * D + 2, tl.sum(tl.where(mine, c, 0.0), 0))
        tl.store(to + 2 * D + 3, tl.sum(mine.to(tl.float64), 0))
        if part and tl.max(mine.to(tl.int32), 0) > 0:  # few are beyond the limit: read their rows again, singly
            for k in tl.static_range(CHUNKS):
                at = k * CHUNK + cols
                u_far, v_far = tl.zeros((CHUNK,), tl.float64), tl.zeros((CHUNK,), tl.float64)
                left = tl.where(mine, token, -1)
                while tl.max(left, 0) >= 0:
                    far = tl.max(left, 0)
                    u_far += tl.load(x + far * x_step * X_UNIT + at, mask=at < D, other=0.0).to(tl.float64)
                    v_far += tl.load(x_hat + far * hat_step * HAT_UNIT + at, mask=at < D, other=0.0).to(tl.float64)
                    left = tl.where(left == far, -1, left)
                tl.store(to + at, u_far, mask=at < D)
                tl.store(to + D + at, v_far, mask=at < D)


def _add_tiles(plan, partial, totals, count, sums, tiles, D: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Add up the tiles of a group, for COLS of the 2D + 4 numbers."""
    group, part = tl.program_id(0), tl.program_id(2)
    offset = plan + 2 + 2 * tiles + group
    low, high = tl.load(offset), tl.load(offset + 1)
    cols = tl.program_id(1) * COLS + tl.arange(0, COLS)
    total = tl.zeros((ROWS, COLS), tl.float64)
    for first in tl.range(low, high, ROWS):
        slot = first + tl.arange(0, ROWS)
        row = partial + (slot + part * tiles) * (2 * D + 4)
        here = tl.load(row + 2 * D + 3, mask=slot < high, other=0.0) > 0  # else nothing was written there
        total += tl.load(row[:, None] + cols[None, :], mask=here[:, None] & (cols < 2 * D + 4)[None, :], other=0.0)
    numbers = tl.sum(total, 0)
    to = (group + part * tl.num_programs(0)).to(tl.int64)
    tl.store(sums + to * 2 * D + cols, numbers, mask=cols < 2 * D)
    tl.store(totals + to * 3 + cols - 2 * D, numbers, mask=(cols >= 2 * D) & (cols < 2 * D + 3))
    tl.store(count + to + cols - 2 * D - 3, numbers, mask=cols == 2 * D + 3)
