"""Names as people write them, ρ for rho, whatever the terminal is.

SymPy would write "rho" wherever standard output was ASCII, full or closed when it was imported; then a claim's
sentence, which has the letter, would not be what its steps state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from sympy.printing.pretty import pretty_symbology

_LOCK = RLock()  # the flag is SymPy's own, and global


@contextmanager
def unicode() -> Iterator[None]:
    """Within the block SymPy's pretty printer has all letters and signs."""
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
