"""Simulated x and x̂: vectors at controlled angles and norms, and features behind a threshold."""

from sandbox.simulate.vectors import NORMS, Pairs, pairs, stream

__all__ = ["NORMS", "Pairs", "pairs", "stream"]
