"""Every proof fails when a sign, a factor or an exponent is changed, unless the change leaves the meaning the same."""

from collections.abc import Iterator

from benchmarks.timing import claim
from sandbox.maths import derivations
from sandbox.maths.proof.mutants import mutate


def claims() -> Iterator[bool]:
    """Print and give the claim."""
    found = [mutate(derivations.prove(one.number)) for one in derivations.claims()]
    refused, equivalent = sum(one.refused for one in found), sum(one.equivalent for one in found)
    share = refused / (refused + sum(len(one.surviving) for one in found))
    what = f"proofs: share refused of {refused} changes ({equivalent} more are shown to be equivalent)"
    yield claim(what, share, 1.0, at_least=True)
