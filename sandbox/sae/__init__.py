"""Real SAEs: reading activations and checkpoints, and streaming both into a `Report`."""
