"""Claims and steps of the reader's own: read safely, then proven, refuted by two vectors, or left undecided."""
