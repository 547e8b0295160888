"""English text that needs no download: the docstrings of installed packages.

`python -m sandbox.data.docstrings FILE.jsonl` writes one document per line, for `sandbox measure --model … --text`.
requirements.txt pins the packages; other versions of them give other text.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import random
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sandbox.activations.split import Split
from sandbox.system.files import written_whole

PACKAGES = "torch, numpy, scipy, sympy, matplotlib, transformers, sklearn, pandas, statsmodels, networkx, nltk"
COMMON = "the a an of to in is are be and or for with that this it as by on if not from at which when"


def docstrings(source: str) -> list[str]:
    """The docstrings of a module and of its classes and functions, in the order of the file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a template, or a deliberately broken test file
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    by_line = [(getattr(node, "lineno", 0), ast.get_docstring(node)) for node in nodes]
    return [text for _, text in sorted((line, text) for line, text in by_line if text)]


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph reads as English: long enough, mostly letters, with common words and no doctest."""
    words, common = paragraph.split(), set(COMMON.split())
    if len(words) < 12 or ">>>" in paragraph or "```" in paragraph:
        return False
    letters = sum(c.isalpha() or c.isspace() for c in paragraph) / len(paragraph)
    common_words = sum(word.lower() in common for word in words) / len(words)
    return letters > 0.85 and common_words > 0.2


def passages(source: str, seen: set[str]) -> list[str]:
    """The prose of each docstring, without paragraphs seen before, so that no text can be in both splits.

    Args: seen: the paragraphs of all files so far; those of this file are added
    """
    fresh_prose = []
    for docstring in docstrings(source):
        paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", docstring)]
        fresh = [p for p in dict.fromkeys(paragraphs) if p not in seen and is_prose(p)]
        seen.update(fresh)
        if fresh:
            fresh_prose.append(" ".join(fresh))
    return fresh_prose


def package_folder(package: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"package {package!r} is not installed: `make data` installs all that are needed")
    return Path(spec.origin).parent


def documents() -> list[list[str]]:
    """All documents, each a list of passages: those of one source file. No package is imported."""
    seen: set[str] = set()
    by_file = []
    for package in PACKAGES.split(", "):
        for path in sorted(package_folder(package).rglob("*.py")):
            by_file.append(passages(path.read_text("utf-8", errors="ignore"), seen))
    return [document for document in by_file if document]


def write(
    path: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="File to write.")],
    held_out: Annotated[
        float | None, typer.Option(help="Write only the documents that a sweep with this --held-out does not train on.")
    ] = None,
) -> None:
    """Write every document as one line of JSON, in a fixed random order that mixes the packages."""
    shuffled = documents()
    random.Random(0).shuffle(shuffled)
    if held_out is not None:
        chosen = Split(held_out, seed=None).chosen(np.arange(len(shuffled)))
        shuffled = [document for document, kept in zip(shuffled, chosen, strict=True) if kept]
    lines = (json.dumps({"text": "\n".join(document)}) for document in shuffled)
    with written_whole(path) as beside:
        beside.write_text("\n".join(lines) + "\n", "utf-8")
    words = sum(len(passage.split()) for document in shuffled for passage in document)
    print(f"{path}: {len(shuffled)} documents, {words:,} words")


if __name__ == "__main__":
    typer.run(write)
