"""Text from files, names and arguments, made safe to show: it moves no cursor, sets no title, turns no line round."""

from __future__ import annotations

import re

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and new line, the separators and the marks of direction, halves of a pair."""

LONGEST = 1000


def visible(text: str) -> str:
    r"""The text with every character that acts in place of being seen written out.

    >>> print(visible("\x1b[31mred\x07"))
    \x1b[31mred\x07
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same on one line, its middle left out where it is longer than anyone reads (LONGEST characters)."""
    line = visible(" ".join(re.split(r"[ \t\r\n]+", text.strip())))
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} … {line[-half:]}"


def shown(value: object, longest: int = 80) -> str:
    """A value from a file as a message shows it: its repr, cut where that is long (or cannot be made)."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return f"a {type(value).__name__} of too many digits"
    return text if len(text) <= longest else f"{text[: longest - 2]} …"
