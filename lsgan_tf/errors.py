"""The one exception that is written for the person at the keyboard."""

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
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
