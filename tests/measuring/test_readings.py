"""Passes over the two parts: each token belongs to one part, the same in every pass."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from sandbox.activations import activations
from sandbox.activations.split import Split
from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.measuring.fits import Products
from sandbox.measuring.forward import Forward
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.readings import Readings, _order
from sandbox.moments.moments import Moments


def identity(d: int, tokens: int | None = None) -> Forward:
    sae = SAE(torch.eye(d), torch.eye(d), torch.zeros(d), subtract_b_dec=False)
    return Forward(sae, "cpu", "float32", tokens=tokens)


def readings(x, documents=None, batch=7, **more) -> Readings:
    settings = {"drop_nonfinite": False, "ranks": Ranks(), "share": Share(), "progress": None} | more
    return Readings(activations(x, documents), Split(0.5), batch, **settings)


@pytest.mark.parametrize(
    ("documents", "tokens", "words"),
    [
        (set(), 0, "blocks of 128 tokens: found fewer than two"),
        (set(), 128, "blocks of 128 tokens: found fewer than two"),
        ({7}, 9, "documents: found fewer than two"),
        ({8, 9}, 9, "all 2 would be held out with share 0.5 and seed 0"),
    ],
)
def test_documents_all_on_one_side_are_refused(documents, tokens, words):
    with pytest.raises(InputError, match=words):
        readings(torch.ones(9, 2))._count_documents(documents, tokens)


def test_so_are_those_all_on_the_other():
    both = readings(torch.ones(9, 2))
    both.split = Split(1 - 1e-9)
    with pytest.raises(InputError, match="all 3 would be fitted on with share"):
        both._count_documents({8, 9, 10}, 9)


def test_documents_of_both_parts_are_counted():
    both = readings(torch.ones(9, 2))
    both._count_documents({7, 8, 9, 10, 11}, 9)
    assert both.fitted == Split(0.5).chosen(np.arange(7, 12)).sum()
    assert both.fitted + both.held_out == 5
    assert not both.blocks


@given(st.integers(20, 60), st.integers(1, 25), st.integers(0, 9), st.sampled_from([None, 3]))
def test_each_token_is_in_one_part_with_its_document(n, batch, seed, piece):
    """Also when memory is short and a batch is computed in pieces."""
    x = torch.arange(2.0 * n).reshape(n, 2) + 1
    documents = np.arange(n) // 3 + 100 * seed
    seen: dict[bool, list] = {True: [], False: []}
    both = readings(x, documents, batch)
    for fitting, pairs in seen.items():

        def count(batch, cluster, pairs=pairs):
            pairs.extend(zip(batch.x[:, 0].tolist(), cluster.tolist(), strict=True))
            return Products(torch.zeros(()))

        both.total(identity(2, piece), count, fitting=fitting)
    assert sorted(seen[True] + seen[False]) == list(zip(x[:, 0].tolist(), documents.tolist(), strict=True))
    for fitting, pairs in seen.items():
        ids = np.array([document for _, document in pairs])
        assert (Split(0.5).chosen(ids) == fitting).all()
    assert not both.blocks


def test_without_documents_blocks_of_128_tokens_are_dealt():
    x, counted = torch.ones(1000, 2), []
    both = readings(x, batch=100, progress=counted.append)

    def count(batch, cluster):
        return Products(one_hot(torch.from_numpy(cluster), 8).sum(0))

    totals = [both.total(identity(2), count, fitting=fitting).total for fitting in (True, False)]
    assert both.blocks
    assert sum(totals).tolist() == [128] * 7 + [104]
    assert (totals[0] * totals[1] == 0).all()
    assert both.fitted + both.held_out == 8
    assert counted == [100] * 20


def test_activations_that_are_others_when_read_again_are_refused():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    fitted = torch.from_numpy(Split(0.5).chosen(np.arange(50)))
    same = _order(x, 0, fitted)
    assert _order(x, 0, fitted) == same != 0
    moved = x.clone()
    i, j = fitted.nonzero()[:2, 0].tolist()
    moved[[i, j]] = x[[j, i]]
    assert _order(moved, 0, fitted) != same
    assert _order(x, 1, fitted) != same
    other = x.clone()
    other[~fitted] += 1
    assert _order(other, 0, fitted) == same  # the held-out part does not matter
    bad = x.clone()
    bad[i] = torch.nan
    bad[j, 1] = -torch.inf
    none = x.clone()
    none[[i, j]] = 0
    assert _order(bad, 0, fitted) == _order(none, 0, fitted)  # values that are not finite are ignored
    both = readings(x, np.arange(50))
    assert not both.blocks
    both._refuse_changed(1.0)
    both._refuse_changed(1.0)
    with pytest.raises(InputError, match="gave different tokens, or a different order"):
        both._refuse_changed(1.5)


def test_the_order_of_two_batches_is_that_of_one():
    """Equal up to the rounding of float32 sums."""
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
        readings(x).checked(some)
    assert readings(x, drop_nonfinite=True).checked(some) is some
    none = Moments.from_pairs(x[1:2], x[1:2], drop_nonfinite=True)
    with pytest.raises(InputError, match="every token of one part"):
        readings(x, drop_nonfinite=True).checked(none)
