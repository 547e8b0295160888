"""Arrays whose numbers are not all there are refused in one line wherever they are given, never read as they lie."""

import numpy as np
import pytest
import torch

from sandbox import InputError, Moments, measure, measure_pairs
from sandbox.activations import activations
from sandbox.data import embedded

D = 384
SAE = embedded("minilm-relu")


def masked(*shape: int) -> np.ma.MaskedArray:
    """Padding masked: the second of every two tokens."""
    mask = np.zeros(shape, bool)
    mask[1::2] = True
    return np.ma.masked_array(np.ones(shape, np.float32), mask)


GAPS = {
    "masked": lambda: (masked(100, D), "a masked array, 19200 of its 38400 numbers masked"),
    "sparse": lambda: (torch.ones(100, D).to_sparse(), r"layout torch.sparse_coo: make it dense first"),
    "rows of sparse": lambda: (torch.ones(100, D).to_sparse_csr(), "layout torch.sparse_csr"),
    "nested": lambda: (
        torch.nested.nested_tensor([torch.ones(5, D), torch.ones(9, D)], layout=torch.jagged),
        r"a nested tensor: concatenate its tokens with torch.cat\(.*\.unbind\(\)\)",
    ),
    "masked tensor": lambda: (
        torch.masked.masked_tensor(torch.ones(4, D), torch.ones(4, D, dtype=torch.bool)),
        "a masked tensor",
    ),
    "quantised": lambda: (torch.quantize_per_tensor(torch.ones(4, D), 0.1, 0, torch.qint8), "quantised"),
    "meta": lambda: (torch.ones(4, D, device="meta"), "on the meta device"),
}

ENTRIES = {
    "activations": lambda x: activations(x),
    "a piece of a stream": lambda x: next(activations([x]).chunks(4)),
    "measure": lambda x: measure(SAE, x, device="cpu"),
    "pairs": lambda x: measure_pairs(x, x),
    "moments": lambda x: Moments.from_pairs(x, x),
}


@pytest.mark.filterwarnings("ignore")  # torch's own, that such tensors are new or will go
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", GAPS)
def test_an_array_with_gaps_is_refused_in_one_line(kind, entry):
    x, why = GAPS[kind]()
    with pytest.raises(InputError, match=why) as refused:
        ENTRIES[entry](x)
    assert "\n" not in str(refused.value)


def test_masked_document_ids_are_refused():
    x, ids = np.ones((4, 2), np.float32), np.ma.masked_array([1, 1, 2, 2], [0, 0, 1, 1])
    for entry in (
        lambda: activations(x, ids),
        lambda: next(activations([(x, ids)]).chunks(4)),
        lambda: Moments.from_pairs(x, x, ids),
    ):
        with pytest.raises(InputError, match="a masked array, 2 of its 4"):
            entry()


def test_a_masked_array_that_masks_nothing_is_an_array():
    x = np.ma.masked_array(np.arange(8, dtype=np.float32).reshape(4, 2))
    assert torch.equal(activations(x).sample(4), torch.arange(8.0).reshape(4, 2))
    assert Moments.from_pairs(x, x).n == 4
