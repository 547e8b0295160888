"""rich's console, on which nothing that is shown can act on the terminal: names and settings come from files."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sandbox.system.text import visible


class Screen(Console):
    """A console whose text is made visible where everything that is printed comes by: in its pieces."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is printed; styles and the moves of progress bars are rich's own, and stay."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(visible(piece.text), piece.style)

    def on_broken_pipe(self) -> None:
        """Leave it to the program, which may have files to write: rich would end it here."""
        raise BrokenPipeError(errno.EPIPE, "the reader has gone")
