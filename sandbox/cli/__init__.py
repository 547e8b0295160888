"""The commands. Nothing heavy is imported until a command needs it."""

from sandbox.cli import (  # importing a module adds its commands to the program
    argument,
    explorer,
    figure6,
    loss,
    measure,
    rescale,
    site,
)
from sandbox.cli.program import app, main, unwrap_help

unwrap_help()

__all__ = ["app", "argument", "explorer", "figure6", "loss", "main", "measure", "rescale", "site"]
