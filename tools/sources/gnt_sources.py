"""Where `convert_hwdb` finds .gnt files: folders, zips of them, single files."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lsgan_tf.utils.errors import UserError

from . import archives, file_listing

EXTENSION = ".gnt"

# Other formats of the same databases, and what to use instead.
_OTHER_KINDS = {
    ".gntx": "is GNTX, the format of CASIA-AHCDB, which is not supported; use a database in GNT, "
    "such as CASIA-HWDB1.0",
    ".dgr": "holds pages of text (HWDB2); single characters are in the GNT files of HWDB1",
    ".dgrl": "holds pages of text (HWDB2); single characters are in the GNT files of HWDB1",
    ".pot": "holds strokes of a pen (online handwriting), no images; use the GNT files of the "
    "offline databases HWDB1",
    ".alz": "is an ALZip archive; unpack it (unalz FILE.alz) and pass the folder",
}


@dataclasses.dataclass(frozen=True)
class GntFile:
    """The characters of one writer."""

    name: str  # within its source
    path: Path  # of the file, or of the zip that holds it
    member: str | None  # its name in the zip
    size: int  # bytes, unpacked
    stamp: tuple[int, int]  # size and time of change of `path`

    @property
    def writer(self) -> str:
        """The name without folders and extension."""
        return PurePosixPath(self.name).stem

    @property
    def full_name(self) -> str:
        """Its name and place, for messages."""
        return str(self.path) if self.member is None else f"{self.member} in {self.path}"

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Opens it for reading forwards.

        Raises:
            UserError: it is damaged, or it has changed since it was listed.
        """
        try:
            with contextlib.ExitStack() as stack:
                self._check_unchanged()
                if self.member is None:
                    yield stack.enter_context(open(self.path, "rb", buffering=0))
                else:
                    archive = stack.enter_context(archives.open_zip(self.path))
                    yield stack.enter_context(archive.open(self.member))
            self._check_unchanged()
        except archives.BROKEN as error:
            raise UserError(
                f"{self.full_name} cannot be read: {getattr(error, 'strerror', None) or error}. "
                "Get it again, or leave it out"
            ) from error

    def _check_unchanged(self) -> None:
        if _stamp(self.path) != self.stamp:
            raise UserError(
                f"{self.path} has changed since this conversion began. Run the same command again "
                "when nothing writes to it"
            )


@dataclasses.dataclass(frozen=True)
class Listing:
    """The .gnt files of all sources, sorted by writer."""

    files: tuple[GntFile, ...]
    identity: str  # changes when their contents do
    ignored: Counter  # of files of other kinds, by extension


def find(sources: Sequence[Path]) -> Listing:
    """Lists the .gnt files of folders, zips and single files, hidden ones excepted.

    Raises:
        UserError: a source cannot be used or holds none, or two files have the same writer.
    """
    if not sources:
        raise UserError("--source is empty: give it folders, zips or .gnt files")
    files, digest, ignored = [], hashlib.sha256(), Counter()
    for source in sources:
        added, others = _find_in(source)
        if not added:
            raise _no_files(source, others)
        ignored.update(_extension(name) or "without extension" for name in others)
        files += added
    files.sort(key=lambda file: file[0].writer)
    for (one, _), (other, _) in itertools.pairwise(files):
        if one.writer == other.writer:
            raise UserError(
                f"{one.full_name} and {other.full_name} have the same name, and the name of a file "
                "is that of its writer. Rename one, or leave it out"
            )
    for file, version in files:
        digest.update(f"{file.name}\0{file.size}\0{version}\n".encode(*file_listing.ANY_NAME))
    return Listing(tuple(file for file, _ in files), digest.hexdigest(), ignored)


# The files, each with its CRC or time of change; the names of files of other kinds.
_Files = tuple[list[tuple[GntFile, int]], list[str]]


def _find_in(source: Path) -> _Files:
    kind = file_listing.kind(source)
    if kind == "folder":
        return _in_folder(source)
    if kind is None:
        raise UserError(f"--source={source} does not exist")
    if source.suffix.lower() == ".zip":
        return _in_zip(source)
    if source.suffix.lower() == EXTENSION:
        return [_plain(source.name, source)], []
    if source.suffix.lower() in _OTHER_KINDS:
        raise UserError(f"--source={source} {_OTHER_KINDS[source.suffix.lower()]}")
    raise UserError(f"--source={source} is neither a folder nor a .zip nor a {EXTENSION}")


def _in_folder(root: Path) -> _Files:
    files, others = [], []
    for path in file_listing.walk_visible_files(root):
        name = path.relative_to(root).as_posix()
        if _extension(name) == EXTENSION:
            files.append(_plain(name, path))
        else:
            others.append(name)
    return files, others


def _in_zip(path: Path) -> _Files:
    files, others = [], []
    stamp = _stamp(path)
    with archives.open_zip(path) as archive:
        for member in archives.list_files(path, archive):
            name = member.filename
            if file_listing.is_hidden(name):
                continue
            if _extension(name) == EXTENSION:
                _check_text(name)
                files.append((GntFile(name, path, name, member.file_size, stamp), member.CRC))
            else:
                others.append(name)
    return files, others


def _plain(name: str, path: Path) -> tuple[GntFile, int]:
    _check_text(name)
    stamp = _stamp(path)
    return GntFile(name, path, None, stamp[0], stamp), stamp[1]


def _check_text(name: str) -> None:
    writer = PurePosixPath(name).stem
    if not name.isprintable() or writer != writer.strip():
        raise UserError(
            f"{name!r}: files are named after their writers, and a name must be printable and "
            "without blanks at its ends. Rename the file"
        )


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def _no_files(source: Path, others: Sequence[str]) -> UserError:
    for name in others:
        if _extension(name) in _OTHER_KINDS:
            return UserError(
                f"there are no {EXTENSION} files in {source}; {name} in it "
                f"{_OTHER_KINDS[_extension(name)]}"
            )
    zips = [name for name in others if _extension(name) == ".zip"]
    if zips:
        return UserError(
            f"there are no {EXTENSION} files in {source}, but {zips[0]}"
            f"{' and other zips' * (len(zips) > 1)}. Pass each zip as a --source of its own; a zip "
            "in a zip must be unpacked"
        )
    return UserError(f"there are no {EXTENSION} files in {source} ({len(others)} of other kinds)")
