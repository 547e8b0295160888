"""What tells one run from another: a saved run goes on only where all of it is as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from sandbox.activations import RandomAccess, SideBySide, Source, Windows
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs, fingerprint
from sandbox.measuring.resume import Facts
from sandbox.measuring.totals import Counting

LOOKED_AT = 4096
"""Tokens, or document ids at either end, whose digest is taken where reading all would cost as much as the run."""

WINDOW = 2**16  # rows that are digested at a time


def of_run(saes: Sequence[Forward | Pairs], source: Source, counting: Counting, **more: str | int | None) -> Facts:
    """The facts of a run: settings first, then files with their sizes and times, then digests of what was read.

    A file that is written between two parts of a run is noticed by its time, whatever was changed in it. Of a tensor or
    an array all numbers are digested. Of an iterable nothing is known but its first tokens: an iterable that gives
    others from the second thousand on the second time is not noticed.
    """
    facts: Facts = {"the number of SAEs": len(saes)}
    for number, sae in enumerate(saes, 1):
        which = f" {number}" if len(saes) > 1 else ""
        facts |= {f"SAE{which}": sae.name, f"the format of SAE{which}": sae.description}
        facts |= {f"--dtype of SAE{which}": str(sae.dtype or "none").removeprefix("torch.")}
    facts |= {"--activations": source.name, "their dimension": source.width}
    if isinstance(source, SideBySide | RandomAccess):  # of others it is known after the first pass at the earliest
        facts["their number"] = source.tokens
    facts |= {
        "--published": counting.published,
        "--latents": "yes" if counting.latents else "no",
        "--exclude-outliers": "yes" if counting.exclude_outliers else "no",
        **more,
    }
    documents: Windows | None = getattr(source, "documents", None)
    facts["the number of document ids"] = "none" if documents is None else len(documents)
    for path in (*getattr(source, "files", ()), *(documents.files if documents else ())):
        facts[str(path)] = _seen(path)
    for number, sae in enumerate(saes, 1):
        which = f" {number}" if len(saes) > 1 else ""
        facts[f"the digest of SAE{which}"] = sae.identity
    facts["the digest of the activations"] = fingerprint(_looked_at(source))
    facts["the digest of the document ids"] = "none" if documents is None else fingerprint(_ends(documents))
    return facts | {"the norm from which a token is an outlier": counting.outlier_limit}


def _seen(path: Path) -> str:
    """The size and the time of a file, in words."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return f"{found.st_size:,} bytes of {datetime.fromtimestamp(found.st_mtime, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def _looked_at(source: Source) -> Iterator[Tensor]:
    if isinstance(source, SideBySide):
        yield from _looked_at(source.x)
        yield from _looked_at(source.x_hat)
    elif isinstance(source, RandomAccess) and not source.files:
        yield from _windows(source.rows)
    else:
        yield source.sample(LOOKED_AT)


def _ends(documents: Windows) -> Iterator[Tensor]:
    if documents.files:
        yield from (documents[end] for end in (slice(0, LOOKED_AT), slice(-LOOKED_AT, None)))
    else:
        yield from _windows(documents)


def _windows(rows: Windows) -> Iterator[Tensor]:
    return (rows[at : at + WINDOW] for at in range(0, len(rows), WINDOW))
