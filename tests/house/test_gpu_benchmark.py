"""`benchmarks.gpu` without a GPU: the whole program on the CPU, and each part on a simulated GPU."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu.__main__ import PARTS
from benchmarks.gpu.agreement import apart
from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from benchmarks.gpu.written import BEGIN, END, KEPT, NEVER, keep, markdown, sentence, with_sentence, write
from tests.pretend import pretend_cuda

with warnings.catch_warnings():  # SAELens' own imports may warn
    warnings.simplefilter("ignore")
    import sae_lens  # noqa: F401

ROOT = Path(__file__).parents[2]
BARE = """
import sys
class Missing:
    names = {"ipywidgets", "anywidget", "sae_lens", "transformer_lens", "dictionary_learning", "playwright", "datasets"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""
"""Runs first in every process: hides the packages that `make gpu` does not need."""


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.slow] * (part != "moments")) for part in PARTS if part != "tests"]
)
def test_each_part_runs_on_a_pretended_gpu(part):
    with pretend_cuda():
        rows = list(import_module(f"benchmarks.gpu.{part}").rows(Place("cuda", small=True)))
    assert rows
    assert all(row.part == part and row.value is not None for row in rows)
    assert all(row.holds in (None, True) for row in rows if part == "agreement"), rows


@pytest.fixture(scope="module")
def run_without(tmp_path_factory):
    """The whole program on the CPU, without the packages for the browser and for training."""
    out, bare = tmp_path_factory.mktemp("gpu"), tmp_path_factory.mktemp("bare")
    (bare / "sitecustomize.py").write_text(BARE, "utf-8")
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(bare)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    return done, out


@pytest.mark.slow
def test_the_program_runs_without_browser_packages(run_without):
    done, out = run_without
    result = json.loads((out / "gpu.json").read_text("utf-8"))
    assert {row["part"] for row in result["rows"]} == set(PARTS)
    assert not [row for row in result["rows"] if row["case"] == "the whole part"], done.stdout
    assert done.returncode == 0, done.stdout
    assert (out / "gpu.md").read_text("utf-8") == markdown(result)
    assert done.stdout.splitlines()[-2].endswith("claims hold.")
    assert done.stdout.splitlines()[-1] == f"written: {out}/gpu.json, {out}/gpu.md"


def test_a_part_that_fails_says_why():
    rows = list(program._of_part("moments", "nowhere", 30))
    assert [row.holds for row in rows] == [False, None]
    assert "invalid choice" in rows[0].words


def test_a_part_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(program, "LEAST", 0)
    rows = list(program._of_part("forward", "cpu", 0.5))  # it takes longer to start
    assert rows[0].holds is False
    assert rows[0].words.startswith("stopped after")
    assert rows[1].value < 5


def test_a_part_without_time_left_fails():
    (row,) = program._of_part("floor", "cpu", 5)
    assert row.holds is False


def test_other_output_of_a_part_is_ignored(monkeypatch):
    script = (
        "import sys; sys.stderr.write('x' * 10**6); print('row {'); print(" + repr(Row("floor", "a", 1.0).line()) + ")"
    )
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **options: popen([sys.executable, "-c", script], **options)
    )
    assert [row.case for row in program._of_part("floor", "cpu", 30)] == ["a", "time"]


def test_a_number_on_only_one_side_is_a_disagreement():
    assert apart({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": math.nan}) == (math.inf, "b")
    assert apart({"a": math.nan}, {"a": 1.0}) == (math.inf, "a")
    assert apart({"a": math.nan}, {"a": math.nan}) == (0, "a")
    assert Row("agreement", "a", math.inf, goal=1).to_dict()["value"] is None


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks.gpu: no CUDA device here")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "/proc/x", "--device", "cpu"], "name another --out"),
        (["--out", "{}", "--keep"], "run make gpu first"),
        (["--minutes", "0"], "more than 0 is needed"),
        (["--only", "flor"], "invalid choice: 'flor'"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(options, message, tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", *(option.format(tmp_path / "none") for option in options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_python_without_torch_is_refused(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BARE.replace('"ipywidgets"', '"torch"'), "utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "has no torch" in done.stderr


def test_the_readme_states_the_gpu_measurements():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert with_sentence(readme, sentence()) == readme
    assert readme.count(BEGIN) == readme.count(END) == 1
    for path in KEPT.glob("*.json"):
        assert path.with_suffix(".md").read_text("utf-8") == markdown(json.loads(path.read_text("utf-8")))


def test_the_kept_results_make_the_sentence(tmp_path, monkeypatch):
    assert sentence(tmp_path) == NEVER
    rows = [
        Row("forward", "a", 1.04, goal=1.05),
        Row("forward", "b", 1.2, goal=1.05),
        Row("agreement", "c", 2e-7, goal=1e-5),
        Row("moments", "d", 1.4, goal=2),
    ]
    result = {"command": "x", "device": "cuda", "on": {"card": "NVIDIA H100 80GB HBM3"}, "left_out": [], "seconds": 1}
    write(tmp_path / "out", result | {"rows": [row.to_dict() for row in rows]})
    (tmp_path / "README.md").write_text(f"before {BEGIN}\nold\n{END} after", "utf-8")
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("benchmarks.gpu.written.ROOT", tmp_path)
    write(tmp_path / "part", result | {"left_out": ["floor"], "rows": []})
    with pytest.raises(ValueError, match="lacks floor"):
        keep(tmp_path / "part", tmp_path / "kept")
    assert keep(tmp_path / "out", tmp_path / "kept").name == "nvidia-h100-80gb-hbm3.md"
    assert (tmp_path / "README.md").read_text("utf-8") == (
        f"before {BEGIN}\nOn one NVIDIA H100 80GB HBM3 ([every figure](results/gpu/nvidia-h100-80gb-hbm3.md)), "
        "measuring takes 1.04 to 1.20 times the SAE's forward pass, the demo's figures agree with the CPU's to within "
        f"2e-07 and moments take 1.4 times as long as reading x and x̂. 3 of 4 claims hold.\n{END} after"
    )
