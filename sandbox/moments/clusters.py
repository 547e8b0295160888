"""Clusters of tokens (documents, or blocks where none are known), and the groups that they are dealt into."""

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
"""Tokens in a block, the cluster where none are given: neighbouring tokens are dependent, as far as a block is long."""


class Runs(NamedTuple):
    """Neighbouring tokens of one group: run i is the tokens start[i] to start[i + 1], all of group[i]."""

    start: Int[np.ndarray, "runs+1"]
    group: Int[np.ndarray, "runs"]

    def of_each_token(self) -> Int[np.ndarray, "n"]:
        """The group of each token."""
        return np.repeat(self.group, np.diff(self.start))

    def repeated(self, times: int, groups: int) -> Runs:
        """The same runs again and again, each time in groups of their own."""
        n, again = self.start[-1], np.arange(times)[:, None]
        start = np.append((self.start[:-1] + again * n).ravel(), times * n)
        return Runs(start, (self.group + again * groups).ravel())


def runs_of(cluster: Any, tokens: torch.Size, groups: int) -> Runs:
    """The groups that tokens' clusters are dealt into. Raises InputError for what is not one integer or text each."""
    check_dense(cluster, "cluster")
    ids = numbered(cluster.detach().cpu().numpy() if isinstance(cluster, Tensor) else np.asarray(cluster))
    if ids.dtype.kind not in "iu":
        raise InputError(f"cluster has dtype {ids.dtype}: an integer or a text per token is needed")
    if ids.shape != tuple(tokens):
        raise InputError(f"cluster has shape {ids.shape}, the tokens {tuple(tokens)}: one per token is needed")
    ids = ids.ravel()
    first = _firsts(ids)
    return Runs(np.append(first, len(ids)), _dealt(ids[first], groups))


def blocks_of(first_token: int, n: int, groups: int) -> Runs:
    """Blocks of BLOCK tokens, of a file of which these are the tokens from `first_token` on."""
    blocks = np.arange(first_token // BLOCK, -(-(first_token + n) // BLOCK))
    start = (np.append(blocks, blocks[-1] + 1) * BLOCK - first_token).clip(0, n)
    return Runs(start, _dealt(blocks, groups))


def _dealt(ids: Int[np.ndarray, "n"], groups: int) -> Int[np.ndarray, "n"]:
    """The group of each cluster."""
    # Consecutive ids go to different groups in turn; each further round is turned by a multiple of the golden ratio,
    # which spreads evenly, so that ids in steps of any size fill the groups, too.
    turn, place = np.divmod(ids.astype(np.int64), groups)
    spread = turn.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    turned = (spread >> np.uint64(32)) * np.uint64(groups) >> np.uint64(32)
    return (place + turned.astype(np.int64)) % groups


def numbered(ids: np.ndarray) -> np.ndarray:
    """Texts (dtypes U, S, or objects that are all str) as 64-bit numbers, the same text always the same; else as given.

    The first 8 bytes of BLAKE2b, so that texts are told apart without a list of those met before, in any order and by
    any process: of a million of them two get the same number with probability 3e-8.

    >>> numbered(np.array(["a", "b", "a"])).tolist()
    [3405396810240292928, 8453121595177857668, 3405396810240292928]
    """
    if ids.dtype.kind not in "USO" or (ids.dtype.kind == "O" and not all(isinstance(one, str) for one in ids.flat)):
        return ids
    flat = ids.ravel()
    first = _firsts(flat)
    numbers = np.array([_digest(one) for one in flat[first].tolist()], np.int64)
    return np.repeat(numbers, np.diff(np.append(first, len(flat)))).reshape(ids.shape)


def _digest(text: str | bytes) -> int:
    held = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(held, digest_size=8).digest(), "little", signed=True)


def _firsts(ids: np.ndarray) -> Int[np.ndarray, "runs"]:
    """Where each run of equal neighbours starts."""
    return np.concatenate((np.zeros(min(len(ids), 1), int), np.flatnonzero(ids[1:] != ids[:-1]) + 1))
