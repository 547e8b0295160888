"""Imports run one way, downwards, and `import sandbox` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "sandbox"

# A module may import modules of a lower rank. SymPy's side and torch's side meet only in compile and report.
RANK = {
    "system.text": -2,
    "errors": -1,
    "system.temporaries": 0,
    "system.terminal": 0,
    "system.interrupts": 0,
    "system.devices": 1,
    "system.dtypes": 1,
    "system": 1,
    "data": 2,
    "data.docstrings": 6,
    "data.smollm2": 6,
    "maths.letters": 0,
    "maths.symbols": 1,
    "maths.proof": 2,
    "maths.proof.deciding": 2.1,
    "maths.proof.formulas": 2.1,
    "maths.proof.calculus": 2.2,
    "maths.proof.meaning": 2.3,
    "maths.proof.conditions": 2.4,
    "maths.proof.step": 2.5,
    "maths.proof.sentence": 2.6,
    "maths.proof.typeset": 2.6,
    "maths.proof.derivation": 2.7,
    "maths.proof.mutants": 2.8,
    "maths.derivations": 3,
    "maths.derived": 4,
    "maths.measures": 5,
    "moments.dense": 1,
    "moments.clusters": 2,
    "moments.sums": 2,
    "moments.fused": 2,
    "moments.machine_code": 0,
    "moments.totalling": 3,
    "moments": 4,
    "maths.compile": 6,
    "simulate.distributions": 2,
    "simulate": 5,
    "report": 7,
    "simulate.theory": 8,
    "activations": 5,
    "checkpoints": 6,
    "measuring.norms": 7,
    "measuring.preflight": 8,
    "measuring": 9,
    "training.architectures": 3,
    "training": 10,
    "downstream": 10,
    "plots": 10,
    "explorer": 11,
    "claims": 11,
    "site.cells": 11.5,
    "site": 12,
    "demo": 12,
    "cli": 13,
    "__main__": 14,
}
SYMPY = {"maths", "report", "claims", "site.cells"}
TORCH = {
    "data.smollm2",
    "downstream",
    "moments",
    "simulate",
    "system.devices",
    "system.dtypes",
    "maths.compile",
    "report",
    "plots",
    "activations",
    "checkpoints",
    "measuring",
    "training",
    "explorer",
}


def home(module: str) -> str:
    """The entry of RANK that a module of the package belongs to."""
    parts = module.split(".")[1:]
    paths = (".".join(parts[:length]) for length in (3, 2))
    return next((path for path in paths if path in RANK), parts[0] if parts else "")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {f"{module}.{name.name}" for name in node.names} if module.startswith("sandbox") else {module}
    return names


MODULES = [path for path in ROOT.rglob("*.py") if path.name not in ("make.py", "__init__.py")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    name = "sandbox." + str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    mine = home(name)
    for module in imported(path):
        if module.startswith("sandbox.") and home(module) != mine:
            theirs = home(module)
            allowed = RANK.get(theirs, -3) < RANK[mine]
            assert allowed, f"{name} imports {module}, which is not of a lower rank"
        for library, allowed in (
            ("sympy", SYMPY),
            ("torch", TORCH),
            ("numba", {"moments"}),
            ("triton", {"moments.fused"}),
        ):
            if module.split(".")[0] == library:
                assert {mine, mine.split(".")[0]} & allowed, f"{name} must not import {library}"


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_import_sandbox_is_light():
    assert not {"torch", "sympy", "matplotlib", "numpy", "rich"} & loaded_by("import sandbox")


def test_help_imports_nothing_heavy():
    modules = loaded_by("from sandbox import cli; cli.app(['--help'], standalone_mode=False)")
    assert not {"torch", "sympy", "matplotlib", "numpy", "scipy"} & modules


def test_the_moments_need_no_sympy_and_the_derivations_no_torch():
    assert "sympy" not in loaded_by("import sandbox.moments.moments, sandbox.simulate")
    assert "torch" not in loaded_by("import sandbox.maths.measures; sandbox.prove('C7')")


def test_the_explorer_needs_no_torch_until_python_computes():
    assert "torch" not in loaded_by("from sandbox.explorer import page; page.html()")
    shown = "from sandbox import Explorer; Explorer(angle=60).preset('thales'); Explorer().sliders()"
    assert "torch" not in loaded_by(shown)
    assert "torch" in loaded_by(f"{shown}; Explorer().values")


def test_importing_the_derivations_proves_nothing():
    listed = "from sandbox.maths.derivations import register; register.claims()"
    loaded_by(f"{listed}; assert not register._derive.cache_info().currsize")
    loaded_by(f"{listed}; register.prove('C1'); assert register._derive.cache_info().currsize == 1")
