"""Measure a real SAE in one pass over its activations, and correct its shrinkage."""
