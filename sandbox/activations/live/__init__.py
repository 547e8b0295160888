"""Live activations: a transformers model reads text, and what one of its layers gives is a source like any other."""

from sandbox.activations.live.source import Live, live

__all__ = ["Live", "live"]
