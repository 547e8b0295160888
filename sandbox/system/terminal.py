"""A rich console that escapes control characters: it prints names and settings from files that nobody has vetted."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sandbox.system.text import visible


class Screen(Console):
    """A console that escapes control characters in every segment it prints."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments, escaped. rich's own styles and cursor movements (of progress bars) are kept."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Let the program handle it, because it may have files to write; rich would exit."""
        raise BrokenPipeError(errno.EPIPE, "the reader has closed the pipe")
