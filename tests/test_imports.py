"""Imports run one way, down the hourglass, and `import sandbox` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "sandbox"

# Each module may import those of a lower rank; SymPy's side and torch's side meet in compile and report.
RANK = {
    "text": -2,
    "errors": -1,
    "beside": 0,
    "files": 1,
    "outputs": 2,
    "screen": 1,
    "dense": 0,
    "clusters": 1,
    "devices": 1,
    "strengths": 2,
    "sums": 1,
    "data": 1,
    "data.docstrings": 2,
    "derivations": 2,
    "fused": 3,
    "measures": 3,
    "moments": 4,
    "compile": 4,
    "simulate": 5,
    "features": 6,
    "report": 5,
    "sae.activation_functions": 3,
    "sae.architectures": 3,
    "sae.normalisation": 3,
    "sae.autoencoder": 4,
    "sae.activations": 5,
    "sae.checkpoints": 6,
    "sae.latents": 6,
    "sae.norms": 5,
    "sae.published": 6,
    "sae.statistics": 6,
    "sae.live": 6,
    "sae.preflight": 6,
    "sae.sparse": 6,
    "sae.objects": 6,
    "sae.forward": 7,
    "sae.ahead": 7,
    "sae.tallies": 8,
    "sae.summary": 9,
    "sae.resume": 9,
    "sae.identity": 10,
    "sae.ranks": 10,
    "sae.stopping": 1,
    "sae.stream": 10,
    "sae.measure": 11,
    "sae.parts": 8,
    "sae.correction": 7,
    "sae.rescale": 11,
    "sae.sweep": 12,
    "plots": 7,
    "theory": 6,
    "explorer": 8,
    "checking": 8,
    "demo": 13,
    "cli": 14,
    "__main__": 15,
}
SYMPY = {"derivations", "measures", "compile", "report", "checking"}
TORCH = {
    "clusters",
    "fused",
    "moments",
    "strengths",
    "theory",
    "sums",
    "simulate",
    "features",
    "devices",
    "dense",
    "compile",
    "report",
    "plots",
    "sae",
    "explorer",
}


def home(module: str) -> str:
    """The entry of RANK that a module of the package belongs to."""
    parts = module.split(".")[1:]
    two = ".".join(parts[:2])
    return two if two in RANK else parts[0] if parts else ""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"{module}.{name.name}" for name in node.names} if module.startswith("sandbox") else {module}
    return found


MODULES = [path for path in ROOT.rglob("*.py") if path.name not in ("make.py", "__init__.py")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    name = "sandbox." + str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    mine = home(name)
    for module in imported(path):
        if module.startswith("sandbox.") and home(module) != mine:
            theirs = home(module)
            allowed = RANK.get(theirs, -3) < RANK[mine]
            assert allowed, f"{name} imports {module}: that is not downwards"
        for library, allowed in (("sympy", SYMPY), ("torch", TORCH), ("numba", {"moments"}), ("triton", {"fused"})):
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
    assert "sympy" not in loaded_by("import sandbox.moments, sandbox.simulate")
    assert "torch" not in loaded_by("import sandbox.measures; sandbox.prove('C7')")


def test_importing_the_derivations_proves_nothing():
    listed = "from sandbox.derivations import register; register.claims()"
    loaded_by(f"{listed}; assert not register._derive.cache_info().currsize")
    loaded_by(f"{listed}; register.prove('C1'); assert register._derive.cache_info().currsize == 1")
