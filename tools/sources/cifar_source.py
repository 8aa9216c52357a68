"""CIFAR's binary version: records of one or two labels and 3x32x32 bytes.

CIFAR-10 is `data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin` and `batches.meta.txt`;
CIFAR-100 `train.bin`, `test.bin` and `fine_label_names.txt`, whose coarse labels are not read.
"""

import dataclasses
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from lsgan_tf.utils.errors import UserError

from . import arrays, file_listing
from .image_sources import Choices, Source

FILES = re.compile(r".*\.(bin|txt|html)")
_SHAPE = (3, 32, 32)


@dataclasses.dataclass(frozen=True)
class _Version:
    splits: dict[str, str]  # patterns of the names of the files
    labels: int  # bytes ahead of a picture; the last is used
    names: str  # the file of the class names


_VERSIONS = (
    _Version({"train": r"data_batch_\d\.bin", "test": r"test_batch\.bin"}, 1, "batches.meta.txt"),
    _Version({"train": r"train\.bin", "test": r"test\.bin"}, 2, "fine_label_names.txt"),
)


def is_cifar(names: Collection[str]) -> bool:
    """Whether a folder of files of these names is one of the two."""
    return _version(names) is not None


def _version(names: Collection[str]) -> _Version | None:
    return next(
        (
            version
            for version in _VERSIONS
            if version.names in names and _matching(names, version.splits["train"])
        ),
        None,
    )


def _matching(names: Collection[str], pattern: str) -> list[str]:
    return sorted(name for name in names if re.fullmatch(pattern, name))


def list_cifar(folder: Path, names: Collection[str], choices: Choices) -> Source:
    """Lists the pictures in a folder of these files.

    Raises:
        UserError: a file is cut short, or a label has no name.
    """
    arrays.check_choices(folder, choices)
    version = _version(names)
    files = {
        split: [folder / name for name in _matching(names, pattern)]
        for split, pattern in version.splits.items()
        if split == "train" or choices.splits == "auto"
    }
    class_names = None
    if choices.labels == "auto":
        listed = file_listing.read_list(folder / version.names, str(folder / version.names))
        class_names = tuple(listed.decode("utf-8", "replace").split())
    parts = {
        split: [_part(file, version, class_names) for file in its]
        for split, its in files.items()
        if its
    }
    identity = "\n".join(
        f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}"
        for its in files.values()
        for file in its
    )
    return arrays.as_source(parts, class_names, identity)


def _part(file: Path, version: _Version, class_names: tuple[str, ...] | None) -> arrays.Part:
    size, record = file.stat().st_size, version.labels + int(np.prod(_SHAPE))
    if size % record or not size:
        raise UserError(
            f"{file} is cut short: {size} bytes are no multiple of the {record} of a record. Get "
            "it again"
        )
    array = arrays.Array(
        file, file.name, (size // record, *_SHAPE), planar=True, skip=version.labels
    )
    if class_names is None:
        return arrays.Part(array)
    labels = arrays.prefixes(array)[:, -1]
    if labels.max() >= len(class_names):
        raise UserError(
            f"{file} has the label {labels.max()}, {version.names} only {len(class_names)} names"
        )
    return arrays.Part(array, labels)
