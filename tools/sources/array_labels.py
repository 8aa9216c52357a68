"""Labels in an array: class ids, one-hot rows, or names."""

import dataclasses
import unicodedata
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from . import messages

_MAX_CLASSES = 100_000
_MAX_BYTES = 1 << 28
_MAX_NAME_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class Labels:
    """One value a picture, and which values there are by themselves."""

    values: np.ndarray  # int64 or str, [N]
    count: int | None = None  # of classes, if the array says so: the width of one-hot rows


def read(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype, count: int) -> Labels:
    """Reads the labels of `count` pictures.

    Args:
        file: the array, behind its header.
        shape: [N], [N, 1] or, one-hot, [N, classes].
        dtype: whole numbers, strings, or, one-hot, any numbers.
        count: N.

    Raises:
        ValueError: they cannot be used; says what to do.
    """
    width = shape[1] if len(shape) == 2 else 1
    if len(shape) not in (1, 2) or shape[0] != count or width < 1:
        raise ValueError(
            f"its shape is {shape}, for {count} images it must be ({count},), ({count}, 1) or, "
            f"one-hot, ({count}, CLASSES)"
        )
    if dtype.itemsize > _MAX_NAME_BYTES or count * width * dtype.itemsize > _MAX_BYTES:
        raise ValueError(f"{dtype} {shape} is larger than labels can be; save class ids")
    size = count * width * dtype.itemsize
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends early")
    values = np.frombuffer(data, dtype).reshape(count, width)
    if width > 1:
        return Labels(_from_one_hot(values), width)
    return Labels(_checked(values[:, 0]))


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    if rows.dtype.kind not in "iufb" or not (
        ((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all()
    ):
        raise ValueError(
            f"its shape is {rows.shape} and its rows are not one-hot, a single 1 among zeros; save "
            "one class id an image"
        )
    return rows.argmax(1).astype(np.int64)


def _checked(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")  # UnicodeDecodeError is a ValueError
    if values.dtype.kind == "U":
        return np.array([unicodedata.normalize("NFC", value) for value in values.tolist()])
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise ValueError(f"it is {values.dtype}, not whole numbers; save labels.astype(int)")
    if values.min() < 0 or values.max() >= _MAX_CLASSES:
        raise ValueError(
            f"it reaches from {values.min()} to {values.max()}, not within 0..{_MAX_CLASSES}"
        )
    return values.astype(np.int64)


def named(
    labels: Mapping[str, Labels], names: tuple[str, ...] | None, where: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Class ids of each split, and the class names; classes are those that occur in "train".

    Args:
        labels: of each split.
        names: of the classes, by value; None: the values are the names.
        where: the source, for messages.

    Raises:
        ValueError: there are fewer names than values, or a split has classes that train lacks.
    """
    train = labels["train"]
    values = np.unique(train.values).tolist()
    if names is not None:
        values, class_names = _by_value(values, names, where)
    else:
        if train.count:
            values = list(range(train.count))
        elif isinstance(values[0], int) and values != list(range(len(values))):
            messages.warn(
                f"{where}: the labels are not numbered from 0 on; the {len(values)} that occur "
                f"({messages.first(map(str, values))}) become the classes"
            )
        class_names = tuple(map(str, values))
    ids = {value: number for number, value in enumerate(values)}
    found = {}
    for split, those in labels.items():
        if unknown := sorted(set(those.values.tolist()) - set(ids)):
            raise ValueError(f"{split} has the label {unknown[0]}, which train lacks")
        found[split] = np.array([ids[value] for value in those.values.tolist()])
    return found, class_names


def _by_value(values: list, names: tuple[str, ...], where: str) -> tuple[list, tuple[str, ...]]:
    names = tuple(unicodedata.normalize("NFC", name) for name in names)
    if isinstance(values[0], str):
        if unknown := [value for value in values if value not in names]:
            raise ValueError(f"it lacks the label {unknown[0]!r}")
        return list(names), names
    if values[0] == 1 and values[-1] == len(names):
        messages.warn(f"{where}: the labels start at 1, and class_names with the name of 1")
        return list(range(1, len(names) + 1)), names
    if values[-1] >= len(names):
        raise ValueError(
            f"it has {len(names)} names, the labels need a one-dimensional array of "
            f"{values[-1] + 1} or more strings"
        )
    return list(range(len(names))), names
