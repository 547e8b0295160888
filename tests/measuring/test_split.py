"""The two parts of the documents: drawn by id and seed alone, each token in one of them, the same in every reading."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.activations import activations
from sandbox.errors import InputError
from sandbox.measuring.split import Parts, Split, _mixed, _order
from sandbox.moments.moments import Moments

IDS = np.arange(20_000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("step", [1, 2, 2**32, -7])
def test_the_share_is_that_of_the_documents_whatever_their_ids(share, step):
    fitted = Split(share).fitted(IDS * step)
    assert fitted.mean() == pytest.approx(share, abs=0.012)  # 20,000 draws: a standard error of 0.0035 at most
    runs = (fitted[1:] == fitted[:-1]).mean()
    assert runs == pytest.approx(share**2 + (1 - share) ** 2, abs=0.015)  # neighbours know nothing of each other


def test_another_seed_is_another_split_and_a_larger_share_holds_the_smaller():
    half = Split(0.5, 0).fitted(IDS)
    assert (half == Split(0.5, 1).fitted(IDS)).mean() == pytest.approx(0.5, abs=0.02)
    assert (half == Split(0.5, 0).fitted(IDS[::-1])[::-1]).all()
    assert not (half & ~Split(0.6, 0).fitted(IDS)).any()


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


def test_every_document_that_was_seen_is_counted_on_its_side():
    split = Split(0.5)
    fitted = split.fitted(np.array([7, 7, 8, 9, 10]))
    split.fitted(np.array([7, 11]))
    assert fitted.tolist() == [True, True, False, False, False]
    assert 7 in split.seen[True]
    assert {8, 9, 10} <= split.seen[False]
    assert len(split.seen[True]) + len(split.seen[False]) == 5
    split.refuse_one_sided("documents")


@pytest.mark.parametrize(
    ("ids", "words"),
    [([], "only one was found"), ([7], "only one was found"), ([8, 9], "all 2 would be held out with share 0.5")],
)
def test_documents_all_on_one_side_are_refused(ids, words):
    split = Split(0.5)
    split.fitted(np.array(ids, np.int64))
    with pytest.raises(InputError, match=words):
        split.refuse_one_sided("documents")


def test_so_are_those_all_on_the_other():
    split = Split(1 - 1e-9)
    split.fitted(np.array([8, 9, 10]))
    with pytest.raises(InputError, match="all 3 would be fitted on with share"):
        split.refuse_one_sided("documents")


def parts(x, documents=None, batch=7, **more) -> Parts:
    told = {"drop_nonfinite": False, "progress": None} | more
    return Parts(activations(x, documents), Split(0.5), batch, torch.device("cpu"), **told)


@given(st.integers(20, 60), st.integers(1, 25), st.integers(0, 9))
def test_each_token_is_in_one_part_with_its_document(n, batch, seed):
    x = torch.arange(2.0 * n).reshape(n, 2) + 1
    documents = np.arange(n) // 3 + 100 * seed
    seen: dict[bool, list] = {True: [], False: []}
    both = parts(x, documents, batch)
    for fitting, those in seen.items():

        def tally(x, cluster, those=those):
            those.extend(zip(x[:, 0].tolist(), cluster.tolist(), strict=True))
            return torch.zeros(())

        both.total(tally, fitting=fitting)
    assert sorted(seen[True] + seen[False]) == list(zip(x[:, 0].tolist(), documents.tolist(), strict=True))
    for fitting, those in seen.items():
        ids = np.array([document for _, document in those])
        assert (Split(0.5).fitted(ids) == fitting).all()
    assert not both.blocks


def test_without_documents_blocks_of_128_tokens_are_dealt():
    x, told = torch.ones(1000, 2), []
    both = parts(x, batch=100, progress=told.append)
    found = [
        both.total(lambda x, cluster: torch.tensor(cluster).bincount(minlength=8), fitting=one) for one in (True, False)
    ]
    assert both.blocks
    assert sum(found).tolist() == [128] * 7 + [104]
    assert (found[0] * found[1] == 0).all()
    assert told == [100] * 20


def test_activations_that_are_others_when_read_again_are_refused():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    fitted = torch.from_numpy(Split(0.5).fitted(np.arange(50)))
    same = _order(x, 0, fitted)
    assert _order(x, 0, fitted) == same != 0
    moved = x.clone()
    i, j = fitted.nonzero()[:2, 0].tolist()
    moved[[i, j]] = x[[j, i]]
    assert _order(moved, 0, fitted) != same
    assert _order(x, 1, fitted) != same
    other = x.clone()
    other[~fitted] += 1
    assert _order(other, 0, fitted) == same  # the part held out may be anything
    bad = x.clone()
    bad[i] = torch.nan
    bad[j, 1] = -torch.inf
    none = x.clone()
    none[[i, j]] = 0
    assert _order(bad, 0, fitted) == _order(none, 0, fitted)  # what is not finite counts for nothing
    both = parts(x, np.arange(50))
    assert not both.blocks
    both._refuse_others(1.0)
    both._refuse_others(1.0)
    with pytest.raises(InputError, match="gave other tokens, or another order"):
        both._refuse_others(1.5)


def test_the_order_of_two_batches_is_that_of_one():
    """Up to the rounding of float32 sums."""
    x = torch.randn(9000, 3, generator=torch.Generator().manual_seed(0))
    fitted = torch.ones(9000, dtype=torch.bool)
    whole = _order(x, 0, fitted)
    apart = _order(x[:5000], 0, fitted[:5000]) + _order(x[5000:], 5000, fitted[5000:])
    assert apart.item() == pytest.approx(whole.item(), rel=1e-3)


def test_moments_of_a_part_are_there_and_finite():
    x = torch.ones(4, 2)
    x[1] = torch.nan
    some = Moments.from_pairs(x, x, drop_nonfinite=True)
    with pytest.raises(InputError, match="1 of 4 tokens"):
        parts(x).checked(some)
    assert parts(x, drop_nonfinite=True).checked(some) is some
    none = Moments.from_pairs(x[1:2], x[1:2], drop_nonfinite=True)
    with pytest.raises(InputError, match="every token of a part"):
        parts(x, drop_nonfinite=True).checked(none)
