"""The plan of the fused pass (tiles, their order, their sizes), as kernels of numpy meet it: no Triton is needed."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.moments import fused
from sandbox.moments.totalling import total_on_device

SINGLE, DOUBLE, BRAIN = torch.float32, torch.float64, torch.bfloat16
runs = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40)), min_size=1, max_size=12)
"""(group, tokens) of each run, of 6 groups, the last always empty."""


def in_arrays(lengths_of_groups):
    """start and group, as `fused_totals` takes them."""
    group, length = (np.array(one) for one in zip(*lengths_of_groups, strict=True))
    return np.append(0, np.cumsum(length)), group


@given(runs, st.integers(1, 50))
def test_tiles_cover_every_token_once_and_those_of_a_run_are_equal(given_runs, tile):
    start, group = in_arrays(given_runs)
    low, slot, offset = fused._tiles(start, group, 6, tile)
    high = np.append(low[1:], start[-1])
    assert set(start[:-1]) <= set(low)
    assert (high > low).all()
    run = np.searchsorted(start, low, side="right") - 1
    for i, length in enumerate(np.diff(start)):
        sizes = (high - low)[run == i]
        assert sizes.sum() == length
        assert len(sizes) == math.ceil(length / tile)
        assert sizes.max() - sizes.min() <= 1
    # `slot` puts them in the order of their groups, and within one in their own
    by = np.argsort(slot)
    assert sorted(slot) == list(range(len(low)))
    assert (np.diff(group[run][by]) >= 0).all()
    for g in range(6):
        assert (np.diff(by[offset[g] : offset[g + 1]]) > 0).all()
        assert (group[run][by][offset[g] : offset[g + 1]] == g).all()
    assert (offset[0], offset[-1]) == (0, len(low))


@given(runs, st.sampled_from([6, 70_000]))
def test_gathered_tokens_are_those_of_each_group_in_their_order(given_runs, groups):
    start, group = in_arrays(given_runs)
    new_start, new_group, shift, length = fused._gathered(start, group, groups)
    old = np.arange(start[-1]) + np.repeat(shift, length)
    of_token = np.repeat(group, np.diff(start))
    assert (old == np.argsort(of_token, kind="stable")).all()
    assert list(new_group) == sorted(set(group))
    for g, one, other in zip(new_group, new_start[:-1], new_start[1:], strict=True):
        assert (of_token[old[one:other]] == g).all()
    assert (new_start[0], new_start[-1]) == (0, start[-1])


@pytest.mark.parametrize("d", [1, 15, 16, 17, 64, 100, 384, 640, 768, 1000, 2304, 4096, 8192])
@pytest.mark.parametrize("dtypes", [(BRAIN, BRAIN), (SINGLE, SINGLE), (SINGLE, DOUBLE), (DOUBLE, DOUBLE)])
def test_a_program_holds_a_row_with_little_in_vain_and_within_its_registers(d, dtypes):
    held, warps = fused._constants(d, *dtypes)
    chunk, chunks, rows = held["CHUNK"], held["CHUNKS"], held["ROWS"]
    width = chunk * chunks
    assert held["D"] == d
    for power in (chunk, rows, warps):
        assert power & (power - 1) == 0
    assert chunk >= 16
    assert d <= width < d + chunk
    assert chunk == 16 or width <= 9 / 8 * d  # at most an eighth is padding
    twice_as_long = 2 * chunk
    assert twice_as_long >= 2 * d or twice_as_long * -(-d // twice_as_long) > 9 / 8 * d  # and no longer chunk has that
    assert rows * width <= 768 < 2 * rows * width or rows == 1
    if held["TWICE"]:
        assert warps == 8
        assert width > 768 * 8
        assert DOUBLE not in dtypes
    else:
        assert rows * width <= 768 * warps
        assert warps == 1 or rows * width > 768 * warps / 2
        assert warps <= 8 or DOUBLE in dtypes
    on_their_way = rows * width * sum(dtype.itemsize for dtype in dtypes)
    assert held["STAGES"] in (1, 2, 3)
    assert held["STAGES"] == 1 or (held["STAGES"] - 1) * on_their_way <= 65536
    assert held["STAGES"] == 3 or held["STAGES"] * on_their_way > 65536


class AddRows:
    """What `_add_rows` does, one tile after the other; and what it is told fits what it is given."""

    def __getitem__(self, grid):
        def launch(x, x_hat, tokens, plan, partial, dots, x_step, hat_step, **held):
            (tiles,) = grid
            assert x_step * held["X_UNIT"] == x.stride(0)
            assert hat_step * held["HAT_UNIT"] == x_hat.stride(0)
            assert 16 % held["X_UNIT"] == 16 % held["HAT_UNIT"] == 0
            limit = plan[:1].view(DOUBLE).item()
            partial.fill_(math.nan)
            for tile in range(tiles):
                low, high, slot = plan[1 + tile], plan[2 + tile], int(plan[2 + tiles + tile])
                assert 0 < high - low <= held["TILE"]
                place = torch.arange(int(low), int(high))
                token = tokens[place] if held["ORDERED"] else place
                u, v = x[token].double(), x_hat[token].double()
                products = torch.stack((u * u, v * v, u * v)).sum(-1)
                dots[token] = products.T
                for part in range(held["PARTS"]):
                    mine = products.isfinite().all(0) & ((products[0] > limit) if part else (products[0] <= limit))
                    row = torch.cat((u[mine].sum(0), v[mine].sum(0), products[:, mine].sum(1), mine.sum()[None]))
                    partial[slot + part * tiles] = row if mine.any() or not part else torch.nan
                    partial[slot + part * tiles, -1] = mine.sum()

        return launch


class AddTiles:
    """What `_add_tiles` does."""

    def __getitem__(self, grid):
        def launch(plan, partial, totals, count, sums, tiles, D, ROWS, COLS):
            groups, columns, parts = grid
            assert ROWS * COLS == 1024
            assert 16 <= COLS <= 128
            assert (columns - 1) * COLS < 2 * D + 4 <= columns * COLS
            for group in range(groups):
                low, high = plan[2 + 2 * tiles + group], plan[3 + 2 * tiles + group]
                for part in range(parts):
                    rows = partial[int(low) + part * tiles : int(high) + part * tiles]
                    row, to = rows[rows[:, -1] > 0].sum(0), group + part * groups
                    sums[to, 0], sums[to, 1], totals[to], count[to] = row[:D], row[D:-4], row[-4:-1], row[-1]

        return launch


@pytest.fixture
def kernels_of_numpy(monkeypatch):
    monkeypatch.setattr(fused, "_kernels", lambda: (AddRows(), AddTiles()))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("longest", [3, 300])
@pytest.mark.parametrize(("n", "d", "room"), [(700, 7, 0), (700, 24, 8), (5, 3, 1), (5, 8192, 0), (40_000, 2, 0)])
def test_the_plan_gives_what_array_operations_give(kernels_of_numpy, n, d, room, longest, ordered, parts):
    generator, random = torch.Generator().manual_seed(d), np.random.default_rng(longest)
    x = torch.randn(n, d + room, generator=generator)[:, :d]
    x_hat = torch.randn(n, d, generator=generator, dtype=DOUBLE)
    x[:: 2 + n // 20] *= 30
    x[1, 0], x_hat[2, d - 1] = math.nan, math.inf
    group = np.repeat(random.integers(0, 5, n), random.integers(1, longest + 1, n))[:n]
    order = np.argsort(group, kind="stable")[::-1] if ordered else None
    run = group if order is None else group[order]
    first = np.flatnonzero(np.diff(run, prepend=-1))
    limit = 100.0 * d if parts == 2 else math.inf
    mine = fused.fused_totals(x, x_hat, np.append(first, n), run[first], order, 6, parts, limit)
    others = total_on_device(x, x_hat, group, 6, parts, limit)
    for one, other in zip(mine, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-9, equal_nan=True)


def test_columns_that_are_not_next_to_each_other_are_copied_first(kernels_of_numpy):
    x = torch.arange(12.0).reshape(3, 4).T  # 4 tokens, whose numbers are 4 apart
    x_hat = torch.ones(4, 6)[:, ::2]
    mine = fused.fused_totals(x, x_hat, np.array([0, 4]), np.array([0]), None, 1, 1, math.inf)
    for one, other in zip(mine, total_on_device(x, x_hat, np.zeros(4, int), 1, 1, math.inf), strict=True):
        torch.testing.assert_close(one, other)


def test_a_large_input_is_cut_into_tiles_of_128_and_a_small_one_into_hundreds(kernels_of_numpy, monkeypatch):
    seen = []
    tiles = fused._tiles
    monkeypatch.setattr(fused, "_tiles", lambda *arguments: seen.append(arguments[-1]) or tiles(*arguments))
    for n in (100, 20_000, 50_000, 200_000):
        x = torch.ones(n, 1)
        fused.fused_totals(x, x, np.array([0, n]), np.array([0]), None, 1, 1, math.inf)
    assert seen == [16, 19, 48, 128]


def rows(shape=(4, 3), dtype=SINGLE, device="cuda:0"):
    """What `supported` looks at, as a GPU would have it."""
    return SimpleNamespace(
        is_cuda=device != "cpu", device=device, dtype=dtype, ndim=len(shape), shape=torch.Size(shape)
    )


def test_only_rows_that_the_kernels_know_are_taken(monkeypatch):
    monkeypatch.setattr(fused, "_works_on", lambda device: True)
    assert fused.supported(rows(), rows(dtype=BRAIN))
    assert fused.supported(rows((1, 8192)), rows((1, 8192)))
    for x, x_hat in (
        (rows(device="cpu"), rows(device="cpu")),
        (rows(), rows(device="cuda:1")),
        (rows(dtype=torch.float8_e5m2), rows()),
        (rows(), rows(dtype=torch.float8_e5m2)),
        (rows((2, 4, 3)), rows((2, 4, 3))),
        (rows(), rows((5, 3))),
        (rows((0, 3)), rows((0, 3))),
        (rows((3, 0)), rows((3, 0))),
        (rows((1, 8193)), rows((1, 8193))),
    ):
        assert not fused.supported(x, x_hat)
    monkeypatch.setattr(fused, "_works_on", lambda device: False)
    assert not fused.supported(rows(), rows())
