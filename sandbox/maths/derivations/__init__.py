"""Derivations of the claims. `prove("C1")` derives one; importing this package proves nothing."""

from sandbox.maths.derivations.register import claims, named, prove
from sandbox.maths.proof.derivation import Derivation
from sandbox.maths.proof.step import Step, StepError

__all__ = ["Derivation", "Step", "StepError", "claims", "named", "prove"]
