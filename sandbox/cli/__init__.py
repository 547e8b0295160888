"""The commands. Nothing heavy is imported before a command that needs it has been chosen."""

from sandbox.cli import argument, explorer, figure6, measure, rescale  # each adds its commands to the program
from sandbox.cli.program import app, main

__all__ = ["app", "argument", "explorer", "figure6", "main", "measure", "rescale"]
