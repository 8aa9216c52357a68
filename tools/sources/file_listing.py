"""Folders of files from outside."""

import os
from collections.abc import Iterator
from pathlib import Path

from lsgan_tf.errors import UserError

ANY_NAME = ("utf-8", "surrogateescape")  # how to encode file names, which need not be text


def visible_files(root: Path) -> Iterator[Path]:
    """All visible files below `root` in sorted order; follows links, but never in circles.

    Raises:
        UserError: a folder cannot be listed; names it.
    """
    seen = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_raise):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _raise(error: OSError) -> None:
    raise UserError(f"cannot list {error.filename}: {error.strerror}") from error
