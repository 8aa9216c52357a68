"""Pictures in a .tar or a .tar.gz, .tar.bz2 or .tar.xz: listed once, never extracted.

Of a .tar the pictures are read where they lie. What is compressed can only be read from its start:
its pictures stay in the order of the archive, and a process unpacks it once, in memory that does
not grow with it.
"""

import bz2
import contextlib
import dataclasses
import functools
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import image_sources, messages, xz_file
from .image_sources import Choices, Source
from .readers import Entry, FileReader

_UNPACKERS = {
    (".gz", ".tgz"): gzip.open,
    (".bz2", ".tbz2", ".tbz"): bz2.open,
    (".xz", ".txz"): xz_file.open_xz,
}
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_BLOCK = tarfile.BLOCKSIZE
_MAX_HEADER_BYTES = 1 << 20  # of names and other metadata, which tarfile holds in memory
_SKIP_BYTES = 1 << 20

Places = dict[str, tuple[int, int]]  # offset and size of the content of each file


@dataclasses.dataclass(frozen=True)
class _Listing:
    places: Places
    notes: tuple[str, ...]  # what is to be told


@dataclasses.dataclass(frozen=True)
class TarReader(FileReader):
    """Reads files of the archive at `path`."""

    path: Path

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        offset, size = _listed_once(self.path).places[name]
        if size > pictures.MAX_FILE_BYTES:
            raise pictures.BadImage(f"it is larger than {pictures.MAX_FILE_BYTES} bytes")
        try:
            data = _stream(self.path).read_at(offset, size)
        except _BROKEN as error:
            _stream.cache_clear()  # where it stands is not known
            raise pictures.BadImage(f"it cannot be read: {error}") from error
        yield io.BytesIO(data)


def list_tar(path: Path, choices: Choices) -> Source:
    """Lists the pictures in a tar.

    Args:
        path: the archive.
        choices: see `image_sources.list_pictures`.

    Raises:
        UserError: it is damaged, has a path out of it or two files of one name, or as
            `list_pictures` does.
    """
    listing = _listed_once(path)
    for note in listing.notes:
        messages.warn(note)
    places = listing.places
    version = path.stat().st_mtime_ns
    files = ((name, size, version) for name, (_, size) in places.items())
    source = image_sources.list_pictures(TarReader(path), files, path, choices)
    if not _is_zipped(path):
        return source
    more = {split: _in_order(part, places) for split, part in source.more.items()}
    return dataclasses.replace(_in_order(source, places), more=more)


def _in_order(source: Source, places: Places) -> Source:
    def offset(entry: Entry) -> int:
        return places[entry.name][0]

    return dataclasses.replace(source, entries=sorted(source.entries, key=offset))


def _is_zipped(path: Path) -> bool:
    return path.suffix.lower() != ".tar"


def _list(path: Path) -> _Listing:
    """Lists the files in a tar.

    Raises:
        UserError: as `list_tar` does.
    """
    places: Places = {}
    others: list[str] = []
    try:
        with _opened(path) as file, tarfile.open(fileobj=_Bounded(file), mode="r:") as archive:
            while member := archive.next():
                archive.members = []  # it keeps all that it has met
                if member.isreg() and not member.issparse():
                    _check_name(path, member.name, places)
                    places[member.name] = member.offset_data, member.size
                elif not member.isdir():
                    others.append(member.name)
            notes = [*_check_end(path, file, archive.offset)]
    except _BROKEN as error:
        raise UserError(f"{path} is not a readable tar: {error}. Get it again") from error
    if others:
        what = "links, sparse or special files"
        notes.append(f"left out of {path}: {len(others)} {what} ({messages.first(others)})")
    return _Listing(places, tuple(notes))


# A process of the pool reads many shards of one archive.
_listed_once = functools.lru_cache(maxsize=2)(_list)


def _check_name(path: Path, name: str, places: Places) -> None:
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise UserError(f"{path} has a member with a path out of the tar, {name!r}; refused")
    if name in places:
        raise UserError(f"{path} has two members named {name!r}. Unpack it and pass the folder")


def _check_end(path: Path, file: BinaryIO, offset: int) -> Iterator[str]:
    """Checks what tarfile does not: that the listing ended where the archive does.

    Yields:
        What is to be told.
    """
    file.seek(offset)
    block = file.read(_BLOCK)
    if block.strip(b"\0"):
        raise UserError(
            f"{path} is damaged: what follows byte {offset} cannot be listed. Get it again"
        )
    if len(block) < _BLOCK:
        yield f"{path} has no end mark: it may be cut short"
    while data := file.read(_SKIP_BYTES):
        if data.strip(b"\0"):
            yield f"{path} goes on behind its end mark; what follows is not read"
            return
    if file.tell() % _BLOCK and len(block) == _BLOCK:
        yield f"{path} has {file.tell()} bytes, no multiple of {_BLOCK}: some may be missing"


def _opened(path: Path) -> BinaryIO:
    for endings, unpack in _UNPACKERS.items():
        if path.suffix.lower() in endings:
            return unpack(path)
    return open(path, "rb")


class _Bounded:
    """A file for tarfile, which takes the sizes of headers from the archive."""

    def __init__(self, file: BinaryIO):
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"it declares a header of {size} bytes")
        return self._file.read(size)


class _Stream:
    """An archive that stays open, and goes on where the last file ended if it is compressed."""

    def __init__(self, path: Path):
        self._file = _opened(path)

    def read_at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)  # what is compressed is read on, or from the start again
        data = self._file.read(size)
        if len(data) != size:
            raise EOFError("the archive ends early")
        return data


_stream = functools.lru_cache(maxsize=1)(_Stream)
