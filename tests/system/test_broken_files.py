"""Files that are cut, flipped or mislabelled: the right numbers or one line, no warning, no other numbers."""

from __future__ import annotations

import os
import random
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from sandbox.activations import activations
from sandbox.activations.windows import FileRows
from sandbox.errors import InputError
from sandbox.measuring.measure import measure_pairs

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


def as_npy(folder: Path) -> Path:
    np.save(folder / "x.npy", X)
    return folder / "x.npy"


def as_safetensors(folder: Path) -> Path:
    save_file({"x": X}, folder / "x.safetensors")
    return folder / "x.safetensors"


def as_pt(folder: Path) -> Path:
    torch.save({"x": torch.from_numpy(X)}, folder / "x.pt")
    return folder / "x.pt"


def as_arrow(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    rows = pyarrow.table(
        {"x": [row.tolist() for row in X]}, schema=pyarrow.schema({"x": pyarrow.list_(pyarrow.float32())})
    )
    with pyarrow.OSFile(str(folder / "d.arrow"), "wb") as file, pyarrow.ipc.new_stream(file, rows.schema) as stream:
        stream.write_table(rows)
    (folder / "state.json").write_text('{"_data_files": [{"filename": "d.arrow"}]}')
    (folder / "dataset_info.json").write_text('{"features": {}}')
    return folder / "d.arrow"


FORMATS = {"npy": as_npy, "safetensors": as_safetensors, "pt": as_pt, "arrow": as_arrow}


def opened(path: Path, as_folder: bool = False):
    return activations(path.parent if as_folder or path.suffix == ".arrow" else path)


def numbers(path: Path, as_folder: bool = False) -> np.ndarray | str:
    """What is read, or the line that refuses it; a warning is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return torch.cat([chunk.x for chunk in opened(path, as_folder).chunks(7)]).numpy()
        except InputError as error:
            line = str(error)
    assert line.isprintable()  # and so one line
    return line


def payload(path: Path) -> range:
    """The bytes of the numbers, of which only the file's writer knows what they were."""
    (part,) = opened(path).rows._parts
    assert isinstance(part, FileRows)
    return range(part.offset, part.offset + X.nbytes)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_cut_short_is_refused_wherever_it_ends(name, tmp_path):
    path = FORMATS[name](tmp_path)
    assert np.array_equal(numbers(path), X)
    whole = path.read_bytes()
    for end in random.Random(1).sample(range(len(whole)), 40):
        path.write_bytes(whole[:end])
        assert isinstance(numbers(path), str), end
        assert isinstance(numbers(path, as_folder=True), str), end


@pytest.mark.parametrize("name", FORMATS)
def test_a_flipped_bit_gives_the_same_numbers_or_a_line(name, tmp_path):
    """But in the numbers themselves, and in the one sign of their byte order, beside which nothing says it again."""
    path = FORMATS[name](tmp_path)
    whole, kept = path.read_bytes(), payload(path)
    outside = [at for at in range(len(whole)) if at not in kept]
    draw, refused = random.Random(2), 0
    for at in draw.sample(outside, min(250, len(outside))):
        broken = bytearray(whole)
        broken[at] ^= 1 << draw.randrange(8)
        if name == "npy" and broken[at : at + 3] == b">f4":
            continue
        path.write_bytes(broken)
        found = numbers(path)
        refused += isinstance(found, str)
        assert isinstance(found, str) or np.array_equal(found, X), (at, whole[at], broken[at], found[:2])
    assert refused > 20


def test_a_npy_file_is_as_long_as_its_header_says(tmp_path):
    path = as_npy(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"(40, 6)", b"(10, 6)"))
    with pytest.raises(InputError, match=r"longer than its header says: 1088 bytes, but shape \(10, 6\) takes 368"):
        opened(path)
    path.write_bytes(whole.replace(b"(40, 6)", b"(90, 6)"))
    with pytest.raises(InputError, match="cut short"):
        opened(path)


