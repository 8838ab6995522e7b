"""The one error that a user may see."""


class InputError(ValueError):
    """Something in the user's input is wrong.

    The message is one sentence that names the file or the value and says what to do. Command lines print it
    to stderr and exit with code 2 (`htr.cli.run`).
    """


def first_line(error: Exception) -> str:
    """What an error of another library says, short enough for a sentence of ours; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
