"""Activations of a sweep on disk: read once, and split by document into a training and a held-out part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from sandbox.activations import Source, activations
from sandbox.activations.split import Split
from sandbox.errors import InputError
from sandbox.measuring.forward import FEW, fingerprint
from sandbox.measuring.preflight import SAMPLE, outlier_limit
from sandbox.system.files import folder_written_whole

CHUNK = 16_384  # tokens read at a time
STRETCH = 4096  # tokens kept together without document IDs, because the tokens of a document are alike
FIRST_LOOK = "first look"


@dataclass(frozen=True)
class SweepData:
    """The two parts of the activations, and their source.

    Attributes:
        folder:             holds train.npy and held-out.npy, and their document IDs if there are any
        source:             name of the source
        d_in:               dimension of a token
        tokens:             number of tokens to train on
        held_out_tokens:    number of tokens to measure on
        held_out_documents: number of their documents; None without document IDs
        scale:              factor that gives the training tokens a mean norm of √d, so that coefficients mean the same
                            for any model
        sha256:             hash of both parts, by alternating chunks in the order of writing
        outliers:           number of tokens left out of both parts, for their norm
        outliers_above:     multiple of the median norm above which they were left out; None if none were
    """

    folder: Path
    source: str
    d_in: int
    tokens: int
    held_out_tokens: int
    held_out_documents: int | None
    scale: float
    sha256: str
    outliers: int = 0
    outliers_above: float | None = None

    @cached_property
    def train(self) -> np.ndarray:
        """Float[ndarray, "tokens d"], memory-mapped."""
        return np.load(self.folder / "train.npy", mmap_mode="r")

    @property
    def held_out(self) -> Source:
        """The activations to measure on."""
        return activations(self.folder / "held-out.npy", self._documents("held-out"))

    def some_of_training(self) -> Source:
        """As many training tokens as are held out, evenly spread."""
        return self.training_tokens(np.arange(self.tokens))

    def training_tokens(self, rows: np.ndarray) -> Source:
        """As many of these rows of `train` as are held out, evenly spread, with their documents.

        Args: rows: Int[ndarray, "rows"], in ascending order
        """
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), self.held_out_tokens)).astype(np.int64)]
        ids = self._documents("train")
        return activations(self.train[rows], None if ids is None else np.load(ids, mmap_mode="r")[rows], "training")

    def _documents(self, part: str) -> Path | None:
        return None if self.held_out_documents is None else self.folder / f"{part}-documents.npy"

    @classmethod
    def at(cls, folder: Path) -> SweepData:
        """What `gather` wrote to `folder`; raises InputError if that is missing or incomplete."""
        if not (folder / "split.json").exists():
            raise InputError(f"{folder} holds no activations of a sweep: name the folder that `sandbox figure6` wrote")
        return _stored(folder)[0]

    def to_dict(self) -> dict:
        """As in JSON, without the folder."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


def gather(
    folder: Path,
    source: Source,
    share: float,
    tokens: int | None = None,
    progress: Callable[[int], None] | None = None,
    *,
    outliers_above: float | None = None,
) -> SweepData:
    """Read the source once into `folder`, or reuse what was gathered there.

    Each document is either held out or trained on, decided by its ID alone. Without document IDs, stretches of 4096
    tokens take their place, so a document that crosses a boundary is on both sides. Stored as float16 if the source is
    float16, else as float32.

    Args:
        share:            share of the documents to hold out, above 0 and below 1
        tokens:           maximum number of training tokens; None for all
        outliers_above:   leave out tokens whose norm is above this multiple of the median of the first 4096 tokens:
                          in a causal language model, often the first token of each context. None leaves out none
    Raises: InputError if `folder` holds other activations, a value is not finite, a part would be empty, or the
            training part would be less than half as large as it should be
    """
    split = Split(share, seed=None)
    ids = getattr(source, "documents", None)  # only sources with random access have them
    settings = {
        "source": source.name,
        "d_in": source.width,
        "share": share,
        "tokens": tokens,
        "outliers_above": outliers_above,
        FIRST_LOOK: fingerprint([source.sample(FEW), *([] if ids is None else [ids[0:STRETCH]])]),
    }
    if (folder / "split.json").exists():
        return _reuse(folder, settings)
    limit = float("inf") if outliers_above is None else outlier_limit(source.sample(SAMPLE), outliers_above)
    with folder_written_whole(folder) as beside:
        facts = {
            "source": source.name,
            "d_in": source.width,
            **_split(beside, source, split, tokens, (outliers_above, limit), progress),
        }
        (beside / "split.json").write_text(json.dumps({"asked": settings, "facts": facts}, indent=2) + "\n", "utf-8")
    return SweepData(folder, **facts)


