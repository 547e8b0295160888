"""Text from files, names and arguments, escaped so that it cannot control the terminal that shows it."""

from __future__ import annotations

import re

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and newline, line separators, direction marks, and lone surrogates."""

LONGEST = 1000
"""Characters in a message, at most; the middle of a longer one is left out."""


def visible(text: str) -> str:
    r"""The text with every control character as an escape sequence.

    >>> print(visible("\x1b[31mred\x07"))
    \x1b[31mred\x07
    """
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The escaped text on one line, without its middle if it is longer than LONGEST characters."""
    line = visible(" ".join(re.split(r"[ \t\r\n]+", text.strip())))
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} … {line[-half:]}"


def shown(value: object, longest: int = 80) -> str:
    """A value from a file, for a message: its repr, truncated to `longest` characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python converts
        return f"{type(value).__name__} with too many digits"
    return text if len(text) <= longest else f"{text[: longest - 2]} …"
