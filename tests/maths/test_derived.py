"""The results on disk are those that are derived, or they are not believed."""

import json
import shutil
import subprocess
import sys

import pytest

from sandbox.maths import derived as module
from sandbox.maths.derivations import claims, prove
from sandbox.maths.derived import FILE, FOLDER, SOURCES, derive, derived, digest, load, renew
from sandbox.maths.measures import REGISTRY

RENEW = "derived.json is out of date: renew it with python -m sandbox.maths.derived"


def test_what_is_stored_is_what_is_derived():
    stored = load()
    assert stored is not None, RENEW
    assert stored == derive()
    for claim in claims():
        assert derived(claim.number) == prove(claim.number).results, claim.number


@pytest.fixture
def copy(tmp_path):
    """The folder of the mathematics, to be changed."""
    return shutil.copytree(FOLDER, tmp_path / "maths", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize("source", sorted(str(path.relative_to(FOLDER)) for p in SOURCES for path in FOLDER.glob(p)))
def test_a_change_of_any_source_of_a_derivation_makes_the_stored_results_stale(source, copy):
    stored = load()
    assert stored is not None, RENEW
    assert digest(stored, copy) == digest(stored)
    changed = copy / source
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert digest(stored, copy) != digest(stored)


def test_a_source_that_is_added_or_gone_makes_them_stale_too(copy):
    before = digest({}, copy)
    (copy / "proof" / "lemma.py").touch()
    added = digest({}, copy)
    (copy / "proof" / "lemma.py").unlink()
    (copy / "symbols.py").unlink()
    assert len({before, added, digest({}, copy)}) == 3


def tampered(content: dict) -> dict:
    content["results"]["C6"]["relative_reconstruction_bias"] = "c/b"
    return content


FILES = {
    "a changed result": lambda content: json.dumps(tampered(content)),
    "a result that is missing": lambda content: json.dumps(content | {"results": {}}),
    "another digest": lambda content: json.dumps(content | {"digest": "0" * 64}),
    "no digest": lambda content: json.dumps({"results": content["results"]}),
    "no JSON": lambda content: json.dumps(content)[:-40],
    "another kind of JSON": lambda content: json.dumps([content]),
    "nothing": lambda content: "",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_whole_and_true_is_not_believed(name, tmp_path, monkeypatch):
    path = tmp_path / "derived.json"
    path.write_text(FILES[name](json.loads(FILE.read_text(encoding="utf-8"))), encoding="utf-8")
    assert load(path) is None
    monkeypatch.setattr(module, "_stored", lambda: load(path))
    assert module.derived.__wrapped__("C6") is prove("C6").results


@pytest.mark.parametrize("contents", [None, b"\xff\xfe{"])
def test_a_file_that_cannot_be_read_is_not_believed(contents, tmp_path):
    path = tmp_path / "derived.json"
    if contents:
        path.write_bytes(contents)
    assert load(path) is None


def test_a_renewed_file_is_the_one_that_is_stored(tmp_path):
    renew(tmp_path / "derived.json")
    again = json.loads((tmp_path / "derived.json").read_text(encoding="utf-8"))
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert again | {"sympy": kept["sympy"]} == kept, RENEW
    assert [path.name for path in tmp_path.iterdir()] == ["derived.json"]


def test_a_formula_of_the_registry_derives_nothing_and_a_proof_does():
    program = (
        "from sandbox.maths.derivations import register; from sandbox.maths.measures import REGISTRY;"
        "print([str(measure.centre) for measure in REGISTRY.values()]);"
        "print(register._derive.cache_info().currsize); register.prove('C2');"
        "print(register._derive.cache_info().currsize)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    formulas, registry, proved = ran.stdout.splitlines()
    assert formulas == str([str(measure.centre) for measure in REGISTRY.values()])
    assert (registry, proved) == ("0", "1")
