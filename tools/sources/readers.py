"""Readers, which are picklable, deliver the pictures of a source in a process of the pool."""

import abc
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from lsgan_tf.datasets import pictures


@dataclasses.dataclass(frozen=True)
class Entry:
    """One picture of a source."""

    name: str  # path within the source, or the row
    label: int | None


class Reader(abc.ABC):
    """Delivers pictures in a process of the pool."""

    @abc.abstractmethod
    def contents(
        self, entries: Sequence[Entry]
    ) -> Iterator[tuple[Entry, bytes | pictures.BadImage]]:
        """Yields each entry with its bytes as they are stored, or with what is wrong with it."""

    @abc.abstractmethod
    def decode(self, entry: Entry, content: bytes) -> Image.Image:
        """The picture (mode L or RGB) that these bytes are; raises `BadImage`."""

    def read(
        self, entries: Sequence[Entry]
    ) -> Iterator[tuple[Entry, Image.Image | pictures.BadImage]]:
        """Yields each entry with its picture or with what is wrong with it."""
        for entry, content in self.contents(entries):
            if isinstance(content, pictures.BadImage):
                yield entry, content
                continue
            try:
                image = self.decode(entry, content)
            except pictures.BadImage as bad:
                image = bad
            yield entry, image


@dataclasses.dataclass(frozen=True)
class FileReader(Reader):
    """A reader of a source that consists of files."""

    reading: pictures.Reading = dataclasses.field(default=pictures.Reading(), kw_only=True)

    @abc.abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Opens one of its files; if that is damaged, raises `BadImage` now or while it is read."""

    def contents(self, entries):
        """See `Reader.contents`: the bytes of the files."""
        for entry in entries:
            try:
                content = self._bytes(entry)
            except pictures.BadImage as bad:
                content = bad
            yield entry, content

    def decode(self, entry, content):
        """See `Reader.decode`."""
        return pictures.decode(content, self.reading)

    def _bytes(self, entry: Entry) -> bytes:
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
