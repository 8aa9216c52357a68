"""Where `convert_images` finds pictures: folders, zips of them, and .npz arrays.

A source lists its entries once, in the parent process; a reader, which is picklable, then delivers
the pictures of any of them in a worker.
"""

import abc
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tools.sources.file_listing import ANY_NAME, is_hidden, visible_files


@dataclasses.dataclass(frozen=True)
class Entry:
    """One picture of a source."""

    name: str  # path within the source, or the row
    label: int | None


class Reader(Protocol):
    """Delivers pictures in a worker process."""

    def read(
        self, entries: Sequence[Entry]
    ) -> Iterator[tuple[Entry, Image.Image | pictures.BadImage]]:
        """Every entry with its picture (mode L or RGB), or with what is wrong with it."""
        ...


@dataclasses.dataclass(frozen=True)
class Source:
    """The listing of a source."""

    reader: Reader
    entries: Sequence[Entry]
    class_names: tuple[str, ...] | None
    identity: str  # changes when the content does
    ignored: int = 0  # files that are not pictures by their name


class FileReader(abc.ABC):
    """A reader of a source that consists of files."""

    @abc.abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Opens any of its files, which raises `BadImage`, now or on reading, if it is damaged."""

    def read(self, entries):
        """See `Reader.read`."""
        for entry in entries:
            try:
                yield entry, pictures.decode(self._bytes(entry))
            except pictures.BadImage as bad:
                yield entry, bad

    def _bytes(self, entry: Entry) -> bytes:
        with self.opened(entry.name) as file:
            data = file.read(pictures.MAX_FILE_BYTES + 1)  # whatever size a zip declares
        if len(data) > pictures.MAX_FILE_BYTES:
            raise pictures.BadImage(f"it is larger than {pictures.MAX_FILE_BYTES} bytes")
        return data


@dataclasses.dataclass(frozen=True)
class FolderReader(FileReader):
    """Reads files below `root`."""

    root: Path

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        try:
            with open(self.root / name, "rb") as file:
                yield file
        except OSError as error:
            raise pictures.BadImage(f"it cannot be read: {error.strerror}") from error


def folder(root: Path, labels: str) -> Source:
    """Lists the pictures below `root`, hidden ones excepted.

    Args:
        labels: "auto", "folders" or "none"; see `labelled`.

    Raises:
        UserError: there is none, or the labels are not clear.
    """
    names, ignored = [], 0
    digest = hashlib.sha256()
    for path in visible_files(root):
        name = path.relative_to(root).as_posix()
        if not is_picture(name):
            ignored += 1
            continue
        status = path.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(*ANY_NAME))
        names.append(name)
    check_not_empty(names, root)
    entries, class_names = labelled(names, root, labels)
    return Source(FolderReader(root), entries, class_names, digest.hexdigest(), ignored)


def is_picture(name: str) -> bool:
    """Whether this path within a source is a picture by its name, and not hidden."""
    return not is_hidden(name) and name.lower().endswith(pictures.EXTENSIONS)


def check_not_empty(names: Sequence[str], source: Path) -> None:
    """Raises `UserError` if a source lists no pictures."""
    if not names:
        accepted = " ".join(pictures.EXTENSIONS)
        raise UserError(f"there are no images in {source}. Accepted file names end in {accepted}")


def labelled(
    names: Sequence[str], source: Path, labels: str
) -> tuple[list[Entry], tuple[str, ...] | None]:
    """Gives each picture its class: its topmost folder, below the folders all of them share.

    Args:
        names: paths within the source.
        labels: "folders"; "none"; or "auto", which is "folders" if there are two or more.

    Returns:
        Entries sorted by name, and the sorted class names (None: no labels).

    Raises:
        UserError: pictures beside folders of pictures, or no folders where they are demanded.
    """
    names = sorted(names)
    if labels == "none":
        return [Entry(name, None) for name in names], None
    shared = _shared_folders(names)
    classes = [_class_of(name, shared) for name in names]
    if None in classes and any(classes):
        outside, inside = (
            names[classes.index(None)],
            next(name for name, its in zip(names, classes, strict=True) if its),
        )
        raise UserError(
            f"{source} has images beside class folders ({outside} beside {inside}). Choose "
            "--labels=none to ignore the folders, or move the images into one."
        )
    if None in classes and labels == "folders" and shared:
        classes = [shared[-1]] * len(names)
    if None in classes:
        if labels == "folders":
            raise UserError(f"--labels=folders: {source} has no class folders, only images")
        return [Entry(name, None) for name in names], None
    class_names = tuple(sorted(set(classes)))
    ids = {name: number for number, name in enumerate(class_names)}
    return [Entry(n, ids[c]) for n, c in zip(names, classes, strict=True)], class_names


def _shared_folders(names: Sequence[str]) -> tuple[str, ...]:
    """The folders that all names start with."""
    parents = [PurePosixPath(name).parent.as_posix() for name in names]
    shared = PurePosixPath(os.path.commonpath(parents))
    return () if shared == PurePosixPath(".") else shared.parts


def _class_of(name: str, shared: tuple[str, ...]) -> str | None:
    parts = PurePosixPath(name).parts[len(shared) :]
    return parts[0] if len(parts) > 1 else None
