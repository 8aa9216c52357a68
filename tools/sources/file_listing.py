"""Files and folders that users name: listed, and read where they are short lists."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lsgan_tf.utils.errors import UserError

MAX_LIST_BYTES = 1 << 20
ANY_NAME = ("utf-8", "surrogateescape")  # how to encode file names, which need not be text


def kind(path: Path) -> str | None:
    """What is at `path`, links followed: "folder", "file", or None for neither.

    Raises:
        UserError: access to it is denied.
    """
    try:
        mode = os.stat(path).st_mode
    except PermissionError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}. Ask for access to the folders above it"
        ) from error
    except (OSError, ValueError):  # it is absent, or not a valid path: too long, circular links
        return None
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else None


def walk_visible_files(root: Path) -> Iterator[Path]:
    """Yields all visible files below `root` in sorted order; follows links, each folder once.

    Raises:
        UserError: a folder cannot be listed or entered; names it.
    """
    visited = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_raise):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            subfolders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and kind(path) == "file":
                yield path


def is_hidden(name: str) -> bool:
    """Whether this path within a source is hidden, or in a folder that is."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def read_list(path: Path, flag: str) -> bytes:
    """Reads a text file that lists names or characters.

    Args:
        path: the file.
        flag: the flag and its value, for messages.

    Raises:
        UserError: it cannot be read, or has more than `MAX_LIST_BYTES`.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{flag} cannot be read: {error.strerror}") from error
    if len(data) > MAX_LIST_BYTES:
        raise UserError(f"{flag} is larger than {MAX_LIST_BYTES} bytes, too large for a list")
    return data


def _raise(error: OSError) -> None:
    raise UserError(f"cannot list {error.filename}: {error.strerror}") from error
