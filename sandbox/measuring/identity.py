"""The facts that identify a run: a saved run is resumed only if all of them are unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from sandbox.activations import RandomAccess, SideBySide, Source, Windows
from sandbox.activations.stores import StoredObject
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs, fingerprint
from sandbox.measuring.resume import Facts
from sandbox.measuring.totals import Counting

FINGERPRINTED = 4096
"""Tokens (or document IDs at each end) to fingerprint where reading them all would cost as much as the run."""

WINDOW = 2**16  # rows to fingerprint at a time


def of_run(saes: Sequence[Forward | Pairs], source: Source, counting: Counting, **more: str | int | None) -> Facts:
    """The facts of a run: its settings, then files with their sizes and times, then fingerprints of the data.

    Any write to a file between two parts of a run is detected by the file's time. Tensors and arrays are fingerprinted
    whole. For an iterable only the first tokens are checked: if it yields different tokens later, that goes unnoticed.
    """
    facts: Facts = {"the number of SAEs": len(saes)}
    for number, sae in enumerate(saes, 1):
        suffix = f" {number}" if len(saes) > 1 else ""
        facts |= {f"SAE{suffix}": sae.name, f"the format of SAE{suffix}": sae.description}
        facts |= {f"--dtype of SAE{suffix}": str(sae.dtype or "none").removeprefix("torch.")}
        facts[f"the training penalty of SAE{suffix}"] = _of_penalty(sae)
    facts |= {"--activations": source.name, "their dimension": source.width}
    if isinstance(source, SideBySide | RandomAccess):  # other sources know it only after a pass
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
        facts[str(path)] = size_and_time(path)
    for number, sae in enumerate(saes, 1):
        suffix = f" {number}" if len(saes) > 1 else ""
        facts[f"the digest of SAE{suffix}"] = sae.identity
    facts["the digest of the activations"] = fingerprint(_sampled(source))
    facts["the digest of the document ids"] = "none" if documents is None else fingerprint(_ends(documents))
    return facts | {"the norm from which a token is an outlier": counting.outlier_limit}


def _of_penalty(sae: Forward | Pairs) -> str:
    """Which slope is counted; the coefficient does not matter."""
    scale = None if sae.penalty is None else sae.penalty.tanh_scale
    return "none or L1" if scale is None else f"tanh, scale {scale:g}"


def size_and_time(path: Path | StoredObject) -> str:
    """The size and modification time of a file; the size and ETag of an object in a store."""
    if isinstance(path, StoredObject):
        return path.stamp
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return f"{status.st_size:,} bytes of {datetime.fromtimestamp(status.st_mtime, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def _sampled(source: Source) -> Iterator[Tensor]:
    if isinstance(source, SideBySide):
        yield from _sampled(source.x)
        yield from _sampled(source.other)
    elif isinstance(source, RandomAccess) and not source.files:
        yield from _windows(source.rows)
    else:
        yield source.sample(FINGERPRINTED)


def _ends(documents: Windows) -> Iterator[Tensor]:
    if documents.files:
        yield from (documents[end] for end in (slice(0, FINGERPRINTED), slice(-FINGERPRINTED, None)))
    else:
        yield from _windows(documents)


def _windows(rows: Windows) -> Iterator[Tensor]:
    return (rows[at : at + WINDOW] for at in range(0, len(rows), WINDOW))
