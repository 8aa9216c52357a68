"""Folders of files from outside."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lsgan_tf.utils.errors import UserError

ANY_NAME = ("utf-8", "surrogateescape")  # how to encode file names, which need not be text


def kind(path: Path) -> str | None:
    """What is at `path`, links followed: "folder", "file", or None for neither.

    Raises:
        UserError: it may not be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except PermissionError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}. Ask for access to the folders above it"
        ) from error
    except (OSError, ValueError):  # it is absent, or no path at all: too long, circular links
        return None
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else None


def visible_files(root: Path) -> Iterator[Path]:
    """All visible files below `root` in sorted order; follows links, but never in circles.

    Raises:
        UserError: a folder cannot be listed or entered; names it.
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
            if not name.startswith(".") and kind(path) == "file":
                yield path


def is_hidden(name: str) -> bool:
    """Whether this path within a source is hidden, or in a folder that is."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _raise(error: OSError) -> None:
    raise UserError(f"cannot list {error.filename}: {error.strerror}") from error
