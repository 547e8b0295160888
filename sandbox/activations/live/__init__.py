"""Live activations: a transformers model reads text, and the output of one of its layers is a source."""

from sandbox.activations.live.source import Live, live

__all__ = ["Live", "live"]
