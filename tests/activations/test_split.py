"""The split of documents: drawn by id and seed alone, evenly where no seed is given."""

import math

import numpy as np
import pytest

from sandbox.activations.split import Split, _mixed
from sandbox.errors import InputError

IDS = np.arange(20_000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("step", [1, 2, 2**32, -7])
def test_the_share_is_that_of_the_documents_whatever_their_ids(share, step):
    chosen = Split(share).chosen(IDS * step)
    assert chosen.mean() == pytest.approx(share, abs=0.012)  # 20,000 draws: a standard error of 0.0035 at most
    runs = (chosen[1:] == chosen[:-1]).mean()
    assert runs == pytest.approx(share**2 + (1 - share) ** 2, abs=0.015)  # neighbours know nothing of each other


def test_another_seed_is_another_split_and_a_larger_share_holds_the_smaller():
    half = Split(0.5, 0).chosen(IDS)
    assert (half == Split(0.5, 1).chosen(IDS)).mean() == pytest.approx(0.5, abs=0.02)
    assert (half == Split(0.5, 0).chosen(IDS[::-1])[::-1]).all()
    assert not (half & ~Split(0.6, 0).chosen(IDS)).any()


@pytest.mark.parametrize(
    ("share", "seed", "word"),
    [(0.0, 0, "share"), (1.0, 0, "share"), (math.nan, 0, "share"), (0.5, -1, "seed"), (0.5, 2**63, "seed")],
)
def test_a_share_and_a_seed_outside_their_ranges_are_refused(share, seed, word):
    with pytest.raises(InputError, match=f"^{word} is"):
        Split(share, seed)
    Split(1e-9, 0)
    Split(1 - 1e-9, 2**63 - 1)


def test_the_mixing_is_splitmix64():
    """Its first outputs from the state 0, as published with the generator, and from 1234567 (Rosetta Code)."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([0, golden, 1234567], np.uint64)
    assert [hex(one) for one in _mixed(states)][:2] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    assert int(_mixed(states)[2]) == 6457827717110365317