def test_a_npy_file_of_an_unknown_version_is_refused(tmp_path):
    path = as_npy(tmp_path)
    whole = bytearray(path.read_bytes())
    for version in ((1, 1), (4, 0), (0, 0), (255, 255)):
        whole[6:8] = bytes(version)
        path.write_bytes(whole)
        with pytest.raises(InputError, match=f"its version is {version[0]}.{version[1]}|format version"):
            opened(path)


def test_all_versions_of_npy_that_there_are_give_the_same_numbers(tmp_path):
    for version in ((1, 0), (2, 0), (3, 0)):
        with (tmp_path / "v.npy").open("wb") as file:
            np.lib.format.write_array(file, X, version)
        assert np.array_equal(numbers(tmp_path / "v.npy"), X)


def test_a_view_that_negates_its_numbers_is_refused(tmp_path):
    torch.save(torch._neg_view(torch.from_numpy(X)), tmp_path / "n.pt")
    with pytest.raises(InputError, match=r"save x.resolve_neg\(\)"):
        opened(tmp_path / "n.pt")


def test_a_directory_that_points_elsewhere_is_refused(tmp_path):
    """One bit in the length of a local header moves all numbers, and torch does not notice."""
    path = as_pt(tmp_path)
    broken = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        record = next(one for one in archive.infolist() if "/data/" in one.filename)
    broken[record.header_offset + 28] ^= 4
    path.write_bytes(broken)
    with pytest.raises(InputError, match="does not end where its header says"):
        opened(path)


INFO = {
    "features that are a list": ("dataset_info.json", '{"features": [1]}'),
    "features of numbers": ("dataset_info.json", '{"features": {"x": 3}}'),
    "no settings": ("dataset_info.json", "[]"),
    "a shape that is none": ("dataset_info.json", '{"features": {"x": {"shape": {"a": 1}}}}'),
    "a shape of text": ("dataset_info.json", '{"features": {"x": {"shape": ["a", "b"]}}}'),
    "a huge shape": ("dataset_info.json", f'{{"features": {{"x": {{"shape": [2, 1{"0" * 400}]}}}}}}'),
    "a deep nest": ("dataset_info.json", "[" * 100_000),
    "files that are numbers": ("state.json", '{"_data_files": [{"filename": 3}]}'),
    "files that are none": ("state.json", '{"_data_files": 3}'),
    "a file without a name": ("state.json", '{"_data_files": [{"filename": ""}]}'),
    "a file name with a null byte": ("state.json", '{"_data_files": [{"filename": "a\\u0000b"}]}'),
    "a file that is not there": ("state.json", '{"_data_files": [{"filename": "e.arrow"}]}'),
}


@pytest.mark.parametrize("name", INFO)
def test_a_dataset_with_broken_settings_gives_its_numbers_or_a_line(name, tmp_path):
    path = as_arrow(tmp_path)
    file, text = INFO[name]
    (tmp_path / file).write_text(text)
    found = numbers(path)
    assert isinstance(found, str) or np.array_equal(found, X)
    assert isinstance(found, str) or name == "features of numbers"  # which say nothing of shapes


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "loop/x.npy"):
        with pytest.raises(InputError, match=r"there is no such file|symbolic links"):
            activations(tmp_path / name)


def test_an_empty_path_is_not_the_folder_one_is_in(tmp_path, monkeypatch):
    as_npy(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the path is empty"):
        activations("")
    with pytest.raises(InputError, match="the path is empty"):
        measure_pairs("", X)


@pytest.mark.parametrize("how", ["written to", "replaced", "appended to"])
def test_a_file_that_changes_while_it_is_read_is_noticed(how, tmp_path):
    path = as_npy(tmp_path)
    chunks = opened(path).chunks(7)
    next(chunks)
    if how == "written to":
        np.save(path, 3 * X)
    elif how == "replaced":
        np.save(tmp_path / "y.npy", 3 * X)
        before = path.stat()
        os.utime(tmp_path / "y.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "y.npy").replace(path)
    else:
        with path.open("ab") as file:
            file.write(b"more")
    with pytest.raises(InputError, match="replaced or modified while it was being read"):
        list(chunks)
