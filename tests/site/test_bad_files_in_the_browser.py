"""Files that cannot be measured are refused in the browser in the line that Python says."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save
from scipy.special import stdtrit

from sandbox.errors import InputError
from tests.site.node import in_node, printed
from tests.site.same import by_python

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


def npy(header, data=bytes(16), version=(1, 0)):
    text = header.encode("latin1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text + data


def fields(descr="'<f4'", fortran="False", shape="(2, 2)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def stored(array):
    """A .npy file of any array."""
    from io import BytesIO

    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def tensors(header, data=bytes(16), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(**changes):
    return {"x": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changes}}


BAD = {
    "nothing.npy": b"",
    "three-bytes.npy": b"abc",
    "text.npy": b"hello world",
    "quoted.npy": b"it's\n\x00\\ world",
    "no-version.npy": b"\x93NUMPY\x01",
    "version-4.npy": b"\x93NUMPY\x04\x00aaaa",
    "version-9.npy": npy(fields(), version=(9, 0)),
    "no-length.npy": b"\x93NUMPY\x01\x00\x10",
    "half-a-header.npy": b"\x93NUMPY\x01\x00\x10\x00abc",
    "fortran.npy": npy(fields(fortran="True")),
    "fortran-1.npy": npy(fields(fortran="1")),
    "negative.npy": npy(fields(shape="(2, -2)")),
    "no-tuple.npy": npy(fields(shape="4")),
    "a-decimal.npy": npy(fields(shape="(2.5, 2)")),
    "no-literal.npy": npy("not a dict"),
    "a-list.npy": npy("[1]"),
    "a-key-too-few.npy": npy("{'descr': '<f4'}"),
    "a-key-too-many.npy": npy("{'descr': '<f4', 'shape': (2, 2), 'fortran_order': False, 'x': 1}"),
    "a-pickle.npy": stored(np.array([{"a": 1}], dtype=object)),
    "nonsense.npy": npy(fields(descr="'nonsense'")),
    "a-number.npy": npy(fields(descr="12")),
    "whole.npy": stored(np.ones((2, 2), np.int32)),
    "unsigned.npy": stored(np.ones((2, 2), np.uint64)),
    "complex.npy": stored(np.ones((2, 2), np.complex64)),
    "booleans.npy": stored(np.ones((2, 2), bool)),
    "structured.npy": npy(fields(descr="[('a', '<f4')]")),
    "texts.npy": stored(np.array([["ab", "c"]])),
    "bytes.npy": stored(np.array([[b"ab", b"c"]])),
    "datetimes.npy": stored(np.ones((2, 2), "M8[ms]")),
    "long-complex.npy": stored(np.ones((2, 2), np.clongdouble)),
    "cut.npy": npy(fields(), bytes(15)),
    "cut-by-more-than-2-to-the-53.npy": npy(fields(shape="(9007199254740993, 1)")),
    "cut-by-more-than-2-to-the-64.npy": npy(fields(shape="(1180591620717411303424, 2)")),
    "long.npy": npy(fields(), bytes(17)),
    "no-tokens.npy": stored(np.ones((0, 2), np.float32)),
    "no-d.npy": stored(np.ones((2, 0), np.float32)),
    "one-axis.npy": stored(np.ones(4, np.float32)),
    "no-axis.npy": stored(np.float32(1)),
    "nothing.safetensors": b"",
    "three-bytes.safetensors": b"abc",
    "long-header.safetensors": tensors(b"{}", length=2**40),
    "longer-than-the-file.safetensors": tensors(tensor(), length=5000),
    "no-tensor.safetensors": tensors({}, b""),
    "no-tensor-but-numbers.safetensors": tensors({}),
    "short.safetensors": tensors(tensor(), bytes(12)),
    "long.safetensors": tensors(tensor(), bytes(20)),
    "a-gap.safetensors": tensors(tensor(data_offsets=[4, 20]), bytes(20)),
    "backwards.safetensors": tensors(tensor(data_offsets=[16, 0])),
    "another-shape.safetensors": tensors(tensor(shape=[2, 3])),
    "huge.safetensors": tensors(tensor(shape=[2**40, 2**40])),
    "whole.safetensors": tensors(tensor(dtype="I32")),
    "eight-bits.safetensors": tensors(tensor(dtype="F8_E4M3", data_offsets=[0, 4]), bytes(4)),
    "one-axis.safetensors": tensors(tensor(shape=[4])),
    "no-tokens.safetensors": tensors(tensor(shape=[0, 4], data_offsets=[0, 0]), b""),
    "two.safetensors": save({"y": X, "x": X}),
    "eight.safetensors": save(dict.fromkeys("hgfedcba", X)),
    "overlapping.safetensors": tensors(
        {**tensor(), "y": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}}, bytes(16)
    ),
}

OWN_ENDS = {
    "an-unclosed-tuple.npy": npy(fields(shape="(2, 2")),
    "a-header-too-long.npy": npy(fields() + " " * 20_000),
    "no-utf-8.safetensors": tensors(b"\xff\xfe{}"),
    "no-json.safetensors": tensors(b"not json"),
    "no-header.safetensors": tensors(b""),
    "a-list.safetensors": tensors([]),
    "a-negative-length.safetensors": tensors(tensor(shape=[2, -3])),
    "an-unknown-dtype.safetensors": tensors(tensor(dtype="F99")),
    "no-offsets.safetensors": tensors({"x": {"dtype": "F32", "shape": [2, 2]}}),
    "odd-metadata.safetensors": tensors({**tensor(), "__metadata__": {"a": 1}}),
    "metadata-as-text.safetensors": tensors({**tensor(), "__metadata__": "a"}),
}
"""Files whose line ends with what the parser of a language or a library says; the lines begin alike."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, in which the names of files are their paths, as in a browser."""
    monkeypatch.chdir(tmp_path)
    np.save("good.npy", np.zeros((2, 2), np.float32))
    for name, content in {**BAD, **OWN_ENDS}.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def line_of(**case):
    with pytest.raises(InputError) as refused:
        by_python(**case)
    return str(refused.value)


