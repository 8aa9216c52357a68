"""What a listing tells of what it changes or leaves out: a number and the first names."""

import sys
from collections.abc import Iterable

from lsgan_tf.utils.errors import printable

_NAMES = 5


def warn(message: str) -> None:
    """Prints a warning."""
    print(printable(f"warning: {message}"), file=sys.stderr, flush=True)


def first(names: Iterable[str], most: int = _NAMES) -> str:
    """The first names, and that there are more."""
    names = list(names)
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)


def counted(names: Iterable[str], what: str, of: str = "") -> str:
    """How many there are, in words, and the first of them: "2 links (a, b)".

    Args:
        names: of them.
        what: they are, in the plural.
        of: what follows that word.
    """
    names = list(names)
    if len(names) == 1:
        what = "class" if what == "classes" else what.removesuffix("s")
    return f"{len(names)} {what}{of} ({first(names)})"
