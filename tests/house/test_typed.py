"""`pytest --typed` enforces the annotations of the core; without it, a wrong dtype or shape may go unnoticed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("argument", ["torch.arange(3)", "[0.5]", "'text'"])
@pytest.mark.parametrize("typed", [True, False])
def test_a_wrong_argument_is_named_only_with_typed(typed, argument):
    script = "import torch; from tests.helpers.typechecker import install\n"
    script += "install()\n" if typed else ""
    script += f"from sandbox.checkpoints.activation_functions import ReLU\nReLU().forward({argument})\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ("pre_acts" in done.stderr and "TypeCheckError" in done.stderr) == typed, done.stderr
