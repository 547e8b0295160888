"""A reader's text ► tokens: all spellings of a sign, in ASCII and Unicode, become the same token.

A run of raised digits is one exponent (a²³ is a to the 23rd). A word that is not a name, but whose letters all are, is
their product (2as is 2·a·s).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

from sandbox.errors import InputError

MAX_CHARACTERS = 300
"""Characters that a text may have."""

OPERATORS = {
    "<=>": "<=>", "==>": "=>", "-->": "=>", "=>": "=>", "->": "=>", "⇒": "=>", "→": "=>", "⟹": "=>", "⇔": "<=>",
    "⟺": "<=>", "↔": "<=>", "<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "<>": "≠", "=": "=", "<": "<", ">": ">",
    "≤": "≤", "≥": "≥", "≠": "≠", "⩽": "≤", "⩾": "≥", "**": "**", "^": "**", "&&": "and", "∧": "and", "∨": "or",
    "¬": "not", "!": "not", "∈": "in", "∀": "for all", "||": "‖", "‖": "‖", "∥": "‖", "|": "|", "*": "*", "·": "*",
    "⋅": "*", "∙": "*", "×": "*", "/": "/", "÷": "/", "+": "+", "-": "-", "−": "-", "–": "-", "(": "(", ")": ")",
    "[": "[", "]": "]", ",": ",", ":": ":", "√": "√", "°": "deg", "∞": "oo",
}  # fmt: skip
KEYWORDS = {
    "and": "and", "or": "or", "not": "not", "implies": "=>", "iff": "<=>", "in": "in", "if": "if", "then": "then",
    "forall": "for all", "deg": "deg", "degree": "deg", "degrees": "deg", "oo": "oo", "inf": "oo", "infinity": "oo",
}  # fmt: skip
GREEK = {"γ": "gamma", "ρ": "rho", "θ": "theta", "π": "pi", "λ": "lam", "x\u0302": "x_hat"}
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    rf"|(?P<raised>[{''.join(RAISED)}]+)"
    r"|(?P<word>for\s+(?:all|every|any)(?:\s+real)?\b)"
    rf"|(?P<greek>(?:x\u0302|[{''.join(letter for letter in GREEK if len(letter) == 1)}])(?:[₀-₉]+|_?\d+)?)"
    r"|(?P<name>[A-Za-z](?!\u0302)(?:[A-Za-z0-9_₀-₉](?!\u0302))*)"
    rf"|(?P<sign>{'|'.join(map(re.escape, sorted(OPERATORS, key=len, reverse=True)))})",
    re.ASCII,
)


class Token(NamedTuple):
    """A piece of the text.

    Attributes:
        kind: "number", "name", "raised" (an exponent), "end", or a sign or word of the grammar
        text: as the grammar reads it
        at:   its position in the text, from 1
        word: the word that it was split from, if any
    """

    kind: str
    text: str
    at: int
    word: str = ""


def tokens(text: str, names: Collection[str]) -> list[Token]:
    """The tokens of a text, with "end" last.

    Args:   names: the names that the text may use
    Raises: InputError, one line, if it is not a string, is empty or too long, or has a character with no meaning
    """
    if not isinstance(text, str):
        raise InputError(f"a formula must be text, such as 'c/a * c/b', not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are allowed")
    plain = unicodedata.normalize("NFC", text)
    if not plain.strip():
        raise InputError("the text is empty: write a formula, such as c/a * c/b")
    read, position = [], 0
    while position < len(plain):
        match = _TOKEN.match(plain, position)
        if match is None:
            raise InputError(f"{short(text)}: {plain[position]!r} cannot be read (character {position + 1})")
        read += _read(match, names)
        position = match.end()
    return [*read, Token("end", "its end", len(plain) + 1)]


def _read(match: re.Match, names: Collection[str]) -> Iterator[Token]:
    kind, written, at = match.lastgroup, match.group(), match.start() + 1
    if kind == "number":
        yield Token("number", written, at)
    elif kind == "raised":
        yield Token("raised", "".join(RAISED[digit] for digit in written), at)
    elif kind == "word":
        yield Token("for all", written, at)
    elif kind == "sign":
        yield Token(OPERATORS[written], written, at)
    elif kind == "greek":
        letter = next(letter for letter in GREEK if written.startswith(letter))
        yield Token("name", GREEK[letter] + written.removeprefix(letter).translate(LOWERED), at)
    elif kind == "name":
        name = written.translate(LOWERED)
        if name in KEYWORDS and name not in names:
            yield Token(KEYWORDS[name], written, at)
        elif name not in names and len(name) > 1 and all(letter in names for letter in name):
            yield from (Token("name", letter, at + i, name) for i, letter in enumerate(name))
        else:
            yield Token("name", name, at)


def short(text: str) -> str:
    """A text as an error message quotes it."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
