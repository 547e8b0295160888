"""Preflight: what a sample shows, before a long run, that would make the measured shrinkage meaningless."""

from sandbox.measuring.preflight.check import SAMPLE, preflight
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.provenance import provenance
from sandbox.measuring.preflight.sample import OUTLIER, outlier_limit, scale_to_root_d

__all__ = ["OUTLIER", "SAMPLE", "Finding", "outlier_limit", "preflight", "provenance", "scale_to_root_d"]
