"""English text that needs no download: the docstrings of installed packages.

`python -m sandbox.data.docstrings FILE.jsonl` writes them, a document a line, for `sandbox measure --model … --text`.
The packages are those of requirements.txt; other versions of them give other text.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import random
import re
import sys
from pathlib import Path

from sandbox.system.files import written_whole

TEXT = "torch, numpy, scipy, sympy, matplotlib, transformers, sklearn, pandas, statsmodels, networkx, nltk"
COMMON = "the a an of to in is are be and or for with that this it as by on if not from at which when"


def docstrings(source: str) -> list[str]:
    """The docstrings of a module, of its classes and of its functions, in the order of the file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a template, or a file kept broken for a test
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [(getattr(n, "lineno", 0), ast.get_docstring(n)) for n in ast.walk(tree) if isinstance(n, documented)]
    return [text for _, text in sorted((line, text) for line, text in found if text)]


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph reads as English: long enough, mostly letters, with small words, and no doctest."""
    words, common = paragraph.split(), set(COMMON.split())
    if len(words) < 12 or ">>>" in paragraph or "```" in paragraph:
        return False
    letters = sum(c.isalpha() or c.isspace() for c in paragraph) / len(paragraph)
    small = sum(w.lower() in common for w in words) / len(words)
    return letters > 0.85 and small > 0.2


def passages(source: str, seen: set[str]) -> list[str]:
    """The prose of each docstring, without the paragraphs met before (in any file: no text can be in both splits)."""
    kept = []
    for docstring in docstrings(source):
        paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", docstring)]
        fresh = [p for p in dict.fromkeys(paragraphs) if p not in seen and is_prose(p)]
        seen.update(fresh)
        if fresh:
            kept.append(" ".join(fresh))
    return kept


def package_folder(package: str) -> Path:
    """Where an installed package lies, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"package {package!r} is not installed: the README has the command that installs all of them")
    return Path(spec.origin).parent


def documents() -> list[list[str]]:
    """All documents; one document is the passages of one source file. The packages are read, never imported."""
    seen: set[str] = set()
    found = []
    for package in TEXT.split(", "):
        for path in sorted(package_folder(package).rglob("*.py")):
            found.append(passages(path.read_text("utf-8", errors="ignore"), seen))
    return [document for document in found if document]


def main(path: str, seed: int = 0) -> None:
    """Write every document as one line of JSON, in an order drawn with the seed: the packages are mixed."""
    found = documents()
    random.Random(seed).shuffle(found)
    lines = (json.dumps({"text": "\n".join(document)}) for document in found)
    with written_whole(path) as beside:
        beside.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{path}: {len(found)} documents, {sum(len(text.split()) for one in found for text in one):,} words")


if __name__ == "__main__":
    main(sys.argv[1])
