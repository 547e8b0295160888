"""The JavaScript on disk is what Python generates, or it is not believed; and it spares the explorer torch."""

import re
import shutil

import pytest

from sandbox.explorer import generated as store
from sandbox.explorer.generated import FILE, ROOT, SOURCES, digest, generated, load, make, renew, value
from sandbox.explorer.presets import presets

RENEW = "generated.js is out of date: renew it with python -m sandbox.explorer.generated"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture(scope="module")
def made():
    return make()


def test_what_is_stored_is_what_is_made(made):
    stored = load()
    assert stored is not None, RENEW
    assert NUMBER.sub("0", stored.partition("\n")[2]) == NUMBER.sub("0", made)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (stored.partition("\n")[2], made)]
    # another machine may round the third decimal of a curve, and the last digit of a series, differently
    assert numbers[0] == pytest.approx(numbers[1], abs=1.1e-3, rel=1e-12)
    assert generated() == stored


def test_python_reads_the_data_in_it():
    assert value("presets") == [preset.in_words() for preset in presets()]
    assert value("blocks") == 50


@pytest.mark.parametrize("source", SOURCES)
def test_a_change_of_any_source_makes_it_stale(source, tmp_path):
    copy = shutil.copytree(ROOT, tmp_path / "sandbox", ignore=shutil.ignore_patterns("data", "__pycache__"))
    assert digest("", copy) == digest("")
    changed = copy / source
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert digest("", copy) != digest("")


def test_a_changed_proof_makes_it_stale(monkeypatch):
    before = digest("")
    monkeypatch.setattr(store.derived, "load", lambda: {"C1": {"loss": "a"}})
    assert digest("") != before


DAMAGE = {
    "a changed formula": lambda text: text.replace("c/a", "c/b", 1),
    "an end that is missing": lambda text: text[:-40],
    "another digest": lambda text: re.sub("[0-9a-f]{64}", "0" * 64, text, count=1),
    "no digest": lambda text: text.partition("\n")[2],
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_is_not_whole_and_true_is_not_believed(name, tmp_path, monkeypatch, made):
    path = tmp_path / "generated.js"
    path.write_text(DAMAGE[name](FILE.read_text(encoding="utf-8")), encoding="utf-8")
    assert load(path) is None
    monkeypatch.setattr(store, "load", lambda: load(path))
    monkeypatch.setattr(store, "make", lambda: made)
    assert generated() == made


@pytest.mark.parametrize("contents", [None, b"\xff\xfe{"])
def test_a_file_that_cannot_be_read_is_not_believed(contents, tmp_path):
    path = tmp_path / "generated.js"
    if contents:
        path.write_bytes(contents)
    assert load(path) is None


def test_a_renewed_file_is_believed(tmp_path, monkeypatch, made):
    monkeypatch.setattr(store, "make", lambda: made)
    renew(tmp_path / "generated.js")
    assert (load(tmp_path / "generated.js") or "").partition("\n")[2] == made
    assert [path.name for path in tmp_path.iterdir()] == ["generated.js"]
