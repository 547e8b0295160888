"""The one exception for bad input: a clear line that says what was found, what was expected and what to do."""


class InputError(ValueError):
    """Input that cannot be measured. The command line prints the message as one line and exits with status 2."""
