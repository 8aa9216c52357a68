"""Readers, which are picklable, deliver the pictures of a source in a process of the pool."""

import abc
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from PIL import Image

from lsgan_tf.datasets import pictures


@dataclasses.dataclass(frozen=True)
class Entry:
    """One picture of a source."""

    name: str  # path within the source, or the row
    label: int | None


class Reader(Protocol):
    """Delivers pictures in a process of the pool."""

    def read(
        self, entries: Sequence[Entry]
    ) -> Iterator[tuple[Entry, Image.Image | pictures.BadImage]]:
        """Yields each entry with its picture (mode L or RGB) or with what is wrong with it."""
        ...


@dataclasses.dataclass(frozen=True)
class FileReader(abc.ABC):
    """A reader of a source that consists of files."""

    reading: pictures.Reading = dataclasses.field(default=pictures.Reading(), kw_only=True)

    @abc.abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Opens one of its files; if that is damaged, raises `BadImage` now or while it is read."""

    def read(self, entries):
        """See `Reader.read`."""
        for entry in entries:
            try:
                yield entry, pictures.decode(self.data(entry), self.reading)
            except pictures.BadImage as bad:
                yield entry, bad

    def data(self, entry: Entry) -> bytes:
        """The bytes of one of its files; raises `BadImage` if it is damaged or too large."""
        with self.opened(entry.name) as file:
            data = file.read(pictures.MAX_FILE_BYTES + 1)  # a zip may declare another size
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
