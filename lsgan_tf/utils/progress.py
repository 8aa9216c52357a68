"""Progress that a terminal and a log file can both show: bars, and lines beside them."""

import sys
from collections.abc import Iterable
from typing import Any

import tqdm

_SECONDS = 60  # between two reports to a file


def bar(iterable: Iterable | None = None, **options: Any) -> tqdm.tqdm:
    """A bar on stderr. In a file it is written once a minute only, and not within the first one.

    Args:
        iterable: what to go through, as of `tqdm.tqdm`.
        options: others of `tqdm.tqdm`.
    """
    if not sys.stderr.isatty():
        options |= {"delay": _SECONDS, "mininterval": _SECONDS, "miniters": 1}
    return tqdm.tqdm(iterable, **options)


def say(text: str) -> None:
    """Prints a line to stdout, above the bars of a terminal."""
    tqdm.tqdm.write(text)
    sys.stdout.flush()
