"""Measure a real SAE: one pass over its activations, every total, and what to do about the shrinkage."""
