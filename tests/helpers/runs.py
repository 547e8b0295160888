"""Small measuring runs for tests: files to measure, commands to run, reports to compare."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sandbox.cli import main

D, N = 24, 6000
EXACT = 1e-12  # the same float64 sums in another order


def tokens() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, D, generator=generator) + 0.5


def write_files(folder: Path) -> None:
    """Write activations as one file and as uneven shards, document ids, and two SAEs."""
    x = tokens()
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "ids.npy", np.arange(N) // 37)
    for i, part in enumerate(x.split([100, 3500, 2400])):
        np.save(folder / f"part-{i}.npy", part.numpy())
    for seed in (0, 1):
        save_sae(folder / f"sae-{seed}", seed)


def save_sae(path: Path, seed: int) -> None:
    """Write a SAELens folder with random weights, whose x̂ is not far from x."""
    generator = torch.Generator().manual_seed(seed)
    W_dec = torch.nn.functional.normalize(torch.randn(4 * D, D, generator=generator), dim=1)
    weights = {"W_enc": 0.3 * W_dec.T.contiguous(), "W_dec": W_dec, "b_dec": 0.1 * torch.ones(D)}
    path.mkdir()
    save_file(weights | {"b_enc": torch.full((4 * D,), -0.05)}, path / "sae_weights.safetensors")
    config = {"architecture": "standard", "d_in": D, "d_sae": 4 * D, "apply_b_dec_to_input": True}
    (path / "cfg.json").write_text(json.dumps(config))


def arguments(folder: Path, *more, source: str = "x.npy") -> list[str]:
    command = ["measure", "--sae", folder / "sae-0", "--activations", folder / source, "--device", "cpu"]
    return [*map(str, [*command, "--batch-size", 64, "--published", 32, "--json", "-", *more])]


def report_of(done: subprocess.CompletedProcess) -> dict:
    """The report of the only SAE, from what `sandbox measure --json -` printed."""
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["saes"]
    return report


def sandbox(*arguments: object, cwd: Path | str = ".", limit: int | None = None) -> subprocess.CompletedProcess:
    """Output and exit status of `sandbox ARGUMENTS`, run in this process, because importing torch takes seconds.

    Args: limit: the most bytes that a file may have, which simulates a full disk
    """
    command = ["sandbox", *map(str, arguments)]
    printed, errors = io.StringIO(), io.StringIO()
    before = resource.getrlimit(resource.RLIMIT_FSIZE), sys.argv
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.argv = command
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[0][1]))
        ends = patch("sandbox.cli.program.leave", sys.exit)  # a thread that it abandoned may not end this process
        with chdir(cwd), redirect_stdout(printed), redirect_stderr(errors), ends, pytest.raises(SystemExit) as end:
            main()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.argv = before[1]
    return subprocess.CompletedProcess(command, int(end.value.code or 0), printed.getvalue(), errors.getvalue())


def run(command: list[str]) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def by_torchrun(processes: int, command: list[str], program: str = "sandbox") -> subprocess.CompletedProcess:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend"]
    return run([*launcher, "c10d", "--rdzv-endpoint", "localhost:0", "-m", program, *command])


def assert_same(report: dict, other: dict, tolerance: float = EXACT) -> None:
    """Assert that every number of two reports agrees, and that lists and strings are equal."""
    assert report.keys() == other.keys()
    for key, value in report.items():
        if isinstance(value, dict):
            assert_same(value, other[key], tolerance)
        elif isinstance(value, float):
            assert value == pytest.approx(other[key], rel=tolerance, abs=tolerance), key
        else:
            assert value == other[key], key
