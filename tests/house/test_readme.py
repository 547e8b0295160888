"""Every command and example in the README and the two pages beside it runs, and its numbers are the demo's."""

import io
import json
import re
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest

from sandbox import ceilings
from sandbox.data import embedded
from tests.helpers.models import make_texts, save_model
from tests.helpers.runs import D, sandbox, save_sae

ROOT = Path(__file__).parents[2]
README, MEASURING, RESULTS = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/measuring.md", "results/README.md")
)
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README + MEASURING + RESULTS, re.DOTALL)
LINES = [line for kind, block in BLOCKS if not kind for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = list(dict.fromkeys(line.split("#")[0].strip() for line in LINES))
EXAMPLES = [block for kind, block in BLOCKS if kind == "python"]


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The output of `sandbox demo` and its folder, from a separate process, as users start it."""
    out = tmp_path_factory.mktemp("demo")
    done = run([sys.executable, "-m", "sandbox", "demo", "--out", str(out)], out)
    return done.stdout, out


# the sweep takes half a minute; tests/training/test_sweep.py runs a smaller one
SLOW = {"sandbox figure6": [pytest.mark.slow]}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(line, marks=SLOW.get(" ".join(line.split()[:2]), []))
        for line in COMMANDS
        if line.startswith("sandbox ")
    ],
)
def test_every_sandbox_command_runs(command, tmp_path):
    if command.startswith("sandbox loss"):
        write_inputs_of_loss(tmp_path)
    done = sandbox(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def write_inputs_of_loss(folder: Path) -> None:
    """What the `sandbox loss` of results/README.md names, small: a model of as many layers, a text, and two SAEs."""
    save_model(folder / "build/smollm2", "llama", num_hidden_layers=16, max_position_embeddings=256, hidden_size=D)
    lines = [json.dumps({"text": text}) for text in make_texts() * 8]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    for seed, name in enumerate(("SAE", "ANOTHER")):
        save_sae(folder / name, seed)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs_and_prints_what_it_says(example, tmp_path):
    printed = io.StringIO()
    with chdir(tmp_path), redirect_stdout(printed):
        exec(example, {"__name__": "__main__"})
    for promised in re.findall(r"\)  # ([\d.]+)$", example, re.MULTILINE):
        assert round(float(printed.getvalue().splitlines()[0]), 6) == float(promised)


def test_every_make_target_that_is_named_exists():
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")} | set(
        re.findall(r"`make ([\w-]+)`", README + MEASURING + RESULTS)
    )
    assert {"demo", "test", "bench"} <= targets
    for target in targets | {"app", "data"}:
        run(["make", "--dry-run", target], ROOT)


def test_the_plain_pip_instructions_are_those_of_the_makefile():
    assert ".venv/bin/pip install -c constraints.txt ." in COMMANDS
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_the_demo_does_the_main_job(demo):
    printed, out = demo
    assert "C1  Which multiple of x is nearest to x̂?" in printed
    assert "C2  Which multiple of x̂ is nearest to x?" in printed
    assert "89.9°" in printed
    assert "30°" in printed
    assert "minilm-relu shrinks by 6.8 %" in printed
    assert "minilm-gated does not shrink" in printed
    assert sorted(path.name for path in out.iterdir()) == ["measures.png", "parabolas.png", "plane.png", "report.json"]
    for picture in out.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_numbers_of_the_readme_are_those_of_the_demo(demo):
    saes = json.loads((demo[1] / "report.json").read_text(encoding="utf-8"))["saes"]
    assert ["relu" in sae["name"] for sae in saes] == [True, False]
    assert "gated" in saes[1]["name"]
    keys = {"γ = b/c": "relative_reconstruction_bias", "√(b/a)": "norm_ratio", "c/a |": "scale_x"}
    for label, key in keys.items():
        (row,) = (
            line for line in README.splitlines() if line.startswith("|") and label in line[: line.find("|", 1) + 1]
        )
        for cell, sae in zip(row.split("|")[2:4], saes, strict=True):
            estimate = sae["raw"][key]
            half = (estimate["high"] - estimate["low"]) / 2
            assert cell.strip() == f"{estimate['value']:.3f} ± {half:.3f}"
    for sae in saes:
        assert round(sae["l0"]) == 42
        assert sae["documents"] == 100


@pytest.mark.slow
def test_the_ceilings_that_are_stated_are_those_of_the_embedded_relu_sae():
    settings = {"documents": embedded("documents"), "device": "cpu"}
    rows = ceilings(embedded("minilm-relu"), embedded("activations"), **settings).rows
    shares = [f"{100 * rows[kind]['won_back'].value:.1f} %" for kind in ("scalar", "per-latent", "joint", "decoder")]
    sentence = (
        "one factor wins back {}, a factor per latent {}, the best joint factors {} and a decoder refitted by least "
        "squares {}."
    )
    assert sentence.format(*shares) in " ".join(MEASURING.split())


def test_the_embedded_pair_is_small_and_says_where_it_comes_from(demo):
    data = ROOT / "sandbox" / "data"
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert size <= 12e6
    text = (data / "README.md").read_text(encoding="utf-8")
    for sae, column in zip(json.loads((demo[1] / "report.json").read_text())["saes"], (2, 3), strict=True):
        for key, estimate in sae["centred"].items():
            (row,) = (line for line in text.splitlines() if line.startswith(f"| centred {key} |"))
            assert row.split("|")[column].split()[0] == f"{estimate['value']:.4f}"
