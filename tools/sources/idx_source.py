"""MNIST's files: IDX, a big-endian array each, compressed with gzip or not.

`train-images-idx3-ubyte.gz` and `train-labels-idx1-ubyte.gz` become the split train, those that
begin with `t10k` or `test` the split test.
"""

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import archives, arrays, messages
from .image_sources import Choices, Source

IMAGES = re.compile(r"(.*?)-?images[-.]idx3-ubyte(\.gz)?", re.I)
FILES = re.compile(r".*(images|labels)[-.]idx[13]-ubyte(\.gz)?", re.I)
_TEST = re.compile(r"(.*-)?(t10k|test)", re.I)
_UINT8 = 8


def list_idx(path: Path, files: Sequence[Path], choices: Choices) -> Source:
    """Lists the rows of files of images.

    Args:
        path: the source, for messages.
        files: whose names `IMAGES` matches, a train set or also its test set.
        choices: `labels` is "auto" to read the files of labels beside them, or "none".

    Raises:
        UserError: a file cannot be used, there are several of a split, or labels are missing.
    """
    arrays.check_choices(path, choices)
    splits: dict[str, list[Path]] = {}
    for file in sorted(files):
        is_test = _TEST.fullmatch(IMAGES.fullmatch(file.name)[1]) and len(files) > 1
        splits.setdefault("test" if is_test else "train", []).append(file)
    if max(map(len, splits.values())) > 1 or "train" not in splits:
        names = [file.name for file in files]
        raise UserError(f"{path} holds {messages.counted(names, 'files')}; pass the one to convert")
    if choices.splits == "none":
        splits.pop("test", None)
    parts = {split: [_part(file, choices.labels)] for split, (file,) in splits.items()}
    labelled = [part.labels for (part,) in parts.values() if part.labels is not None]
    if 0 < len(labelled) < len(parts):
        raise UserError(f"{path} has labels for one split only; --labels=none leaves them out")
    names = None
    if labelled:
        names = tuple(map(str, range(1 + max(int(labels.max()) for labels in labelled))))
    identity = "\n".join(
        f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}"
        for (file,) in splits.values()
    )
    return arrays.as_source(parts, names, identity)


def _part(file: Path, labels: str) -> arrays.Part:
    images = _array(file, 3)
    if labels == "none":
        return arrays.Part(images)
    name = re.sub("idx3", "idx1", re.sub("images", "labels", file.name, flags=re.I), flags=re.I)
    stem = name.removesuffix(".gz")
    beside = [file.with_name(name) for name in (name, stem, f"{stem}.gz")]
    found = next((path for path in beside if path.is_file()), None)
    if found is None:
        messages.warn(f"{file} has no labels: there is no {name} beside it")
        return arrays.Part(images)
    array = _array(found, 1)
    if array.shape[0] != images.shape[0]:
        raise UserError(f"{found} has {array.shape[0]} labels for {images.shape[0]} images")
    # A row is no picture but one byte, which `blocks` reads as well.
    return arrays.Part(images, np.concatenate([*array.blocks()]).reshape(-1))


def _array(file: Path, dimensions: int) -> arrays.Array:
    array = arrays.Array(file, file.name, (), zipped=file.suffix.lower() == ".gz")
    size = 4 + 4 * dimensions
    try:
        with contextlib.closing(array.open()) as opened:
            header = opened.read(size)
        if len(header) != size or header[:2] != b"\0\0" or header[3] != dimensions:
            raise ValueError(f"it is no IDX of {dimensions} dimensions")
        if header[2] != _UINT8:
            raise ValueError(f"its numbers are of type {header[2]:#x}, not of 8 bits")
        shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
        if min(shape) < 1 or np.prod(shape[1:]) > pictures.MAX_PIXELS:
            raise ValueError(f"its shape is {shape}")
    except archives.BROKEN as error:
        raise UserError(f"{file} cannot be used: {error}") from error
    return dataclasses.replace(array, shape=shape, offset=size)
