"""The page "Your data" measures what `sandbox measure` measures: the same files through both, every number compared."""

import math

import numpy as np
import pytest
import torch

from sandbox.site.your_data import generated
from tests.site.node import in_node
from tests.site.same import by_python, same, written


def test_what_is_stored_is_what_python_says_now(site_files):
    """Constants, formulas and words; after a change of theirs, run python -m sandbox.site.your_data."""
    assert site_files["js/data/generated.js"].decode() == generated()


def pairs(n=600, d=12, seed=0, factor=0.8, noise=0.5, mean=0.3):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, d)) * (1 + generator.random((n, 1))) + mean
    return x, factor * x + noise * generator.standard_normal((n, d))


def assert_all_same(site, cases):
    for case, answer in zip(cases, in_node(site, cases), strict=True):
        same(by_python(**case), answer)


DTYPES = {
    "float16": lambda one: one.astype(np.float16),
    "float32": lambda one: one.astype(np.float32),
    "float64": lambda one: one,
    "big-endian float32": lambda one: one.astype(">f4"),
    "big-endian float16": lambda one: one.astype(">f2"),
    "float16 in safetensors": lambda one: torch.from_numpy(one).half(),
    "bfloat16": lambda one: torch.from_numpy(one).bfloat16(),
    "float32 in safetensors": lambda one: torch.from_numpy(one).float(),
    "float64 in safetensors": lambda one: torch.from_numpy(one),
}


def test_pairs_in_every_dtype(modules, tmp_path):
    x, x_hat = pairs()
    kinds = list(DTYPES.values())
    cases = []
    for at, (name, kind) in enumerate(DTYPES.items()):
        folder = tmp_path / name
        folder.mkdir()
        cases.append(written(folder, x=kind(x), x_hat=kind(x_hat)))
        mixed = tmp_path / f"{name}, mixed"
        mixed.mkdir()
        cases.append(written(mixed, x=kind(x), x_hat=kinds[at - 1](x_hat)))
    assert_all_same(modules, cases)


def test_every_version_of_npy_and_any_number_of_axes(modules, tmp_path):
    x, x_hat = pairs(n=300)
    cases = []
    for version in ((1, 0), (2, 0), (3, 0)):
        folder = tmp_path / str(version[0])
        folder.mkdir()
        for name, array in (("x", x), ("x_hat", x_hat)):
            with (folder / f"{name}.npy").open("wb") as file:
                np.lib.format.write_array(file, array.reshape(3, 10, 10, 12), version=version)
        cases.append({"x": folder / "x.npy", "x_hat": folder / "x_hat.npy"})
    assert_all_same(modules, cases)


