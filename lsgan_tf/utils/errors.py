"""`UserError`, whose message is for the person who runs a command, and helpers for messages."""

import contextlib
import sys
from collections.abc import Collection, Iterator


class UserError(Exception):
    """An ordinary mistake: its message says what is wrong, where, and what to do next.

    Commands print the message without a traceback and exit with status 1 (see
    `exit_on_user_error`); any other exception that escapes is a defect of this project.
    """


@contextlib.contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turns a `UserError` into one message on stderr and exit status 1."""
    try:
        yield
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        sys.exit(1)


def check_known(value: str, known: Collection[str], what: str) -> None:
    """Refuses a name that is not known.

    Args:
        value: the name.
        known: the names that are allowed.
        what: a noun for the message, such as "network".

    Raises:
        ValueError: `value` is not in `known`; lists the known names.
    """
    if value not in known:
        raise ValueError(f"Unknown {what} {value!r}; known: {', '.join(map(repr, known))}.")


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type if it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip()


def innermost_cause(error: Exception) -> str:
    """What an error of Keras is about, a sentence, without the configurations around it."""
    cause = str(error).rpartition("Exception encountered: ")[2]
    for rest in ("Full object config:", "Make sure custom classes"):
        cause = cause.partition(rest)[0]
    cause = " ".join(cause.strip().split("\n\n")[0].split()) or type(error).__name__
    return f"{cause.removesuffix('.')}."


def printable(text: str) -> str:
    """The text with control characters, except newlines, as escapes.

    Names that come from files may hold characters that change what a terminal does or shows.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
