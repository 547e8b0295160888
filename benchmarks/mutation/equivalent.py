"""Mutants that no test can catch, for the file with the change does the same; each with the reason.

An entry that is no mutant of the source any more is an error: somebody must look again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.mutation.mutants import Mutant


@dataclass(frozen=True)
class Equivalent:
    """A change of a line (both as `Mutant` has them) that changes nothing, and why."""

    file: str
    line: str
    change: str
    reason: str

    def is_of(self, mutant: Mutant) -> bool:
        """Whether this is that mutant."""
        return (self.file, self.line, self.change) == (mutant.file, mutant.line, mutant.change)


EQUIVALENT: tuple[Equivalent, ...] = (
    Equivalent(
        "sandbox/sae/sparse.py",
        "found += acts[i, j] != 0",
        "found += acts[i, j] != 0 ► found -= acts[i, j] != 0",
        "only whether it is 0 is asked",
    ),
)


def stale(files: Iterable[str], mutants: Iterable[Mutant]) -> list[Equivalent]:
    """Entries of these files that none of their mutants is."""
    there = {(one.file, one.line, one.change) for one in mutants}
    known = set(files)
    return [one for one in EQUIVALENT if one.file in known and (one.file, one.line, one.change) not in there]
