"""Pictures in an .npz: `images`, optional `labels` and `class_names`; read row by row."""

import dataclasses
import functools
import hashlib
import zipfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import archives
from .image_sources import Entry, Source

_MAX_CLASSES = 100_000
_MAX_ITEM_BYTES = 4096  # of one class name: 1024 characters


@dataclasses.dataclass(frozen=True)
class NpzReader:
    """Reads rows of `images`; `shape` is [N, H, W] or [N, H, W, C]."""

    path: Path
    shape: tuple[int, ...]

    def read(self, entries):
        """See `Reader.read`; entries are consecutive rows."""
        rows = _rows(self.path, self.shape)
        for entry in entries:
            yield entry, rows.image(int(entry.name.removeprefix("images[").removesuffix("]")))


def list_npz(path: Path, labels: str) -> Source:
    """Lists the rows of `images`.

    Args:
        path: the .npz.
        labels: "auto" to read the array `labels` if there is one, or "none".

    Raises:
        UserError: it is damaged or encrypted, an array is missing, of the wrong type or shape,
            labels are out of range, or `labels` is "folders".
    """
    if labels == "folders":
        raise UserError(f"--labels=folders: {path} has no folders; use --labels=auto or none")
    with archives.open_zip(path) as archive:
        digest = hashlib.sha256()
        for member in archives.list_files(path, archive):
            digest.update(f"{member.filename}\0{member.file_size}\0{member.CRC}\n".encode())
        shape = _image_shape(archive, path)
        ids, class_names = None, None
        if labels == "auto" and "labels.npy" in archive.namelist():
            ids = _labels(archive, path, shape[0])
            class_names = _class_names(archive, path, ids)
    entries = [
        Entry(f"images[{row}]", None if ids is None else int(ids[row])) for row in range(shape[0])
    ]
    return Source(NpzReader(path, shape), entries, class_names, digest.hexdigest())


class _Rows:
    """Rows of `images` in rising order: a process unpacks them once, however many its shards."""

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self._path, self._row_shape = path, shape[1:]
        self._row_bytes = int(np.prod(self._row_shape))
        self._file: BinaryIO | None = None
        self._next = 0

    def image(self, row: int) -> Image.Image:
        try:
            if self._file is None or row < self._next:
                # It stays open while this process reads, to continue where the last row ended.
                self._file = zipfile.ZipFile(self._path).open("images.npy")  # noqa: SIM115
                _header(self._file)
                self._next = 0
            while self._next < row:
                self._read_row()
            return Image.fromarray(np.frombuffer(self._read_row(), np.uint8).reshape(self._picture))
        except archives.BROKEN as error:
            # Unlike a bad file in a folder, damage in the stream makes all later rows unreadable.
            raise UserError(f"{self._path}: images[{row}] cannot be read: {error}") from error

    @property
    def _picture(self) -> tuple[int, ...]:
        return self._row_shape[:2] if self._row_shape[2:] == (1,) else self._row_shape

    def _read_row(self) -> bytes:
        data = self._file.read(self._row_bytes)
        if len(data) != self._row_bytes:
            raise EOFError("the array ends early")
        self._next += 1
        return data


_rows = functools.lru_cache(maxsize=1)(_Rows)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Reads the header of an array: its shape and dtype; raises ValueError if it is unusable."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"its format version {version} is not known")
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which are never loaded")
    if fortran:
        raise ValueError("it is in Fortran order; save np.ascontiguousarray of it")
    return shape, dtype


def _image_shape(archive: zipfile.ZipFile, path: Path) -> tuple[int, ...]:
    if "images.npy" not in archive.namelist():
        raise UserError(f"{path} has no array `images` (it has: {_array_names(archive)})")
    try:
        with archive.open("images.npy") as file:
            shape, dtype = _header(file)
        if dtype != np.uint8:
            raise ValueError(f"it is {dtype}, not uint8")
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise ValueError(f"its shape is {shape}, not [N, H, W], [N, H, W, 1] or [N, H, W, 3]")
        if min(shape) < 1 or shape[1] * shape[2] > pictures.MAX_PIXELS:
            raise ValueError(f"its shape is {shape}")
    except archives.BROKEN as error:
        raise UserError(f"{path}: array `images` cannot be used: {error}") from error
    return shape


def _labels(archive: zipfile.ZipFile, path: Path, count: int) -> np.ndarray:
    labels = _small_array(archive, path, "labels", max_items=count)
    problem = None
    if labels.dtype.kind not in "iu":
        problem = f"it is {labels.dtype}, not whole numbers"
    elif labels.shape != (count,):
        problem = f"its shape is {labels.shape}, for {count} images it must be ({count},)"
    elif labels.min() < 0 or labels.max() >= _MAX_CLASSES:
        problem = f"it reaches from {labels.min()} to {labels.max()}, not within 0..{_MAX_CLASSES}"
    if problem:
        raise UserError(f"{path}: array `labels` cannot be used: {problem}")
    return labels


def _class_names(archive: zipfile.ZipFile, path: Path, labels: np.ndarray) -> tuple[str, ...]:
    needed = int(labels.max()) + 1
    if "class_names.npy" not in archive.namelist():
        return tuple(str(number) for number in range(needed))
    names = _small_array(archive, path, "class_names", max_items=_MAX_CLASSES)
    if names.dtype.kind != "U" or names.ndim != 1 or len(names) < needed:
        raise UserError(
            f"{path}: array `class_names` cannot be used: it is {names.dtype} {names.shape}, the "
            f"labels need a one-dimensional array of {needed} or more strings"
        )
    # Checked here because names map the class ids of a test source to those of the train source.
    if duplicates := [name for name, times in Counter(names.tolist()).items() if times > 1]:
        raise UserError(
            f"{path}: array `class_names` cannot be used: two classes are named {duplicates[0]!r}"
        )
    return tuple(names.tolist())


def _small_array(archive: zipfile.ZipFile, path: Path, name: str, max_items: int) -> np.ndarray:
    try:
        with archive.open(f"{name}.npy") as file:
            shape, dtype = _header(file)
            if int(np.prod(shape)) > max_items or dtype.itemsize > _MAX_ITEM_BYTES:
                raise ValueError(f"{dtype} {shape} is larger than {max_items} items can be")
            data = file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)
    except archives.BROKEN as error:
        raise UserError(f"{path}: array `{name}` cannot be used: {error}") from error


def _array_names(archive: zipfile.ZipFile) -> str:
    names = (name.removesuffix(".npy") for name in archive.namelist()[:20])
    return ", ".join(sorted(names)) or "nothing"
