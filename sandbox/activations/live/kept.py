"""A text tokenised once: its contexts, in a temporary file that is read as often as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sandbox.activations.live.contexts import Context, Contexts
from sandbox.activations.split import Split
from sandbox.errors import InputError

AT_ONCE = 1 << 16  # contexts of which it is decided at a time whether they are read


class Kept:
    """The contexts of some documents, in the order of the text.

    A context is its document, its length, and its token ids without the special tokens around them, in four bytes each:
    about as many bytes as the text has.

    Attributes: contexts, tokens: how many are kept, and the tokens to measure in them
    """

    def __init__(self, path: Path, contexts: Contexts) -> None:
        self.path, self._contexts = path, contexts
        self.contexts = self.tokens = 0

    @contextmanager
    def written(self) -> Iterator[Callable[[Context], None]]:
        """Within the block, keep contexts, one at a time."""
        before, after = len(self._contexts.before), len(self._contexts.after)
        with self.path.open("wb") as file:

            def keep(context: Context) -> None:
                ids = context.ids[before : len(context.ids) - after].astype(np.int32)
                file.write(np.array([context.document, len(ids)], np.int64).tobytes() + ids.tobytes())
                self.contexts += 1
                self.tokens += len(context.measured)

            yield keep

    def spread(self, tokens: int | None = None) -> Iterator[Context]:
        """Contexts from all over the text with about so many tokens to measure; None, or more than there are: all.

        Which ones depends only on their number and that of the tokens: multiples of the golden ratio, modulo 1, lie
        evenly between 0 and 1, and those below the share of the tokens are chosen. Fewer tokens are part of more.
        """
        with self.path.open("rb") as file:
            for chosen in self._chosen(tokens):
                document, length = np.frombuffer(file.read(16), np.int64).tolist()
                if not chosen:
                    file.seek(4 * length, 1)
                    continue
                context = self._contexts.context(document, np.frombuffer(file.read(4 * length), np.int32))
                assert context is not None  # it was one when it was kept
                yield context

    def _chosen(self, tokens: int | None) -> Iterator[bool]:
        if tokens is None or tokens >= self.tokens:
            yield from repeat(True, self.contexts)
            return
        split = Split(tokens / self.tokens, seed=None)
        for start in range(0, self.contexts, AT_ONCE):
            yield from split.chosen(np.arange(start, min(start + AT_ONCE, self.contexts))).tolist()


@contextmanager
def halves(
    contexts: Contexts, documents: Iterable[str], split: Split, progress: Callable[[int], None] | None = None
) -> Iterator[tuple[Kept, Kept]]:
    """The contexts of the documents that a split chooses, and those of the others; their files are removed at the end.

    Args:   progress: called with the number of tokens of each context
    Raises: InputError if the files cannot be written
    """
    with TemporaryDirectory(prefix="sandbox-") as folder:
        chosen, others = (Kept(Path(folder) / name, contexts) for name in ("chosen", "others"))
        try:
            with ExitStack() as files:
                keep = {True: files.enter_context(chosen.written()), False: files.enter_context(others.written())}
                for context in contexts(documents):
                    keep[bool(split.chosen(np.array([context.document]))[0])](context)
                    if progress:
                        progress(len(context.measured))
        except OSError as error:
            raise InputError(
                f"{folder}: the text's tokens cannot be kept there ({error.strerror}): free some of the disk, or set "
                "TMPDIR to a folder on another one"
            ) from error
        yield chosen, others
