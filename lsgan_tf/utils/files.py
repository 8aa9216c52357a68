"""Writing files atomically: a file has its final name only when it is complete; checksums."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from lsgan_tf.utils.errors import UserError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def replacing(path: Path, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a temporary file that takes the name `path` when the block ends without error.

    The bytes are on the disk before the name is (fsync, then rename), and an error removes the
    temporary file.

    Args:
        path: the file to write.
        scratch: a directory on the same file system for the temporary file; default: beside `path`.

    Yields:
        The temporary file, open for writing bytes.

    Raises:
        UserError: the disk or quota is full, or the file may not be written.
    """
    # The process id separates a worker that is being killed from the one that replaces it.
    temporary = (scratch or path.parent) / f".{path.name}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # the parent may be no directory
            temporary.unlink(missing_ok=True)


def make_parent(path: Path) -> None:
    """Makes the directory that `path` is to be written to.

    Raises:
        UserError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, path) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a small file atomically.

    Raises:
        UserError: as `replacing` does.
    """
    with replacing(path) as file:
        file.write(data)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hex digest of a file, or of all files of a directory and their names.

    Raises:
        UserError: it cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return sha256_of_all((one for one in path.rglob("*") if one.is_file()), path)
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def sha256_of_all(paths: Iterable[Path], root: Path) -> str:
    """Hex digest of files and of their names in `root`, in the order of the names.

    Raises:
        UserError: as `sha256_of` does.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def free_directory(directory: Path) -> Path:
    """The first of NAME, NAME_2, NAME_3 ... that is absent or empty, for advice where to write."""
    names = [directory.name, *(f"{directory.name}_{number}" for number in range(2, 100))]
    return next(filter(_is_free, map(directory.with_name, names)), directory)


def _is_free(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return not path.is_symlink()  # which leads nowhere
    except OSError as error:  # a file, or closed
        return error.errno not in (errno.ENOTDIR, errno.EACCES, errno.EPERM)


def write_error(error: OSError, path: Path) -> UserError:
    """The message for a failed write to `path`."""
    if error.errno in _NO_SPACE:
        return UserError(
            f"no space left (disk, quota or file-size limit) while writing {path}: "
            f"{error.strerror}. Make room and run the same command again; "
            "files that are already complete are kept."
        )
    return UserError(f"while writing {path}: {error}")
