"""Pictures in rows of an array in a file: .npy, a member of an .npz, IDX, CIFAR's records.

Rows are read one after another, so that a compressed file is unpacked once a process, and no array
has to fit into memory.
"""

import contextlib
import dataclasses
import functools
import gzip
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import archives
from .image_sources import Choices, Source
from .readers import Entry, Reader

_BLOCK_BYTES = 1 << 24
_MAX_RATIO = 1100  # deflate compresses by 1032 at most


@dataclasses.dataclass(frozen=True)
class Array:
    """Where the rows are and what their numbers mean."""

    path: Path
    name: str  # of its rows, in messages: "images"
    shape: tuple[int, ...]  # [N, H, W], [N, H, W, C], or [N, C, H, W] if `planar`
    dtype: str = "|u1"
    planar: bool = False
    scale: float = 1  # value * scale + shift is within 0..255
    shift: float = 0
    offset: int = 0  # bytes ahead of the first row
    skip: int = 0  # bytes ahead of each row, such as labels
    member: str | None = None  # of a zip
    zipped: bool = False  # with gzip

    @property
    def row_bytes(self) -> int:
        """Without what is skipped."""
        return int(np.prod(self.shape[1:])) * np.dtype(self.dtype).itemsize

    def open(self) -> BinaryIO:
        """Opens the file at its first row; raises one of `archives.BROKEN` if it is damaged."""
        if self.member:
            file = zipfile.ZipFile(self.path).open(self.member)  # noqa: SIM115
        elif self.zipped:
            file = gzip.open(self.path)  # noqa: SIM115
        else:
            file = open(self.path, "rb")  # noqa: SIM115
        if len(file.read(self.offset)) != self.offset:
            raise EOFError("it ends early")
        return file

    def check_size(self) -> None:
        """Raises `UserError` if the file is too small for so many rows, however compressed."""
        size = self.path.stat().st_size
        if self.shape[0] * (self.row_bytes + self.skip) > size * _MAX_RATIO:
            raise UserError(
                f"{self.path}: `{self.name}` declares {self.shape[0]} rows of {self.row_bytes} "
                f"bytes in a file of {size} bytes; get it again"
            )

    def blocks(self, most: int | None = None) -> Iterator[np.ndarray]:
        """Yields the numbers of the rows, some rows at a time; of the first `most` rows if given.

        Raises:
            UserError: the file is damaged.
        """
        count = self.shape[0] if most is None else min(most, self.shape[0])
        step = max(1, _BLOCK_BYTES // (self.row_bytes + self.skip))
        try:
            with contextlib.closing(self.open()) as file:
                for start in range(0, count, step):
                    yield np.stack(
                        [_row(file, self)[1] for _ in range(start, min(start + step, count))]
                    )
                if count == self.shape[0]:
                    _check_end(file)
        except archives.BROKEN as error:
            raise UserError(f"{self.path}: `{self.name}` cannot be read: {error}") from error


@dataclasses.dataclass(frozen=True)
class ArrayReader(Reader):
    """Reads rows of arrays; entries are named `NAME[ROW]`, and rows read in rising order."""

    arrays: tuple[Array, ...]

    def contents(self, entries):
        """See `Reader.contents`: the numbers of the rows as they are stored."""
        for entry in entries:
            array, row = self._place(entry)
            yield entry, _rows(array).content(row)

    def decode(self, entry, content):
        """See `Reader.decode`."""
        array, _ = self._place(entry)
        row = np.frombuffer(content, array.dtype).reshape(array.shape[1:])
        return Image.fromarray(_pixels(row, array))

    def _place(self, entry: Entry) -> tuple[Array, int]:
        name, row = entry.name.removesuffix("]").rsplit("[", 1)
        return next(array for array in self.arrays if array.name == name), int(row)


@dataclasses.dataclass(frozen=True)
class Part:
    """An array and the class ids of its rows, if they have some."""

    array: Array
    labels: np.ndarray | None = None

    def entries(self) -> Iterator[Entry]:
        """Yields an entry a row."""
        for row in range(self.array.shape[0]):
            label = None if self.labels is None else int(self.labels[row])
            yield Entry(f"{self.array.name}[{row}]", label)


def as_source(
    parts: Mapping[str, Sequence[Part]], class_names: tuple[str, ...] | None, identity: str
) -> Source:
    """The source whose splits are these arrays, one after another.

    Raises:
        UserError: an array declares more rows than its file can hold.
    """
    arrays = tuple(part.array for split in parts.values() for part in split)
    for array in arrays:
        array.check_size()
    reader = ArrayReader(arrays)
    sources = {
        split: Source(
            reader, [entry for part in its for entry in part.entries()], class_names, identity
        )
        for split, its in parts.items()
    }
    return dataclasses.replace(sources.pop(TRAIN), more=sources)


def check_choices(path: Path, choices: Choices) -> None:
    """Raises `UserError` if the labels are to come from folders or a file of paths."""
    if choices.table or choices.labels == "folders":
        given = choices.table.name if choices.table else "folders"
        raise UserError(f"--labels={given}: {path} has no folders; use --labels=auto or none")


class _Rows:
    """Rows of an array in rising order: a process unpacks them once, however many its shards."""

    def __init__(self, array: Array):
        self._array = array
        self._file: BinaryIO | None = None
        self._next = 0

    def content(self, row: int) -> bytes:
        array = self._array
        try:
            if self._file is None or row < self._next:
                # It stays open while this process reads, to continue where the last row ended.
                self._file, self._next = array.open(), 0
            while self._next < row:
                self._read()
            return self._read().tobytes()
        except archives.BROKEN as error:
            # Unlike a bad file in a folder, damage in the stream makes all later rows unreadable.
            raise UserError(f"{array.path}: {array.name}[{row}] cannot be read: {error}") from error

    def _read(self) -> np.ndarray:
        row = _row(self._file, self._array)[1]
        self._next += 1
        if self._next == self._array.shape[0]:
            _check_end(self._file)
        return row


_rows = functools.lru_cache(maxsize=1)(_Rows)


def _row(file: BinaryIO, array: Array) -> tuple[bytes, np.ndarray]:
    """What is ahead of the next row, and its numbers."""
    data = file.read(array.skip + array.row_bytes)
    if len(data) != array.skip + array.row_bytes:
        raise EOFError("the array ends early")
    row = np.frombuffer(data, array.dtype, offset=array.skip)
    return data[: array.skip], row.reshape(array.shape[1:])


def _check_end(file: BinaryIO) -> None:
    """Checks that nothing follows; gzip compares its checksum only then."""
    if file.read(1):
        raise ValueError("it goes on behind the rows that it declares")


def prefixes(array: Array) -> np.ndarray:
    """The skipped bytes of every row, uint8 [N, skip].

    Raises:
        UserError: the file is damaged.
    """
    try:
        with contextlib.closing(array.open()) as file:
            ahead = b"".join(_row(file, array)[0] for _ in range(array.shape[0]))
    except archives.BROKEN as error:
        raise UserError(f"{array.path}: `{array.name}` cannot be read: {error}") from error
    return np.frombuffer(ahead, np.uint8).reshape(array.shape[0], array.skip)


def _pixels(row: np.ndarray, array: Array) -> np.ndarray:
    if array.planar:
        row = np.moveaxis(row, 0, -1)
    if row.shape[2:] == (1,):
        row = row[..., 0]
    if array.dtype != "|u1":
        row = np.rint(row.astype(np.float64) * array.scale + array.shift).astype(np.uint8)
    return np.ascontiguousarray(row)


def understood(array: Array) -> tuple[Array, list[str]]:
    """The array with its layout and the range of its numbers, and what was understood in words.

    Raises:
        ValueError: its shape or numbers are not those of pictures; says what to do.
        UserError: it declares more rows than the file can hold, or the file is damaged.
    """
    array, said = _with_layout(array)
    array.check_size()
    dtype = np.dtype(array.dtype)
    if dtype == np.uint8:
        _check_not_binary(array)
        return array, said
    if dtype == np.bool_:
        return dataclasses.replace(array, scale=255), [*said, "False is black, True is white"]
    if dtype.kind not in "iuf":
        raise ValueError(f"it is {dtype}, not uint8")
    low, high = _extent(array)
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return dataclasses.replace(array, scale=255), [*said, f"{dtype} in [0, 1], 1 is white"]
    if dtype.kind == "f" and low >= -1 and high <= 1:
        scaled = dataclasses.replace(array, scale=127.5, shift=127.5)
        return scaled, [*said, f"{dtype} in [-1, 1], 1 is white"]
    if low >= 0 and 1 < high <= 255:
        return array, [*said, f"{dtype} in [0, 255]"]
    raise ValueError(
        f"it is {dtype} from {low:g} to {high:g}, not uint8, [0, 1], [-1, 1] or [0, 255]; save "
        f"np.uint8(255 * (x - low) / (high - low)) with the limits that it should have"
    )


def _with_layout(array: Array) -> tuple[Array, list[str]]:
    shape = array.shape
    planar = len(shape) == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3) and not planar):
        raise ValueError(
            f"its shape is {shape}, not [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3"
            + "; save array[..., :3] to leave out the fourth channel" * (shape[3:] == (4,))
        )
    if min(shape) < 1 or int(np.prod(shape[1:])) > pictures.MAX_PIXELS * 3:
        raise ValueError(f"its shape is {shape}")
    said = [f"channels come first in {shape}"] if planar else []
    return dataclasses.replace(array, planar=planar), said


def _check_not_binary(array: Array) -> None:
    if max(int(block.max()) for block in array.blocks(most=64)) > 1:
        return
    values = {value for block in array.blocks() for value in np.unique(block).tolist()}
    if values == {0, 1}:
        raise ValueError("it is uint8 and only 0 and 1, which is black; save array * 255 instead")


def _extent(array: Array) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for block in array.blocks():
        if not np.isfinite(block).all():
            raise ValueError("it holds NaN or infinity; save np.nan_to_num of it")
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high
