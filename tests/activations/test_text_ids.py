"""Document ids that are texts group tokens as numbers do, wherever they come from."""

import json

import numpy as np
import pytest
import torch

from sandbox.activations import activations, document_ids
from sandbox.cli import app
from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.measuring.rescale import rescale
from sandbox.moments.clusters import numbered
from sandbox.moments.moments import Moments
from tests.helpers.runs import D, N, save_sae, tokens

NUMBERS = np.arange(N) // 37
TEXTS = np.array([f"wiki/{'é' if one % 3 else ''}{one}" for one in NUMBERS])


def shrunk(x):
    return 0.8 * x + 0.1 * x.abs()


def same_documents(report):
    assert report.documents == NUMBERS.max() + 1
    assert report.raw["relative_reconstruction_bias"].low is not None


def test_a_file_of_texts(tmp_path, capsys):
    np.save(tmp_path / "x.npy", tokens().numpy())
    save_sae(tmp_path / "sae", 0)
    found = {}
    for name, ids in {"U": TEXTS, "S": np.char.encode(TEXTS, "utf-8"), "numbers": NUMBERS}.items():
        np.save(tmp_path / f"{name}.npy", ids)
        given = [
            "--sae",
            tmp_path / "sae",
            "--activations",
            tmp_path / "x.npy",
            "--documents",
            tmp_path / f"{name}.npy",
        ]
        app(["measure", *map(str, given), "--device", "cpu", "--json", "-"], standalone_mode=False)
        found[name] = json.loads(capsys.readouterr().out)["saes"][0]
    assert found["U"] == found["S"]
    assert found["U"]["documents"] == found["numbers"]["documents"] == NUMBERS.max() + 1
    for key, one in found["U"]["raw"].items():  # dealt to other groups, so that only the intervals move, and little
        other = found["numbers"]["raw"][key]
        assert one["value"] == pytest.approx(other["value"], rel=1e-12)
        assert one["high"] - one["low"] == pytest.approx(other["high"] - other["low"], rel=0.5)


@pytest.mark.parametrize("dtype", ["<U12", ">U12", "S12", object])
def test_arrays_of_texts_in_any_window(dtype, tmp_path):
    ids = np.array([f"doc {one}" for one in NUMBERS]).astype(dtype)
    whole = document_ids(ids)
    assert len(whole[0:N].unique()) == NUMBERS.max() + 1
    if dtype is not object:
        np.save(tmp_path / "ids.npy", ids.reshape(60, 100))
        stored = document_ids(tmp_path / "ids.npy")
        pieces = torch.cat([stored[at : at + 77] for at in range(0, N, 77)])
        assert torch.equal(pieces, whole[0:N])


def test_shards_of_texts(tmp_path):
    for at, part in enumerate(np.split(TEXTS, [100, 3500])):
        np.save(tmp_path / f"part-{at}.npy", part)  # each has texts of a width of its own
    assert torch.equal(document_ids(tmp_path)[0:N], document_ids(TEXTS)[0:N])


def test_a_stream_of_texts():
    x = tokens()
    pieces = [(x[at : at + 500], TEXTS[at : at + 500].tolist()) for at in range(0, N, 500)]
    report = measure(shrunk, pieces, look=False)
    same_documents(report)
    assert report.raw == measure(shrunk, x, documents=TEXTS, look=False).raw


def test_moments_and_a_correction_take_texts(tmp_path):
    x = tokens()
    moments = Moments.from_pairs(x, shrunk(x), TEXTS)
    assert torch.equal(moments.totals, Moments.from_pairs(x, shrunk(x), numbered(TEXTS)).totals)
    save_sae(tmp_path / "sae", 0)
    made = rescale(tmp_path / "sae", x, documents=TEXTS, device="cpu")
    assert made.fitted + (made.before.report.documents or 0) == NUMBERS.max() + 1


def test_the_same_text_is_always_the_same_number_and_others_are_others():
    many = np.array([f"{one}" for one in range(100_000)])
    numbers = numbered(many)
    assert len(np.unique(numbers)) == len(many)
    assert numbers[17] == numbered(np.array(["a much wider text than that", "17"]))[1] == numbered(np.array([b"17"]))[0]
    assert numbered(np.array([], dtype="U3")).shape == (0,)
    whole = np.arange(3)
    assert numbered(whole) is whole


@pytest.mark.parametrize("ids", [np.full(N, 0.5), np.array([None] * N), np.full(N, True)])
def test_what_is_neither_is_refused_with_what_is_needed(ids):
    with pytest.raises(InputError, match=r"documents has dtype .*: whole numbers, or texts .* needed"):
        activations(torch.ones(N, D), ids)


def test_texts_that_are_no_activations(tmp_path):
    np.save(tmp_path / "x.npy", TEXTS)
    with pytest.raises(InputError, match=r"activations have dtype <U9: float16"):
        activations(tmp_path / "x.npy")