def _stored(folder: Path) -> tuple[SweepData, dict[str, Any]]:
    """The data in the folder, and the settings that gathered it."""
    try:
        stored = json.loads((folder / "split.json").read_text("utf-8"))
        data, settings = SweepData(folder, **stored["facts"]), dict(stored["asked"])
        if data.train.shape != (data.tokens, data.d_in):
            raise ValueError("train.npy has changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} cannot be resumed ({error}): remove it to gather again") from error
    return data, settings


def _reuse(folder: Path, settings: dict[str, Any]) -> SweepData:
    data, before = _stored(folder)
    for what, now in settings.items():
        if before.get(what) != now:
            difference = f"{what} = {before.get(what)}, not {now}"
            how = "from other activations or documents" if what == FIRST_LOOK else f"with {difference}"
            raise InputError(f"{folder} was gathered {how}: name another folder to write to")
    return data


PARTS = ("train", "held-out")


def _split(
    folder: Path,
    source: Source,
    split: Split,
    tokens: int | None,
    longest: tuple[float | None, float],
    progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    """Write the tokens to both parts; return the remaining fields of `SweepData`.

    Args: longest: `outliers_above`, and the norm that it comes to, up to which tokens are written
    """
    above, limit = longest
    digest, counts, norms, at, outliers = hashlib.sha256(), [0, 0], 0.0, 0, 0
    ids: list[list[np.ndarray]] = [[], []]
    dtype = np.dtype(np.float32)
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{part}.npy").open("wb")) for part in PARTS]
        for chunk in source.chunks(CHUNK):
            if at == 0:
                dtype = np.dtype(np.float16 if chunk.x.dtype == torch.float16 else np.float32)
                for file in files:
                    _write_header(file, dtype, (0, source.width))
            x = chunk.x.detach().cpu().to(torch.float16 if dtype.itemsize == 2 else torch.float32).numpy()
            if not np.isfinite(x).all():
                where = at + int(np.argmin(np.isfinite(x).all(1)))
                raise InputError(f"{source.name}: token {where} has a NaN or an infinity: remove it first")
            unit = (np.arange(at, at + len(x)) // STRETCH) if chunk.documents is None else chunk.documents
            out, size = split.chosen(unit), np.linalg.norm(x.astype(np.float32), axis=1)
            typical = size <= limit
            outliers += int(np.count_nonzero(~typical))
            room = None if tokens is None else tokens - counts[0]
            wanted = np.flatnonzero(typical & ~out)[:room], np.flatnonzero(typical & out)
            for i, rows in enumerate(wanted):
                written = np.ascontiguousarray(x[rows]).tobytes()
                digest.update(written)
                files[i].write(written)
                counts[i] += len(rows)
                if chunk.documents is not None:
                    ids[i].append(chunk.documents[rows])
            norms += float(size[wanted[0]].sum(dtype=np.float64))
            at += len(x)
            if progress:
                progress(len(x))
            if counts[0] == tokens:
                break
        for file, count, what in zip(files, counts, ("to train on", "to measure on"), strict=True):
            if not count:
                unit = "document" if ids[0] else f"stretch of {STRETCH} tokens"
                raise InputError(f"{source.name}: no {unit} is left {what}: {at} tokens are too few")
            _write_header(file, dtype, (count, source.width))
    kept = counts[1] / (at - outliers)
    if 1 - kept < (1 - split.share) / 2:  # one whole document may be too large a share of few tokens
        unit = "documents" if ids[0] else f"stretches of {STRETCH} tokens (without document IDs)"
        raise InputError(
            f"{source.name}: {at} tokens are too few {unit}: {kept:.0%} would be held out, not {split.share:.0%}"
        )
    if not norms:
        raise InputError(f"{source.name}: every token to train on is zero")
    for part, pieces in zip(PARTS, ids, strict=True):
        if pieces:
            np.save(folder / f"{part}-documents.npy", np.concatenate(pieces))
    return {
        "tokens": counts[0],
        "held_out_tokens": counts[1],
        "held_out_documents": len(np.unique(np.concatenate(ids[1]))) if ids[0] else None,
        "scale": float(np.sqrt(source.width) * counts[0] / norms),
        "sha256": digest.hexdigest(),
        "outliers": outliers,
        "outliers_above": above,
    }


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, int]) -> None:
    """Write the header of a .npy file; numpy leaves room in it for the first axis to grow."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(
        file, {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
    )
