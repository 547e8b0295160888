"""The one exception for bad input: a clear line that says what was found, what was expected and what to do."""

from sandbox.system.text import one_line


class InputError(ValueError):
    """Input that cannot be measured. The command line prints the message as one line and exits with status 2.

    The message is one line, whatever names and settings it quotes, and safe to print.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
