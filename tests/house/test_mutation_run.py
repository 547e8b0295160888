"""The mutation run itself: it sees a change that matters, none where none matters, and knows its own list."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.mutation.core import CORE, SKIPPED
from benchmarks.mutation.equivalent import EQUIVALENT, Equivalent, stale
from benchmarks.mutation.mutants import chosen, mutants_of

ROOT = Path(__file__).parents[2]


def every_mutant():
    return [one for file in CORE for one in mutants_of(ROOT, file, SKIPPED.get(file, frozenset()))]


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
    found = {one.change for one in made(tmp_path, text)}
    assert {
        *("3 ► 4", "3 ► 2", "not x ► x", "if not x: never", "if not x: always", "max ► min"),
        *("1:n ► :n", "1:n ► 1:", "x[1:n].sqrt() ► x[1:n]", "u *= 2 ► u /= 2", "u *= 2 ► u = 2", "drop"),
        *("-u ► u", "-u + v ► -u - v", "-u + v ► v", "n > 0 ► n >= 0", "n > 0 ► n <= 0", "u ► v", "v ► u"),
        *("n > 0 and u ► n > 0 or u", "n > 0 and u ► u", "-u + v if n > 0 and u else v ► v"),
    } <= found
    assert not [one for one in found if "1 < 2" in one or "len(x)" in one]


def test_a_mutant_is_the_file_with_one_change_and_the_file_stays(tmp_path):
    text = "def f(a, b):\n    return a + b\n"
    sources = {one.change: one.source() for one in made(tmp_path, text)}
    assert sources["a + b ► a - b"] == "def f(a, b):\n    return a - b\n"
    assert sources["a + b ► b"] == "def f(a, b):\n    return b\n"
    assert (tmp_path / "some.py").read_text() == text


def test_lines_that_move_change_no_name_and_no_choice(tmp_path):
    text = "def f(a, b):\n    return a + b\n\n\ndef g(a):\n    return a[1:] * 2 < 3\n"
    before, after = made(tmp_path, text), made(tmp_path, "import math\n\nONE = math.e\n\n\n" + text)
    assert {one.name for one in before} <= {one.name for one in after}
    assert [one.name for one in chosen(before)] == [one.name for one in chosen(after) if one.function]


def test_the_choice_is_of_every_function_and_large_enough():
    mutants = every_mutant()
    tried = chosen(mutants)
    assert len({one.name for one in mutants}) == len(mutants)
    assert {(one.file, one.function) for one in tried} == {(one.file, one.function) for one in mutants}
    assert len(tried) >= 150
    for one in tried[::10]:
        compile(one.source(), one.file, "exec")


def test_what_is_said_to_be_equivalent_is_there_for_a_reason():
    assert stale(CORE, every_mutant()) == []
    assert len({(one.file, one.line, one.change) for one in EQUIVALENT}) == len(EQUIVALENT)
    assert all(len(one.reason) > 20 for one in EQUIVALENT)
    gone = Equivalent("sandbox/maths/compile.py", "nothing = 1", "1 ► 2", "")
    assert not any(gone.is_of(one) for one in every_mutant())


GATE = "closed = pre_acts + self.b_gate <= 0"
BY = "tests/checkpoints/test_activation_functions.py::test_a_gate_opens_above_0_and_its_magnitude_is_a_relu_of_its_own"


def test_a_run_catches_what_matters_and_leaves_the_tree_as_it_is(tmp_path):
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


def test_a_file_that_there_is_not_is_refused():
    command = [sys.executable, "-m", "benchmarks.mutation", "--only", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no file of the core is called nowhere" in done.stderr
