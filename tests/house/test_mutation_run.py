"""The mutation run itself: it catches mutants that matter, changes nothing else, and its lists are up to date."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.mutation.core import CORE, SKIPPED
from benchmarks.mutation.equivalent import EQUIVALENT, Equivalent, stale
from benchmarks.mutation.mutants import chosen, mutants_of

ROOT = Path(__file__).parents[2]


def every_mutant():
    return [mutant for file in CORE for mutant in mutants_of(ROOT, file, SKIPPED.get(file, frozenset()))]


def made(tmp_path, text: str):
    (tmp_path / "some.py").write_text(text)
    return mutants_of(tmp_path, "some.py")


def test_every_operator_makes_its_change(tmp_path):
    text = '''
def mean(x, n=3):
    """Words stay: 1 < 2."""
    if not x:
        raise ValueError(f"{len(x) - 1}")
    u, v = max(x), x[1:n].sqrt()
    u *= 2
    return -u + v if n > 0 and u else v, u
'''
    changes = {mutant.change for mutant in made(tmp_path, text)}
    assert {
        *("3 ► 4", "3 ► 2", "not x ► x", "if not x: never", "if not x: always", "max ► min"),
        *("1:n ► :n", "1:n ► 1:", "x[1:n].sqrt() ► x[1:n]", "u *= 2 ► u /= 2", "u *= 2 ► u = 2", "drop"),
        *("-u ► u", "-u + v ► -u - v", "-u + v ► v", "n > 0 ► n >= 0", "n > 0 ► n <= 0", "u ► v", "v ► u"),
        *("n > 0 and u ► n > 0 or u", "n > 0 and u ► u", "-u + v if n > 0 and u else v ► v"),
    } <= changes
    assert not [change for change in changes if "1 < 2" in change or "len(x)" in change]


def test_a_mutant_is_the_file_with_one_change_and_the_file_is_untouched(tmp_path):
    text = "def f(a, b):\n    return a + b\n"
    sources = {mutant.change: mutant.source() for mutant in made(tmp_path, text)}
    assert sources["a + b ► a - b"] == "def f(a, b):\n    return a - b\n"
    assert sources["a + b ► b"] == "def f(a, b):\n    return b\n"
    assert (tmp_path / "some.py").read_text() == text


def test_moved_lines_change_no_name_and_no_choice(tmp_path):
    text = "def f(a, b):\n    return a + b\n\n\ndef g(a):\n    return a[1:] * 2 < 3\n"
    before, after = made(tmp_path, text), made(tmp_path, "import math\n\nONE = math.e\n\n\n" + text)
    assert {mutant.name for mutant in before} <= {mutant.name for mutant in after}
    assert [mutant.name for mutant in chosen(before)] == [mutant.name for mutant in chosen(after) if mutant.function]


def test_the_choice_covers_every_function_and_is_large_enough():
    mutants = every_mutant()
    tried = chosen(mutants)
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    assert {(mutant.file, mutant.function) for mutant in tried} == {
        (mutant.file, mutant.function) for mutant in mutants
    }
    assert len(tried) >= 150
    for mutant in tried[::10]:
        compile(mutant.source(), mutant.file, "exec")


def test_every_equivalent_mutant_exists_and_has_a_reason():
    assert stale(CORE, every_mutant()) == []
    assert len({(mutant.file, mutant.line, mutant.change) for mutant in EQUIVALENT}) == len(EQUIVALENT)
    assert all(len(mutant.reason) > 20 for mutant in EQUIVALENT)
    gone = Equivalent("sandbox/maths/compile.py", "nothing = 1", "1 ► 2", "")
    assert not any(gone.is_of(mutant) for mutant in every_mutant())


GATE = "closed = pre_acts + self.b_gate <= 0"
BY = "tests/checkpoints/test_activation_functions.py::test_a_gate_opens_above_0_and_its_magnitude_is_a_relu_of_its_own"


def test_a_run_catches_mutants_that_matter_and_leaves_the_tree_unchanged(tmp_path):
    file = ROOT / "sandbox/checkpoints/activation_functions.py"
    before, stamp = file.read_bytes(), file.stat().st_mtime_ns
    options = ["--only", "activation_functions", "--line", f"{GATE}   [pre_acts + self.b_gate <= 0 ► pre_acts +"]
    command = [sys.executable, "-m", "benchmarks.mutation", *options, "--json", str(tmp_path / "out.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert rows
    assert {(row["caught"], row["by"]) for row in rows} == {(True, BY)}
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, stamp)


def test_a_missing_file_is_refused():
    command = [sys.executable, "-m", "benchmarks.mutation", "--only", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no file of the core is called nowhere" in done.stderr
