"""Files and folders that users name: listed, and read where they are short lists."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lsgan_tf.utils.errors import UserError

from . import messages

MAX_LIST_BYTES = 1 << 20
ANY_NAME = ("utf-8", "surrogateescape")  # how to encode file names, which need not be text

_MAX_NAMES_OF_A_FOLDER = 1000  # chains of links would otherwise give a folder 2^n of them


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
    """Yields all visible files below `root` in sorted order; follows links.

    Two links to one folder are two folders. Links that lead nowhere or to a folder above them are
    named in a warning at the end.

    Raises:
        UserError: a folder cannot be listed or entered, or links lead to it again and again.
    """
    walk = _Walk(root)
    yield from walk.files()
    walk.tell()


class _Walk:
    def __init__(self, root: Path):
        self._root = root
        self._paths: dict[tuple[int, int], list[str]] = {}  # of every folder
        self._left_out: dict[tuple[str, str], list[str]] = {}  # by what they are

    def files(self) -> Iterator[Path]:
        """Yields the files of each folder before those of the folders in it."""
        waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(self._root, ())]
        while waiting:
            folder, above = waiting.pop()
            paths, status = _listed(folder)
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                self._leave_out(folder, "links", " to a folder above")
                continue
            self._note(folder, identity)
            folders = []
            for path, its_kind in paths:
                if its_kind == "file":
                    yield path
                elif its_kind == "folder":
                    folders.append((path, (*above, identity)))
                elif path.is_symlink():
                    self._leave_out(path, "links", " to nowhere")
                else:
                    self._leave_out(path, "special files", "")
            waiting += reversed(folders)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _leave_out(self, path: Path, what: str, of: str) -> None:
        self._left_out.setdefault((what, of), []).append(self._name(path))

    def _note(self, folder: Path, identity: tuple[int, int]) -> None:
        names = self._paths.setdefault(identity, [])
        names.append(self._name(folder))
        if len(names) > _MAX_NAMES_OF_A_FOLDER:
            raise UserError(
                f"links lead to {folder} in more than {_MAX_NAMES_OF_A_FOLDER} ways; pass a folder "
                "that is not linked so often"
            )

    def tell(self) -> None:
        """Warns of what is left out, and of folders that were read more than once."""
        for (what, of), names in self._left_out.items():
            messages.warn(f"left out: {messages.counted(names, what, of)}")
        for names in self._paths.values():
            if len(names) > 1:
                messages.warn(f"one folder is read under {messages.counted(names, 'names')}")


def _listed(folder: Path) -> tuple[list[tuple[Path, str | None]], os.stat_result]:
    """What is visible in a folder, sorted, and what it is."""
    try:
        with os.scandir(folder) as entries:
            visible = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not entry.name.startswith(".")
            )
        status = os.stat(folder)
    except OSError as error:
        raise UserError(f"cannot list {folder}: {error.strerror}") from error
    paths = ((folder / name, is_folder) for name, is_folder in visible)
    return [(path, "folder" if is_folder else kind(path)) for path, is_folder in paths], status


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
