"""Names as people write them, such as ρ for rho, whatever the terminal.

SymPy would write "rho" if standard output was ASCII, full or closed when SymPy was imported. The steps of a claim would
then no longer match its sentence, which contains the letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from sympy.printing.pretty import pretty_symbology

_LOCK = RLock()  # the flag is SymPy's own, and global


@contextmanager
def unicode() -> Iterator[None]:
    """Let SymPy's pretty printer use all letters and signs within the block."""
    with _LOCK:
        before = pretty_symbology.pretty_use_unicode(True)
        try:
            yield
        finally:
            pretty_symbology.pretty_use_unicode(before)


def shown(name: str) -> str:
    """The name with Greek letters and subscripts.

    >>> shown("gamma_10")
    'γ₁₀'
    """
    with unicode():
        return pretty_symbology.pretty_symbol(name)
