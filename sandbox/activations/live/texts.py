"""Documents from text files, one at a time: a document is what a token's id names, and the cluster of the interval."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import InputError

SUFFIXES = (".txt", ".jsonl")


def text_files(source: str | Path) -> list[Path]:
    """The text files that `source` names, in the order in which they are read.

    Args:     source: a .txt or .jsonl file; a folder (the .txt and .jsonl files directly in it, by name; anything
                      else in it is left alone); or a pattern such as texts/*.jsonl, of which every match must be one
    Raises:   InputError when there is none, or a file that was named has another suffix
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
        if not files:
            raise InputError(f"{path} holds no .txt and no .jsonl file: name the folder or the file with the text")
        return files
    files = [path] if path.exists() else [Path(one) for one in sorted(glob.glob(str(source), recursive=True))]
    if not files:
        raise InputError(f"{path}: there is no such file or folder (for text), and no file fits it as a pattern")
    for one in files:
        if one.suffix not in SUFFIXES or not one.is_file():
            found = "a folder" if one.is_dir() else f"not {one.suffix or 'this'}"
            raise InputError(f"{one}: text is read from .txt and .jsonl files, {found}")
    return files


def documents(files: list[Path], whole_files: bool = False) -> Iterator[str]:
    """The documents of text files, in order; no more than one of them is held at a time.

    .txt:    UTF-8; documents are separated by blank lines, so a paragraph is a document. With `whole_files` each file
             is one document: for books, or anything else that holds blank lines and belongs together.
    .jsonl:  one JSON object a line, whose field "text" is a document; blank lines are passed over

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
    """Each line with its number, counted from 1; decoded one by one, so that an error can name its line."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                # A mark of the byte order before the first letter is no text.
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number} is not UTF-8 ({error.reason}): save the text as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _paragraphs(path: Path) -> Iterator[str]:
    held: list[str] = []
    for _, line in _lines(path):
        if line.strip():
            held.append(line)
        elif held:
            yield "".join(held).rstrip("\r\n")
            held = []
    if held:
        yield "".join(held).rstrip("\r\n")


def _jsonl(path: Path) -> Iterator[str]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            found = f"{where} is not JSON ({error})"
            raise InputError(f"{found}: one object with a field 'text' a line is needed") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            found = f"fields {', '.join(map(repr, entry))}" if isinstance(entry, dict) else f"a {type(entry).__name__}"
            raise InputError(f"{where} has {found}: a field 'text' that is a string is needed")
        text = entry["text"]
        try:
            text.encode()
        except UnicodeEncodeError as error:
            found = f"{where} holds half a surrogate pair, which is no text"
            raise InputError(f"{found}: leave that document out") from error
        yield text
