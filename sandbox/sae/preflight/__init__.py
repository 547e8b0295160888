"""Preflight: what a sample shows, before a long run, that would make the measured shrinkage meaningless."""

from sandbox.sae.preflight.check import SAMPLE, preflight
from sandbox.sae.preflight.finding import Finding
from sandbox.sae.preflight.provenance import provenance
from sandbox.sae.preflight.sample import outlier_limit

__all__ = ["SAMPLE", "Finding", "outlier_limit", "preflight", "provenance"]
