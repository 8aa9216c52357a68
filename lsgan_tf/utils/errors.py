"""The one exception that is written for the person at the keyboard, and what its messages are made
of; a check of names."""

import contextlib
import sys


class UserError(Exception):
    """An ordinary mistake: its message says what is wrong, where, and what to do next.

    Commands print the message without a traceback and exit with status 1 (see
    `exit_on_user_error`); anything else that escapes is a defect of this project.
    """


@contextlib.contextmanager
def exit_on_user_error():
    """Turns a `UserError` into one message on stderr and exit status 1."""
    try:
        yield
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        sys.exit(1)


def check_known(value, known, what):
    """ValueError, which lists the known, unless `value` is one of them. `what`: a noun for it."""
    if value not in known:
        raise ValueError(f"Unknown {what} {value!r}; known: {', '.join(map(repr, known))}.")


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip()


def printable(text: str) -> str:
    """The text with what a terminal would obey or not show as escapes, lines excepted.

    Names come from outside and may hold control characters.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
