"""Random access to the records of TFRecord files, with every checksum verified."""

import dataclasses
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsgan_tf.datasets import catalog, manifest, shards, tfrecord
from lsgan_tf.utils.errors import UserError

_MAX_OPEN_FILES = 256  # further files are opened for each read


@dataclasses.dataclass(frozen=True)
class IndexedFile:
    """A TFRecord file and where its records lie."""

    path: Path
    offsets: np.ndarray  # uint64 [records + 1]: of each record, and the file's size


class RecordFiles:
    """The records of several files as one numbered sequence.

    Holds 8 bytes per record and reads with `pread`: no mapped pages, so resident memory does not
    grow with the data. Safe to call from several threads.
    """

    def __init__(self, files: Sequence[IndexedFile]):
        self._files = tuple(files)
        self._starts = np.cumsum([0] + [len(file.offsets) - 1 for file in self._files])
        self._descriptors: dict[Path, int] = {}
        # Not at exit: TensorFlow's threads may still be reading then.
        weakref.finalize(self, _close_all, self._descriptors).atexit = False
        for file in self._files[:_MAX_OPEN_FILES]:
            self._descriptors[file.path] = _open(file.path)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> bytes:
        """The payload of record `index`.

        Raises:
            UserError: the record is damaged or the file is shorter than it was; names both.
        """
        file, record = self._place(index)
        start, end = file.offsets[record : record + 2].tolist()
        try:
            return tfrecord.unframe(self._pread(file.path, end - start, start))
        except (tfrecord.CorruptRecord, OSError) as error:
            raise UserError(
                f"{self.where(index)} (bytes {start} to {end}) cannot be read: {error}. "
                "The file was damaged or changed; copy or convert the data set again."
            ) from error

    def where(self, index: int) -> str:
        """What to call record `index` in a message: its number within its file, and the file."""
        file, record = self._place(index)
        return f"record {record} of {file.path}"

    def _place(self, index: int) -> tuple[IndexedFile, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._files[number], int(index - self._starts[number])

    def _pread(self, path: Path, length: int, offset: int) -> bytes:
        descriptor = self._descriptors.get(path)
        if descriptor is not None:
            return os.pread(descriptor, length, offset)
        descriptor = _open(path)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)


def converted(directory: Path, split: str = "train") -> tuple[manifest.Manifest, RecordFiles]:
    """Opens a data set in the on-disk format, checking its files against its manifest.

    Raises:
        UserError: names the file that is missing, unreadable or not as recorded; or the splits
            there are, if `split` is none of them.
    """
    contents = manifest.load(directory)
    chosen = [shard for shard in contents.shards if shard.split == split]
    if not chosen:
        raise catalog.no_split(str(directory), split, contents.splits)
    return contents, RecordFiles([_indexed(directory, shard) for shard in chosen])


def scanned(paths: Sequence[Path]) -> RecordFiles:
    """Opens TFRecord files that have no index, finding their records by their headers.

    Raises:
        UserError: a file is missing or damaged.
    """
    return RecordFiles([IndexedFile(path, _scan(path)) for path in map(Path, paths)])


def _indexed(directory: Path, shard: manifest.Shard) -> IndexedFile:
    path = directory / shard.file
    remedy = "Copy or convert the data set again."
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} is missing: {error.strerror}. {remedy}") from error
    if size != shard.bytes:
        raise UserError(
            f"{path} has {size} bytes, {directory / manifest.FILE_NAME} recorded {shard.bytes}. "
            f"{remedy}"
        )
    offsets = _offsets(directory, shard, path)
    if len(offsets) - 1 != shard.count:
        raise UserError(
            f"{path} holds {len(offsets) - 1} records, {directory / manifest.FILE_NAME} recorded "
            f"{shard.count}. {remedy}"
        )
    return IndexedFile(path, offsets)


def _offsets(directory: Path, shard: manifest.Shard, path: Path) -> np.ndarray:
    index = shards.index_path(directory, shard.file)
    try:
        data = index.read_bytes()
    except FileNotFoundError:
        return _scan(path)  # the index only saves time
    except OSError as error:
        raise UserError(f"cannot read {index}: {error.strerror}") from error
    offsets = np.frombuffer(data[: len(data) // 8 * 8], "<u8")
    steps = np.diff(offsets.astype(np.int64))
    sound = (
        len(data) % 8 == 0
        and len(offsets) > 0
        and offsets[0] == 0
        and int(offsets[-1]) == shard.bytes
        and bool((steps >= tfrecord.OVERHEAD_BYTES).all())
    )
    if not sound:
        raise UserError(
            f"{index} is not the index of {path}. Move it elsewhere: {path.name} is then scanned."
        )
    return offsets


def _scan(path: Path) -> np.ndarray:
    try:
        return tfrecord.scan(path)
    except (tfrecord.CorruptRecord, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror}") from error


def _close_all(descriptors: dict[Path, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
