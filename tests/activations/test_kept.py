"""A text that is tokenised once gives the contexts that it would give again, and a part of them from all over it."""

import resource

import numpy as np
import pytest

from sandbox.activations.live import kept
from sandbox.activations.live.contexts import Contexts
from sandbox.activations.live.kept import halves
from sandbox.activations.live.model import load
from sandbox.activations.split import Split
from sandbox.errors import InputError
from tests.helpers.models import KINDS, make_texts, save_model

CONTEXT, HALF = 12, Split(0.5, 0)
TEXTS = make_texts() * 10


@pytest.fixture(scope="module", params=KINDS)
def contexts(request, tmp_path_factory):
    model, _, tokenizer = load(save_model(tmp_path_factory.mktemp("model"), request.param), "float32")
    return Contexts(tokenizer, model.config, model, CONTEXT)


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        x.document == y.document and np.array_equal(x.ids, y.ids) and np.array_equal(x.measured, y.measured)
        for x, y in zip(one, other, strict=True)
    )


def test_each_half_has_its_documents_contexts_as_often_as_it_is_read(contexts):
    whole = list(contexts(TEXTS))
    chosen = HALF.chosen(np.array([context.document for context in whole]))
    with halves(contexts, TEXTS, HALF) as parts:
        for half, side in zip(parts, (chosen, ~chosen), strict=True):
            expected = [context for context, its in zip(whole, side, strict=True) if its]
            assert same(list(half.spread()), expected)
            assert same(list(half.spread(10**9)), expected)
            assert (half.contexts, half.tokens) == (len(expected), sum(len(one.measured) for one in expected))
        assert all(half.path.exists() for half in parts)
    assert not any(half.path.parent.exists() for half in parts)


def test_a_part_is_from_all_over_the_text_and_within_a_larger_part(contexts, monkeypatch):
    monkeypatch.setattr(kept, "AT_ONCE", 7)  # blocks leave no seam
    with halves(contexts, TEXTS, HALF) as (half, _):
        wanted = (half.tokens, half.tokens // 4, 200)
        whole, fourth, few = (list(half.spread(tokens)) for tokens in wanted)
    assert {(one.document, *one.ids) for one in few} <= {(one.document, *one.ids) for one in fourth}
    for part, tokens in zip((fourth, few), wanted[1:], strict=True):
        # Their number is right within three, and they are of at most CONTEXT tokens.
        assert sum(len(one.measured) for one in part) == pytest.approx(tokens, abs=3 * CONTEXT)
    tenths = [np.bincount([10 * one.document // len(TEXTS) for one in part]) for part in (whole, fourth)]
    assert tenths[1] == pytest.approx(tenths[0] / 4, abs=2)


def test_a_full_disk_is_one_line(contexts):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match="set TMPDIR"), halves(contexts, TEXTS, HALF):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
