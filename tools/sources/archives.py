"""Zips from outside: opened with care, read in place."""

import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lsgan_tf.utils.errors import UserError

# What opening or reading a damaged zip raises. ValueError: names that are no text, offsets that are
# too large. `BadImage` is one, too: let it pass where it may come through.
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError,
    ValueError,
)  # fmt: skip

_ENCRYPTED = 0x1


def open_zip(path: Path) -> zipfile.ZipFile:
    """Opens a zip or .npz; raises `UserError` if it is none or is damaged."""
    try:
        return zipfile.ZipFile(path)
    except BROKEN as error:
        raise UserError(f"{path} is not a readable {path.suffix[1:].lower()}: {error}") from error


def files(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members of a zip that are files.

    Raises:
        UserError: one climbs out of the zip or is encrypted, or two share a name; names it.
    """
    members = [member for member in archive.infolist() if not member.is_dir()]
    seen = set()
    for member in members:
        name = member.filename
        if name.startswith("/") or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise UserError(f"{path} has a member that climbs out of it, {name!r}; refused")
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"{path} is encrypted ({name}). Unpack it and pass the folder")
        if name in seen:
            raise UserError(f"{path} has two members named {name!r}. Unpack it and pass the folder")
        seen.add(name)
    return members
