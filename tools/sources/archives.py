"""Zips that users name: checked when they are opened, and read in place, never extracted."""

import contextlib
import dataclasses
import functools
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import image_sources, member_names
from .image_sources import Choices
from .readers import FileReader

# What opening or reading a damaged zip raises. ValueError: names that are not text, offsets that
# are too large. `BadImage` is a ValueError, too: let it pass where it can be raised.
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError,
    ValueError,
)  # fmt: skip

_ENCRYPTED = 0x1
_END_SIGNATURE = b"PK\5\6"  # of the record that ends a zip: 22 bytes and a comment
_MAX_END_BYTES = 22 + 0xFFFF
_COUNT_OFFSET = 10  # in this record: uint16, how many members there are


def open_zip(path: Path, encoding: str | None = None) -> zipfile.ZipFile:
    """Opens a zip or .npz; backslashes in the names of its members become slashes.

    Args:
        path: the zip.
        encoding: of the names that do not declare one; None: UTF-8 if all are, else cp437.

    Raises:
        UserError: it is not a zip, is damaged, or has names in another encoding.
    """
    try:
        archive = zipfile.ZipFile(path)
        declared = _declared_members(path)
    except BROKEN as error:
        raise UserError(f"{path} is not a readable {path.suffix[1:].lower()}: {error}") from error
    found = len(archive.infolist())
    if declared is not None and declared != found % (1 << 16):
        archive.close()
        raise UserError(
            f"{path} is damaged: it declares {declared} members, {found} can be found. Get it again"
        )
    member_names.mend(path, archive, encoding)
    return archive


def _declared_members(path: Path) -> int | None:
    """How many members the end of a zip declares, modulo 65536; None if it does not say.

    `zipfile` does not look: a wrong length in the directory would hide members without a word.
    """
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _MAX_END_BYTES))
        tail = file.read()
    place = tail.rfind(_END_SIGNATURE) + _COUNT_OFFSET
    count = int.from_bytes(tail[place : place + 2], "little")
    return None if count == 0xFFFF else count  # which stands for "see ZIP64"


def list_files(
    path: Path, archive: zipfile.ZipFile, encoding: str | None = None
) -> list[zipfile.ZipInfo]:
    """Lists the members of a zip that are files; warns of names that `open_zip` has changed.

    Raises:
        UserError: one has a path out of the zip or is encrypted, or two have the same name; names
            it.
    """
    members = [member for member in archive.infolist() if not member.is_dir()]
    names = set()
    for member in members:
        name = member.filename
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(
                f"{path} has a member with a path out of the zip, {member.orig_filename!r}; refused"
            )
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"{path} is encrypted ({name}). Unpack it and pass the folder")
        if name in names:
            raise UserError(f"{path} has two members named {name!r}. Unpack it and pass the folder")
        names.add(name)
    member_names.tell(path, archive, encoding)
    return members


@dataclasses.dataclass(frozen=True)
class ZipReader(FileReader):
    """Reads members of the zip at `path`."""

    path: Path
    encoding: str | None = None  # as for `open_zip`

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        try:
            with _open_once(self.path, self.encoding).open(name) as file:
                yield file
        except pictures.BadImage:  # of the code that reads the file
            raise
        except BROKEN as error:
            raise pictures.BadImage(f"it cannot be unpacked: {error}") from error


def list_zip(path: Path, choices: Choices) -> image_sources.Source:
    """Lists the pictures in a zip.

    Args:
        path: the zip.
        choices: see `image_sources.list_pictures`.

    Raises:
        UserError: it is damaged, `list_files` refuses it, or as `list_pictures` does.
    """
    encoding = choices.zip_encoding
    members = list_files(path, _open_once(path, encoding), encoding)
    files = ((member.filename, member.file_size, member.CRC) for member in members)
    return image_sources.list_pictures(ZipReader(path, encoding), files, path, choices)


# A process of the pool reads many shards of one zip, or of a few in turns.
_open_once = functools.lru_cache(maxsize=4)(open_zip)
