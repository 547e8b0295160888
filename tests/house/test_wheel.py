"""The wheel contains everything that the demo and the site need, including data, and runs without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.site import results

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_runs_the_demo_and_writes_the_site_without_the_repository(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "sandbox/data/minilm-gated/sae_weights.safetensors" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = "import sandbox; print(sandbox.__file__); from sandbox.cli import main; main()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", script, "demo", "--out", "out"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(
        str(tmp_path / "site")
    )  # the dependencies are from this environment, but the package is not
    assert (elsewhere / "out" / "report.json").is_file()
    subprocess.run(
        [sys.executable, "-c", script, "site", "site", "--no-python"], cwd=elsewhere, env=environment, check=True
    )
    for name, content in results.files():  # here, from the CSV files of the repository
        assert (elsewhere / "site" / name).read_bytes() == content
