"""Pictures in an .npz or .npy: images, optional labels and class names; read row by row.

The arrays are `images`, `labels` and `class_names`; or `x_train`, `y_train`, `x_test`, `y_test`
of Keras; or `train_images`, `train_labels`, `val_images`, ... of MedMNIST; or `arr_0`, as
`lsgan sample` writes. Nothing is unpickled.
"""

import hashlib
import zipfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lsgan_tf.utils.errors import UserError, first_line

from . import archives, array_labels, arrays, messages
from .image_sources import Choices, Source

# The arrays of images and labels of each split.
_LAYOUTS = (
    {"train": ("images", "labels")},
    {
        "train": ("x_train", "y_train"),
        "validation": ("x_val", "y_val"),
        "test": ("x_test", "y_test"),
    },
    {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    {"train": ("arr_0", "labels")},
)
_MAX_NAMES = 100_000
_MAX_NAME_BYTES = 4096  # of one class name: 1024 characters


def list_npz(path: Path, choices: Choices) -> Source:
    """Lists the rows of the arrays of images.

    Args:
        path: the .npz.
        choices: `labels` is "auto" to read the array of labels if there is one, or "none".

    Raises:
        UserError: it is damaged or encrypted, an array is missing, of the wrong type or shape,
            labels are out of range, or `labels` is "folders" or a file.
    """
    arrays.check_choices(path, choices)
    with archives.open_zip(path) as archive:
        digest = hashlib.sha256()
        for member in archives.list_files(path, archive):
            digest.update(f"{member.filename}\0{member.file_size}\0{member.CRC}\n".encode())
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        layout = next((layout for layout in _LAYOUTS if layout["train"][0] in names), None)
        if layout is None:
            has = ", ".join(sorted(names)[:20]) or "nothing"
            raise UserError(
                f"{path} has no array `images` (it has: {has}). Save it with np.savez("
                f"FILE, images=..., labels=...)"
            )
        if choices.splits == "none":
            layout = {"train": layout["train"]}
        layout = {split: keys for split, keys in layout.items() if keys[0] in names}
        images = {split: _images(archive, path, keys[0]) for split, keys in layout.items()}
        labels = {}
        if choices.labels == "auto" and layout["train"][1] in names:
            labels = {
                split: _labels(archive, path, keys[1], images[split].shape[0])
                for split, keys in layout.items()
            }
        _tell_unused(path, names, layout, bool(labels))
        classes, class_names = _class_names(archive, path, labels)
    parts = {
        split: [arrays.Part(array, classes[split] if classes else None)]
        for split, array in images.items()
    }
    return arrays.as_source(parts, class_names, digest.hexdigest())


def list_npy(path: Path, choices: Choices) -> Source:
    """Lists the rows of an .npy.

    Raises:
        UserError: as `list_npz` does.
    """
    arrays.check_choices(path, choices)
    try:
        status = path.stat()
        with open(path, "rb") as file:
            array = _array(file, arrays.Array(path, path.stem, ()))
    except archives.BROKEN as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    array = _told(array)
    identity = f"{array.shape} {array.dtype} {status.st_size} {status.st_mtime_ns}"
    return arrays.as_source({"train": [arrays.Part(array)]}, None, identity)


def _array(file: BinaryIO, array: arrays.Array) -> arrays.Array:
    """The array whose header `file` begins with; raises ValueError if it is unusable."""
    shape, dtype = _header(file)
    changes = {"shape": shape, "dtype": dtype.str, "offset": file.tell()}
    return arrays.Array(**{**vars(array), **changes})


def _told(array: arrays.Array) -> arrays.Array:
    try:
        array, said = arrays.understood(array)
    except archives.BROKEN as error:
        raise UserError(f"{array.path}: array `{array.name}` cannot be used: {error}") from error
    if said:
        messages.warn(f"{array.path}: `{array.name}` is taken as: {'; '.join(said)}")
    return array


def _images(archive: zipfile.ZipFile, path: Path, key: str) -> arrays.Array:
    member = f"{key}.npy"
    try:
        with archive.open(member) as file:
            array = _array(file, arrays.Array(path, key, (), member=member))
    except archives.BROKEN as error:
        raise UserError(f"{path}: array `{key}` cannot be used: {error}") from error
    return _told(array)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Reads the header of an array: its shape and dtype; raises ValueError if it is unusable."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"its format version {version} is not known")
    try:
        shape, fortran, dtype = readers[version](file)
    except archives.BROKEN:
        raise
    except Exception as error:  # of Python's parsers, which NumPy calls
        raise ValueError(f"its header is damaged: {first_line(error)}") from error
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which are never loaded")
    if fortran and len(shape) > 1:
        raise ValueError("it is in Fortran order; save np.ascontiguousarray of it")
    return shape, dtype


def _labels(archive: zipfile.ZipFile, path: Path, key: str, count: int) -> array_labels.Labels:
    try:
        with archive.open(f"{key}.npy") as file:
            shape, dtype = _header(file)
            return array_labels.read(file, shape, dtype, count)
    except KeyError as error:
        raise UserError(f"{path} has no array `{key}`; --labels=none leaves labels out") from error
    except archives.BROKEN as error:
        raise UserError(f"{path}: array `{key}` cannot be used: {error}") from error


def _class_names(
    archive: zipfile.ZipFile, path: Path, labels: dict[str, array_labels.Labels]
) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """Class ids of each split, and the class names."""
    if not labels:
        return {}, None
    names = None
    if "class_names.npy" in archive.namelist():
        names = _declared_names(archive, path)
    try:
        return array_labels.named(labels, names, str(path))
    except ValueError as error:
        raise UserError(f"{path}: array `class_names` cannot be used: {error}") from error


def _declared_names(archive: zipfile.ZipFile, path: Path) -> tuple[str, ...]:
    try:
        with archive.open("class_names.npy") as file:
            shape, dtype = _header(file)
            if len(shape) != 1 or dtype.kind != "U":
                raise ValueError(f"it is {dtype} {shape}, not a one-dimensional array of strings")
            if shape[0] > _MAX_NAMES or dtype.itemsize > _MAX_NAME_BYTES:
                raise ValueError(f"{dtype} {shape} is larger than {_MAX_NAMES} names can be")
            data = file.read(shape[0] * dtype.itemsize)
        names = tuple(np.frombuffer(data, dtype).reshape(shape).tolist())
    except archives.BROKEN as error:
        raise UserError(f"{path}: array `class_names` cannot be used: {error}") from error
    # Checked here because names map the class ids of a test source to those of the train source.
    if duplicates := [name for name, times in Counter(names).items() if times > 1]:
        raise UserError(
            f"{path}: array `class_names` cannot be used: two classes are named {duplicates[0]!r}"
        )
    return names


def _tell_unused(
    path: Path, names: list[str], layout: dict[str, tuple[str, str]], labelled: bool
) -> None:
    used = {name for keys in layout.values() for name in keys[: 1 + labelled]}
    used |= {"class_names"} if labelled else set()
    if unused := [name for name in names if name not in used]:
        messages.warn(f"not used: {messages.counted(unused, 'arrays')} of {path}")
