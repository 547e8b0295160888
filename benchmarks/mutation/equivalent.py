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
        "sandbox/moments/moments.py",
        "if settings > 1:  # a setting's groups are its own",
        "1 ► 0",
        "one setting that is repeated once has the same groups",
    ),
    Equivalent(
        "sandbox/moments/totalling.py",
        "if supported(x, x_hat):",
        "supported(x, x_hat) ► supported(x_hat, x)",
        "the same is asked of both, and both have one shape and one device",
    ),
    Equivalent(
        "sandbox/moments/machine_code.py",
        'options: Any = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}',
        "True ► False",
        "only whether other threads of Python wait: a matter of time",
    ),
    Equivalent(
        "sandbox/moments/totalling.py",
        "cuts = np.linspace(0, len(rows), workers + 1).astype(int).tolist()",
        "1 ► 2",
        "one share more, each shorter: the same sums",
    ),
    Equivalent(
        "sandbox/moments/fused.py",
        "moved = 2 * n < tile * len(group)",
        "tile * len(group) ► len(group)",
        "when runs are gathered first is a matter of time: the sums are the same",
    ),
    Equivalent(
        "sandbox/moments/fused.py",
        "with torch.cuda.device_of(x):",
        "x ► x_hat",
        "both are on one device",
    ),
    Equivalent(
        "sandbox/measuring/sparse.py",
        "active += acts[i, j] != 0",
        "active += acts[i, j] != 0 ► active -= acts[i, j] != 0",
        "only whether it is 0 is asked",
    ),
    Equivalent(
        "sandbox/measuring/sparse.py",
        "return torch.linalg.vector_norm(floats, 0, dim=-1, dtype=torch.float32)",
        "-1 ► 1",
        "the latents have two axes: the last is that of index 1",
    ),
    Equivalent(
        "sandbox/measuring/forward.py",
        "self._piece = max(1, tokens // 2)",
        "1 ► 0",
        "one token alone is not halved but raised, so half of the tokens is one or more",
    ),
    Equivalent(
        "sandbox/measuring/forward.py",
        "return torch.finfo(dtype).eps > 1e-4",
        "0.0001 ► 0.0002",
        "no float dtype has an epsilon in between",
    ),
    Equivalent(
        "sandbox/measuring/forward.py",
        "if observe is not None and feature_acts is not None:",
        "feature_acts ► count",
        "latents are counted exactly where they are seen",
    ),
    Equivalent(
        "sandbox/measuring/latents.py",
        "STRIDE = 16  # latents checked together: usually all are off",
        "16 ► 15",
        "how many are looked at together is a matter of time",
    ),
    Equivalent(
        "sandbox/measuring/latents.py",
        "return cls(*(_on_host if host else _on_device)(*tensors, group, scale))",
        "_on_host if host else _on_device ► _on_device",
        "the other way to the same sums",
    ),
    Equivalent(
        "sandbox/measuring/latents.py",
        "f *= torch.where(ok[:, None], scale.reshape(-1, 1), 0)",
        "0 ► 1",
        "f is 0 already where a token is not finite",
    ),
    Equivalent(
        "sandbox/measuring/latents.py",
        "energy = (member.to(wide) @ f.square_()).double() * norms",
        "(member.to(wide) @ f.square_()).double() ► member.to(wide) @ f.square_()",
        "times float64 it becomes float64 all the same",
    ),
    Equivalent(
        "sandbox/measuring/sparse.py",
        "whole = count // 4 * 4",
        "4 ► 5",
        "what fours do not take is added one by one: the same sums",
    ),
    Equivalent(
        "sandbox/measuring/published.py",
        "PIECE = 2**18",
        "18 ► 19",
        "how many numbers at a time is a matter of time and memory",
    ),
    Equivalent(
        "sandbox/measuring/published.py",
        "none = torch.zeros(0, 1, 1)",
        "1 ► 2",
        "of no batch at all only the names are asked",
    ),
    Equivalent(
        "sandbox/measuring/resume.py",
        "drop if name.startswith(prefix)",
        "drop if name.startswith(prefix)",
        "a name with another prefix keeps it, and is then none of a record's names",
    ),
    Equivalent(
        "sandbox/measuring/ranks.py",
        "PATIENCE = timedelta(hours=24)",
        "24 ► 25",
        "how long a rank waits for a slower one is a matter of patience: no test waits a day",
    ),
    Equivalent(
        "sandbox/measuring/preflight/biases.py",
        "lacking = (x.double() - x_hat.double()).mean(0)",
        "x.double() ► x",
        "x̂ is float64 there, and so is the difference",
    ),
    Equivalent(
        "sandbox/measuring/preflight/sample.py",
        "return torch.linalg.vector_norm(x.detach().cpu(), dim=-1, dtype=torch.float64)",
        "-1 ► 1",
        "a sample has two axes: the last is that of index 1",
    ),
)


def stale(files: Iterable[str], mutants: Iterable[Mutant]) -> list[Equivalent]:
    """Entries of these files that none of their mutants is."""
    there = {(one.file, one.line, one.change) for one in mutants}
    known = set(files)
    return [one for one in EQUIVALENT if one.file in known and (one.file, one.line, one.change) not in there]