def test_bad_activations(modules, folder):
    cases = [{"x": name, "x_hat": "good.npy"} for name in BAD] + [{"x": "good.npy", "x_hat": name} for name in BAD]
    for case, answer in zip(cases, in_node(modules, cases), strict=True):
        assert answer == {"refused": line_of(**case)}, case


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_bad_activations_in_the_words_of_a_parser(modules, folder):
    cases = [{"x": name, "x_hat": "good.npy"} for name in OWN_ENDS]
    for case, answer in zip(cases, in_node(modules, cases), strict=True):
        begins = (
            f"{case['x']} is not a .npy file: "
            if case["x"].endswith(".npy")
            else (f"{case['x']} cannot be read as safetensors: Error while deserializing header: invalid ")
        )
        assert line_of(**case).startswith(begins)
        assert answer["refused"].startswith(begins)


def test_files_that_do_not_fit_together(modules, folder):
    np.save("x.npy", X)
    np.save("short.npy", X[:30])
    np.save("narrow.npy", X[:, :5])
    np.save("ids.npy", np.arange(39))
    np.save("floats.npy", np.arange(40.0))
    np.save("few-texts.npy", np.array(["a"] * 39))
    np.save("huge.npy", 1e160 * X.astype(np.float64))
    np.save("tiny.npy", 1e-160 * X.astype(np.float64))
    cases = [
        {"x": "x.npy", "x_hat": "short.npy"},
        {"x": "narrow.npy", "x_hat": "x.npy"},
        {"x": "x.npy", "x_hat": "x.npy", "documents": "ids.npy"},
        {"x": "x.npy", "x_hat": "x.npy", "documents": "few-texts.npy"},
        {"x": "x.npy", "x_hat": "x.npy", "documents": "floats.npy"},
        {"x": "huge.npy", "x_hat": "huge.npy"},
        {"x": "tiny.npy", "x_hat": "tiny.npy"},
        {"x": "tiny.npy", "x_hat": "x.npy"},
    ]
    for case, answer in zip(cases, in_node(modules, cases), strict=True):
        assert answer == {"refused": line_of(**case)}


def test_a_file_of_another_kind_is_refused_with_those_that_are_read(modules, folder):
    (folder / "x.pt").write_bytes(b"")
    (folder / "x").write_bytes(b"")
    (folder / ".npy").write_bytes(b"")
    answers = in_node(modules, [{"x": name, "x_hat": "good.npy"} for name in ("x.pt", "x", ".npy")])
    assert [answer["refused"] for answer in answers] == [
        "x.pt: x are read from .npy, .safetensors files here, not .pt",
        "x: x are read from .npy, .safetensors files here, not files without a suffix",
        ".npy: x are read from .npy, .safetensors files here, not files without a suffix",
    ]


def test_students_quantile_is_that_of_scipy(modules):
    """Two ways to compute the same number: 1e-12 of it is left to rounding."""
    freedoms = [0.999999999, 1, 1.5, 2, 3.7, 9, 29.5, 99, 254.9, 255, 1e4]
    found = printed(modules, "js/data/student.js", f"{freedoms}.map((freedom) => quantile(freedom, 0.95))", "quantile")
    assert found == pytest.approx(stdtrit(freedoms, 0.975), rel=1e-12)
