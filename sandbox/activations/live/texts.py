"""Documents from text files, one at a time. The tokens of a document share an id; intervals treat them as a cluster."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import InputError

SUFFIXES = (".txt", ".jsonl")


def text_files(source: str | Path) -> list[Path]:
    """The text files that `source` names, in reading order.

    Args:   source: a .txt or .jsonl file; a folder (its own .txt and .jsonl files, by name; everything else in it is
                    ignored); or a pattern such as texts/*.jsonl, where every match must be such a file
    Raises: InputError if there is no text file, or a named file has another suffix
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise InputError(f"{path} holds no .txt or .jsonl file: name the folder or the file with the text")
        return files
    files = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
    if not files:
        raise InputError(f"{path}: there is no such file or folder (for text), and no file matches it as a pattern")
    for file in files:
        if file.suffix not in SUFFIXES or not file.is_file():
            actual = "this is a folder" if file.is_dir() else f"not {file.suffix or 'files without a suffix'}"
            raise InputError(f"{file}: text is read from .txt and .jsonl files, {actual}")
    return files


def documents(files: list[Path], whole_files: bool = False) -> Iterator[str]:
    """The documents of text files, in order, one at a time.

    .txt:    UTF-8; blank lines separate documents, so each paragraph is one. With `whole_files` each file is one
             document: for books and other texts that contain blank lines
    .jsonl:  one JSON object per line, whose field "text" is a document; blank lines are skipped

    Raises:  InputError that names file and line
    """
    for path in files:
        if path.suffix == ".jsonl":
            yield from _jsonl(path)
        elif whole_files:
            yield "".join(line for _, line in _lines(path))
        else:
            yield from _paragraphs(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Lines are decoded one by one, so that an error can name its line."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")  # skips the BOM
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number} is not UTF-8 ({error.reason}): save the text as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _paragraphs(path: Path) -> Iterator[str]:
    paragraph: list[str] = []
    for _, line in _lines(path):
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "".join(paragraph).rstrip("\r\n")
            paragraph = []
    if paragraph:
        yield "".join(paragraph).rstrip("\r\n")


def _jsonl(path: Path) -> Iterator[str]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        location = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{location} is not JSON ({error}): each line must be an object with a field 'text'"
            ) from error
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            is_object = isinstance(entry, dict)
            actual = f"the fields {', '.join(map(repr, entry))}" if is_object else f"a {type(entry).__name__}"
            raise InputError(f"{location} holds {actual}: an object with a field 'text', a string, is needed")
        text = entry["text"]
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{location} holds a lone surrogate, which is not valid text: omit that document"
            ) from error
        yield text
