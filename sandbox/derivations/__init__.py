"""Derivations of the claims: `prove("C1")` shows one, and importing this proves nothing."""

from sandbox.derivations.derivation import Derivation
from sandbox.derivations.register import claims, named, prove
from sandbox.derivations.step import Step, StepError

__all__ = ["Derivation", "Step", "StepError", "claims", "named", "prove"]
