"""The worked examples in CONTRIBUTING.md run as written, and its map matches the package."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_worked_examples_run_in_order(tmp_path):
    script = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    assert script.count("assert ") >= 4
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_map_names_every_folder_of_the_package():
    rows = " ".join(line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `sandbox/"))
    folders = {path.name for path in (ROOT / "sandbox").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"sandbox/(\w+)/", rows)) | {"data"} == folders


def test_what_it_mentions_exists():
    for path in set(re.findall(r"`((?:sandbox|tests|docs|benchmarks)/[\w/.]+)`", TEXT)):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"make ([\w-]+)", TEXT)) <= set(targets)
