"""x and x̂ ► the float64 totals of each group: one read of memory on a CPU, Triton or array operations on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sandbox.moments.clusters import Runs
from sandbox.moments.fused import fused_totals, supported
from sandbox.moments.machine_code import compiled
from sandbox.system.devices import sent

Share = TypeVar("Share")


def total(
    x: Tensor, x_hat: Tensor, runs: Runs, groups: int, parts: int, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Totals, counts and sums per group, and every token's dot products, by the fastest way that the device has."""
    if x.device.type in ("cpu", "mps"):  # MPS has no float64
        return total_on_host(x, x_hat, runs.of_each_token(), groups, parts, limit)
    if supported(x, x_hat):
        return fused_totals(x, x_hat, runs.start, runs.group, None, groups, parts, limit)
    return total_on_device(x, x_hat, runs.of_each_token(), groups, parts, limit)


def total_on_host(
    x: Tensor, x_hat: Tensor, group: np.ndarray, groups: int, parts: int, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`total` on the CPU, with the tokens shared among as many threads as torch uses.

    With 2 `parts`, tokens with ‖x‖² above `limit` go to separate groups, numbered from `groups` onwards.
    """
    rows, rows_hat = (wide_array(t) for t in (x, x_hat))
    n, d = rows.shape
    dots = np.empty((n, 3))

    def share(low: int, high: int) -> tuple[np.ndarray, ...]:
        results = np.zeros((parts * groups, 3)), np.zeros(parts * groups), np.zeros((parts * groups, 2, d))
        _add_rows(rows[low:high], rows_hat[low:high], group[low:high], groups, limit, dots[low:high], *results)
        return results

    shares = _in_threads(share, rows)
    totals, count, sums = (torch.from_numpy(sum(piece)) for piece in zip(*shares, strict=True))
    return totals, count, sums, torch.from_numpy(dots)


def _in_threads(share: Callable[[int, int], Share], rows: np.ndarray) -> list[Share]:
    """`share` of the rows from `low` up to `high`, for as many parts of the rows as torch uses threads."""
    workers = torch.get_num_threads() if rows.size > 2**18 else 1
    cuts = np.linspace(0, len(rows), workers + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(share, cuts[:-1], cuts[1:]))


def wide_array(rows: Tensor) -> np.ndarray:
    """The rows as a contiguous float32 or float64 array."""
    wide = rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    return wide.contiguous().cpu().numpy()


@compiled
def _add_rows(x, x_hat, group, groups, limit, dots, totals, count, sums) -> None:
    """Add each finite row to its group in float64; rows with ‖x‖² above `limit` go to group + `groups`.

    x and x̂ are read once. Array operations would take a pass each, and memory bandwidth is the limit here.
    """
    n, d = x.shape
    for i in range(n):
        a, b, c = 0.0, 0.0, 0.0
        for k in range(d):
            u, v = np.float64(x[i, k]), np.float64(x_hat[i, k])
            a += u * u
            b += v * v
            c += u * v
        dots[i, 0], dots[i, 1], dots[i, 2] = a, b, c
        if a < np.inf and b < np.inf:  # neither NaN nor infinite, so neither is c: |c| ≤ (a + b)/2
            g = group[i] + groups if a > limit else group[i]
            totals[g, 0] += a
            totals[g, 1] += b
            totals[g, 2] += c
            count[g] += 1
            for k in range(d):
                sums[g, 0, k] += x[i, k]
                sums[g, 1, k] += x_hat[i, k]


def total_on_device(
    x: Tensor, x_hat: Tensor, group: np.ndarray, groups: int, parts: int, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`total` on an accelerator by array operations: the fallback for the fused pass, and the reference for its tests.

    Nothing waits for the device. Both tensors are written out in float64, which moves over ten times as many bytes.
    """
    both = torch.stack((x.double(), x_hat.double()), 1)
    gram = both @ both.mT
    dots = torch.stack((gram[:, 0, 0], gram[:, 1, 1], gram[:, 0, 1]), 1)
    ok = dots.isfinite().all(1)
    finite = torch.where(ok[:, None], dots, 0)
    both = torch.where(ok[:, None, None], both, 0)
    index = sent(group, x.device) + groups * (finite[:, 0] > limit)
    totals = dots.new_zeros(parts * groups, 3).index_add_(0, index, finite)
    count = dots.new_zeros(parts * groups).index_add_(0, index, ok.double())
    sums = dots.new_zeros(parts * groups, 2, x.shape[1]).index_add_(0, index, both)
    return totals, count, sums, dots


def dots_about(x: Tensor, x_hat: Tensor, origin: Tensor) -> Tensor:
    """‖x̂ − m‖² and (x − m)·(x̂ − m) of every token, shape (n, 2), in float64; nothing waits for the device.

    m is subtracted before multiplying, in float64. So the only error is the one that x̂ and m came with: an x̂ computed
    in float32 leaves about 1e-7·‖m‖ of x̂ − m undetermined, and a token whose x̂ is m gives exactly 0. Expanding the
    square into dot products with m would cancel instead, and lose 1e-16·(‖x̂‖² + ‖m‖²) of ‖x̂ − m‖².

    Args: x, x_hat: (n, d); origin: m, (d,)
    """
    if x.device.type in ("cpu", "mps"):  # MPS has no float64
        rows, rows_hat, m = (wide_array(t.detach()) for t in (x, x_hat, origin))
        dots = np.empty((len(rows), 2))

        def share(low: int, high: int) -> None:
            _dot_rows(rows[low:high], rows_hat[low:high], m, dots[low:high])

        _in_threads(share, rows)
        return torch.from_numpy(dots)
    from_m, hat_from_m = (t.detach().double() - origin.detach().double() for t in (x, x_hat))
    return torch.stack((hat_from_m.square().sum(1), (from_m * hat_from_m).sum(1)), 1)


@compiled
def _dot_rows(x, x_hat, m, dots) -> None:
    """`dots_about` of some rows, which are read once."""
    n, d = x.shape
    for i in range(n):
        b, c = 0.0, 0.0
        for k in range(d):
            origin = np.float64(m[k])
            v = np.float64(x_hat[i, k]) - origin
            b += v * v
            c += (np.float64(x[i, k]) - origin) * v
        dots[i, 0], dots[i, 1] = b, c
