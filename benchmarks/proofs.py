"""Every proof fails when a sign, a factor or an exponent is changed, unless the change leaves the meaning the same."""

from collections.abc import Iterator

from benchmarks.timing import claim
from sandbox.maths import derivations
from sandbox.maths.proof.mutants import mutate


def claims() -> Iterator[bool]:
    """Print and yield the claim."""
    results = [mutate(derivations.prove(derivation.number)) for derivation in derivations.claims()]
    refused, equivalent = sum(result.refused for result in results), sum(result.equivalent for result in results)
    share = refused / (refused + sum(len(result.surviving) for result in results))
    what = f"proofs: share refused of {refused} changes ({equivalent} more are shown to be equivalent)"
    yield claim(what, share, 1.0, at_least=True)