IDS = {
    "a hundred documents of equal length": np.arange(600) // 6,
    "documents of unequal length": np.sqrt(np.arange(600)).astype(np.int32),
    "three documents": np.arange(600) // 200,
    "two documents": np.arange(600) // 300,
    "texts": np.array([f"Würde {n // 7} 🙂" for n in range(600)]),
    "texts in the other byte order": np.array([f"{n // 7}" for n in range(600)]).astype(">U9"),
    "halves of a surrogate pair": np.array([f"{chr(0xD800 + n // 7)}" for n in range(600)]),
    "bytes with a zero inside": np.array([b"\0%d" % (n // 7) for n in range(600)]),
    "texts of many blocks": np.array([f"{n // 7:0{n // 7 * 8}}" for n in range(600)]),
    "one document": np.zeros(600, np.int64),
    "one document with nearly all tokens": (np.arange(600) > 596).astype(np.uint8),
    "interleaved": np.arange(600) % 7,
    "negative and with a stride": -1000 * (np.arange(600) // 5),
    "of 64 bits": (np.arange(600) // 5) * 2**53 - 2**62,
    "more than there are groups": np.arange(600, dtype=np.uint16),
    "in two bytes, big-endian": (np.arange(600) // 50).astype(">i2"),
    "in safetensors": torch.arange(600) // 40,
}


def test_documents_of_every_kind(modules, tmp_path):
    x, x_hat = pairs()
    cases = []
    for name, ids in IDS.items():
        folder = tmp_path / name
        folder.mkdir()
        cases.append(written(folder, x=x, x_hat=x_hat, documents=ids))
    assert_all_same(modules, cases)


def _far(x):
    """A mean so large that what varies is lost in rounding."""
    return x * 1e-9 + 1


def _some_long(x, x_hat, n=3):
    x, x_hat = x.copy(), x_hat.copy()
    x[:n] *= 5000
    x_hat[:n] *= 1000
    return x, x_hat


X, X_HAT = pairs()
DATA = {
    "x̂ is zero": (X, 0 * X_HAT),
    "x is zero": (0 * X, X_HAT),
    "both are zero": (0 * X, 0 * X_HAT),
    "x̂ points the other way": (X, -X_HAT),
    "x̂ is x": (X, X),
    "x̂ is half of x": (X, 0.5 * X),
    "x̂ is twice x": (X, 2 * X),
    "x̂ is three times x, and some noise": (X, 3 * X_HAT),
    "equal lengths": (
        X,
        X_HAT * np.linalg.norm(X, axis=1, keepdims=True) / np.linalg.norm(X_HAT, axis=1, keepdims=True),
    ),
    "x does not vary": (np.ones_like(X), X_HAT),
    "x̂ does not vary": (X, np.ones_like(X)),
    "x varies too little": (_far(X), X_HAT),
    "some tokens are zero": (
        np.where(np.arange(600)[:, None] % 5, X, 0),
        np.where(np.arange(600)[:, None] % 3, X_HAT, 0),
    ),
    "a few tokens are long": _some_long(X, X_HAT),
    "one token": (X[:1], X_HAT[:1]),
    "tokens of one block": (X[:100], X_HAT[:100]),
    "d = 1": (X[:, :1], X_HAT[:, :1]),
    "hardly any shrinkage": (X, X + 0.01 * (X_HAT - X)),
    "small numbers": (1e-30 * X, 1e-30 * X_HAT),
}


@pytest.mark.parametrize("ids", [False, True], ids=["blocks", "documents"])
def test_data_where_measures_end_or_are_undefined(modules, tmp_path, ids):
    cases = []
    for name, (x, x_hat) in DATA.items():
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        more = {"documents": np.arange(len(x)) // 11} if ids else {}
        cases.append(written(folder, x=x, x_hat=x_hat, **more))
    assert_all_same(modules, cases)


def test_many_tokens_with_a_sample_that_decides_which_are_outliers(modules, tmp_path):
    """Above 4,096 tokens the median norm is that of a sample, drawn alike on both sides."""
    x, x_hat = pairs(n=30_000, d=6)
    x, x_hat = _some_long(x, x_hat)
    x[20_000:20_400] *= 40  # near the limit, on both sides of it
    paths = written(tmp_path, x=x.astype(np.float32), x_hat=x_hat.astype(np.float32), documents=np.arange(30_000) // 77)
    cases = [paths, {key: path for key, path in paths.items() if key != "documents"}]
    assert_all_same(modules, cases)
    assert by_python(**cases[0]).without_outliers is not None


def test_tokens_that_are_not_finite_are_refused_or_left_out_and_counted(modules, tmp_path):
    x, x_hat = pairs()
    x[5, 2], x[7, 0], x_hat[9, 1], x_hat[11] = math.nan, math.inf, -math.inf, math.nan
    paths = written(tmp_path, x=x, x_hat=x_hat)
    kept, refused = in_node(modules, [paths | {"dropNonfinite": True}, paths])
    same(by_python(**paths, dropNonfinite=True), kept)
    assert kept["entry"]["dropped"] == 4
    assert refused["refused"].startswith("4 of 600 tokens have a NaN or an infinity in x or x̂")
