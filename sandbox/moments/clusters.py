"""Clusters of tokens (documents, or blocks where documents are unknown), and the groups they are dealt into."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from sandbox.errors import InputError
from sandbox.moments.dense import check_dense

BLOCK = 128
"""Tokens in a block, the default cluster: neighbouring tokens are taken to be dependent within a block."""


GOLDEN = 0x9E3779B97F4A7C15
"""The golden ratio's fraction in 64 bits: its multiples spread evenly."""


class Runs(NamedTuple):
    """Runs of neighbouring tokens: run i is tokens start[i] up to start[i + 1], all in group[i]."""

    start: Int[np.ndarray, "runs_and_end"]
    group: Int[np.ndarray, "runs"]

    def of_each_token(self) -> Int[np.ndarray, "n"]:
        """The group of each token."""
        return np.repeat(self.group, np.diff(self.start))

    def repeated(self, times: int, groups: int) -> Runs:
        """The runs repeated `times` times, each repetition in its own groups."""
        n, repetition = self.start[-1], np.arange(times)[:, None]
        start = np.append((self.start[:-1] + repetition * n).ravel(), times * n)
        return Runs(start, (self.group + repetition * groups).ravel())


def runs_of(cluster: Any, tokens: torch.Size, groups: int) -> Runs:
    """Deal the clusters of tokens into groups. Raises InputError unless there is one integer or string per token."""
    check_dense(cluster, "cluster")
    ids = numbered(cluster.detach().cpu().numpy() if isinstance(cluster, Tensor) else np.asarray(cluster))
    if ids.dtype.kind not in "iu":
        raise InputError(f"cluster has dtype {ids.dtype}: give an integer or a string per token")
    if ids.shape != tuple(tokens):
        raise InputError(f"cluster has shape {ids.shape}, but the tokens have {tuple(tokens)}: give one id per token")
    ids = ids.ravel()
    first = _firsts(ids)
    return Runs(np.append(first, len(ids)), _dealt(ids[first], groups))


def blocks_of(first_token: int, n: int, groups: int) -> Runs:
    """Deal blocks of BLOCK tokens into groups; the n tokens start at `first_token` of their file."""
    blocks = np.arange(first_token // BLOCK, -(-(first_token + n) // BLOCK))
    start = (np.append(blocks, blocks[-1] + 1) * BLOCK - first_token).clip(0, n)
    return Runs(start, _dealt(blocks, groups))


def _dealt(ids: Int[np.ndarray, "n"], groups: int) -> Int[np.ndarray, "n"]:
    """The group of each cluster."""
    # Consecutive ids go to consecutive groups. Each further round is rotated, so ids with a stride of any size fill the
    # groups, too.
    lap, group = np.divmod(ids.astype(np.int64), groups)
    spread = lap.view(np.uint64) * np.uint64(GOLDEN)
    rotation = (spread >> np.uint64(32)) * np.uint64(groups) >> np.uint64(32)
    return (group + rotation.astype(np.int64)) % groups


def numbered(ids: np.ndarray) -> np.ndarray:
    """Hash string ids (dtypes U, S, or objects that are all str) to 64-bit integers; return other ids unchanged.

    The hash is the first 8 bytes of BLAKE2b. It needs no list of the strings met so far, so it is the same in any order
    and in any process. Among a million strings, two collide with probability 3e-8.

    >>> numbered(np.array(["a", "b", "a"])).tolist()
    [3405396810240292928, 8453121595177857668, 3405396810240292928]
    """
    if ids.dtype.kind not in "USO" or (ids.dtype.kind == "O" and not all(isinstance(text, str) for text in ids.flat)):
        return ids
    flat = ids.ravel()
    first = _firsts(flat)
    numbers = np.array([_digest(text) for text in flat[first].tolist()], np.int64)
    return np.repeat(numbers, np.diff(np.append(first, len(flat)))).reshape(ids.shape)


def _digest(text: str | bytes) -> int:
    encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "little", signed=True)


def _firsts(ids: np.ndarray) -> Int[np.ndarray, "runs"]:
    """Where each run of equal neighbours starts."""
    return np.concatenate((np.zeros(min(len(ids), 1), int), np.flatnonzero(ids[1:] != ids[:-1]) + 1))
