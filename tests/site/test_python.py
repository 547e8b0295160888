"""Python for the browser: what cannot be fetched is refused in one line, and nothing half-made is kept."""

import os
import subprocess
import time

import pytest
from filelock import FileLock

from sandbox import InputError
from sandbox.site import python
from sandbox.site.build import files, write_site
from tests.helpers.runs import sandbox


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left(folder):
    return [path.name for path in folder.rglob("*") if path.suffix != ".lock" and path.name != "shrinkage-sandbox"]


def test_without_node_it_says_what_to_install(empty_cache, monkeypatch):
    monkeypatch.setattr(python.shutil, "which", lambda _: None)
    monkeypatch.setattr(python, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"npm is not installed.*install Node\.js.*--no-python"):
        python.runtime()
    assert left(empty_cache) == []


def test_a_failed_download_is_one_line(empty_cache, monkeypatch):
    def fails(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "npm error code ENOTFOUND\nnpm error network\n")

    monkeypatch.setattr(python.subprocess, "run", fails)
    with pytest.raises(InputError, match=r"npm error code ENOTFOUND.*--no-python") as failure:
        python.runtime()
    assert "\n" not in str(failure.value)
    assert left(empty_cache) == []


def test_another_file_than_the_pinned_one_is_refused(empty_cache, monkeypatch):
    def downloads(command, cwd, **_):
        (cwd / f"pyodide-{python.PYODIDE}.tgz").write_bytes(b"another")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(python.subprocess, "run", downloads)
    with pytest.raises(InputError, match=f"pyodide-{python.PYODIDE}.tgz was downloaded with the hash"):
        python.runtime()
    assert left(empty_cache) == []


def test_without_a_network_it_soon_says_why(empty_cache, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"npm failed: npm error .*ECONNREFUSED.*--no-python"):
        python.runtime()
    assert left(empty_cache) == []


@pytest.mark.parametrize("damage", [b"sym", b"another", b"", None])
def test_a_damaged_cache_is_made_again(empty_cache, monkeypatch, damage):
    """Cut short, altered, emptied or gone."""
    made = []
    monkeypatch.setattr(python, "_make", lambda folder: made.append((folder / "sympy.zip").write_bytes(b"sympy 1")))
    file = python.runtime() / "sympy.zip"
    assert python.stored() == python.runtime() == file.parent
    assert len(made) == 1
    file.unlink() if damage is None else file.write_bytes(damage)
    assert python.stored() is None
    assert (python.runtime() / "sympy.zip").read_bytes() == b"sympy 1"
    assert len(made) == 2
    assert [name for name, _ in files(python=python.stored()) if name.startswith("python/")] == [
        "python/there.js", "python/sympy.zip", "python/sandbox.zip"
    ]  # fmt: skip


def test_a_server_needs_to_know_common_types_only(complete_files):
    """Of an unknown type, no module runs; .mjs is one for many servers. The rest may be of any type."""
    assert {name.rpartition(".")[2] for name in complete_files} == {"html", "css", "js", "json", "wasm", "zip"}
    assert b"asm.mjs" not in complete_files["python/pyodide.js"]


def kept(cache, name, days):
    """A folder of another version, last used so many days ago."""
    folder = cache / "shrinkage-sandbox" / name
    folder.mkdir(parents=True)
    (folder / "sympy.zip").write_bytes(b"sympy")
    then = time.time() - days * 86400
    for path in (folder / "sympy.zip", folder):
        os.utime(path, (then, then))
    return folder


def test_a_new_version_removes_those_that_nobody_used_for_a_month(empty_cache, monkeypatch):
    monkeypatch.setattr(python, "_make", lambda folder: (folder / "sympy.zip").write_bytes(b"new"))
    unused, recent = kept(empty_cache, "python-" + "0" * 16, 31), kept(empty_cache, "python-" + "1" * 16, 29)
    read, foreign = kept(empty_cache, "python-" + "2" * 16, 31), kept(empty_cache, "python-mine", 31)
    os.utime(read / "sympy.zip")  # a version that does not touch its folder still reads its files
    held = kept(empty_cache, "python-" + "3" * 16, 31)
    with FileLock(held.with_suffix(".lock")):
        made = python.runtime()
    assert sorted(path for path in made.parent.iterdir() if path.is_dir()) == sorted(
        [made, recent, read, foreign, held]
    )
    assert not unused.exists()


def test_use_keeps_a_version(empty_cache, monkeypatch):
    monkeypatch.setattr(python, "_make", lambda folder: (folder / "sympy.zip").write_bytes(b"sympy"))
    folder = python.runtime()
    os.utime(folder, (0, 0))
    assert python.stored() == folder
    assert time.time() - folder.stat().st_mtime < 86400


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    done = sandbox("site", tmp_path / "site", "--no-python")
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "site").mkdir()
    write_site(tmp_path / "site")
    assert (tmp_path / "site" / "index.html").is_file()
    assert not (tmp_path / "site" / "python" / "pyodide.mjs").exists()
