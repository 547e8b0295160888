"""Text from files, names and arguments, escaped so that it cannot control the terminal that shows it."""

from __future__ import annotations

import re

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and newline, line separators, direction marks, and lone surrogates."""

SECRET = re.compile(
    r"""(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)
    (?:[^\s/@:'"]*:(?!\d*[/\s])[^\s@'"]*@ | [^\s/@'"]*@)?  # user@, or user:secret@, whose secret may have a slash
    (?P<rest>[^\s'"?\#]*)
    (?P<query>[?\#][^\s'"]*?(?=[:;,.)]*(?:[\s'"]|$)))?  # punctuation at its end is that of the sentence""",
    re.VERBOSE,
)
"""A URL, whose credentials are before its host or in its query."""

CONTAINER = ("abfs://", "abfss://")
"""In these, the name before an @ is the container's: abfs://container@account.dfs.core.windows.net/path."""

LONGEST = 1000
"""Characters in a message, at most; the middle of a longer one is left out."""


def visible(text: str) -> str:
    r"""The text with every control character as an escape sequence.

    >>> print(visible("\x1b[31mred\x07"))
    \x1b[31mred\x07
    """
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def without_credentials(text: str) -> str:
    """The text, with every URL in it stripped of user, password, query and fragment, which may be a signature.

    A question mark without an equals sign after it is a wildcard, and stays, except over HTTP.

    >>> without_credentials("https://user:pass@host:80/x.npy?X-Amz-Signature=1f is missing")
    'https://host:80/x.npy is missing'
    >>> without_credentials("s3://key:sec/ret@bucket/shard-?.npy")
    's3://bucket/shard-?.npy'
    """
    return SECRET.sub(_public, text)


def _public(url: re.Match[str]) -> str:
    scheme, rest, query = url["scheme"], url["rest"], url["query"] or ""
    if scheme.lower() in CONTAINER and ":" not in url[0][len(scheme) :].partition("@")[0]:
        rest = url[0][len(scheme) : len(url[0]) - len(query)]
    return scheme + rest + (query if query[:1] == "?" and "=" not in query and scheme[:4].lower() != "http" else "")


def one_line(text: str) -> str:
    """The escaped text on one line, without credentials, and without its middle if longer than LONGEST characters."""
    line = visible(" ".join(re.split(r"[ \t\r\n]+", without_credentials(text).strip())))
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} … {line[-half:]}"


def shown(value: object, longest: int = 80) -> str:
    """A value from a file, for a message: its repr, truncated to `longest` characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python converts
        return f"{type(value).__name__} with too many digits"
    return text if len(text) <= longest else f"{text[: longest - 2]} …"
