"""The API reference is built from the docstrings without warnings and contains every exported name."""

import runpy
from pathlib import Path

import sandbox

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_in_the_reference(tmp_path):
    runpy.run_path(str(ROOT / "docs" / "reference"))["write"](tmp_path)
    page = (tmp_path / "sandbox.html").read_text("utf-8")
    assert [name for name in sandbox.__all__ if f'id="{name}"' not in page] == []
    modules = {path.relative_to(tmp_path).with_suffix("").as_posix() for path in tmp_path.rglob("*.html")}
    assert {"index", "sandbox/simulate", "sandbox/checkpoints", "sandbox/maths/measures"} <= modules
