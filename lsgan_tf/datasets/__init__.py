"""Data sets: found or rendered by name, served in batches that are a function of (seed, step).

Importing this package imports neither TensorFlow nor TensorFlow Datasets; `load` does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lsgan_tf.datasets import catalog, manifest
from lsgan_tf.datasets.catalog import Facts, MissingDataset, expected
from lsgan_tf.utils.errors import UserError

if TYPE_CHECKING:
    from lsgan_tf.datasets.dataset import Dataset

__all__ = [
    "Facts",
    "MissingDataset",
    "expected",
    "facts",
    "load",
    "splits",
    "test_split",
]

# "validation" first: some sets of TensorFlow Datasets have no labels in their "test".
_TEST_SPLITS = ("validation", "test")


def load(name: str, data_dir: str, *, image_size: int = 0, split: str = "train") -> Dataset:
    """Opens a split of a data set, rendering the set first if it is an embedded one.

    `name` is "tfds:NAME" for a builder of TensorFlow Datasets, or the name of a data set in
    `data_dir`. The embedded ones are rendered there on first use; fashion_mnist, cifar10 and mnist
    come from TensorFlow Datasets if they are not there.

    Args:
        name: which data set.
        data_dir: the directory that holds the data sets.
        image_size: if positive, images are cut to their middle square and resized to this side
            (pixels, antialiased bilinear) while they are read.
        split: which part; see `splits`.

    Raises:
        MissingDataset: the set is not there, and is neither rendered nor downloaded; says how to
            get it.
        UserError: the set has no such split, is damaged or not downloadable, or has images of
            several sizes and `image_size` is 0; says what to do.
    """
    directory = _directory(name, Path(data_dir), image_size)
    if directory is None:
        from lsgan_tf.datasets import tfds_source

        return tfds_source.load(name, Path(data_dir), image_size, split)
    if not _is_complete(directory):
        if split != catalog.TRAIN:  # which would show only after a minute of rendering
            raise catalog.no_split(name, split, [catalog.TRAIN])
        _render(name, data_dir)
    from lsgan_tf.datasets import decoding, record_reader
    from lsgan_tf.datasets.dataset import Dataset

    contents, records = record_reader.converted(directory, split)
    decoder = decoding.converted(contents, image_size)
    return Dataset(name, records, decoder, contents.class_names, contents.fingerprint())


def test_split(name: str, data_dir: str, *, image_size: int = 0) -> Dataset | None:
    """Opens the images that a data set keeps apart for tests; None if it keeps none.

    Raises:
        UserError: as `load` does.
    """
    available = splits(name, data_dir)
    for split in _TEST_SPLITS:
        if split in available:
            return load(name, data_dir, image_size=image_size, split=split)
    return None


def splits(name: str, data_dir: str) -> tuple[str, ...]:
    """The splits of a data set, from which `load` takes one.

    A set of TensorFlow Datasets that is not there is downloaded, as `load` does.

    Raises:
        UserError: as `load` does.
    """
    directory = _directory(name, Path(data_dir), 0)
    if directory is None:
        from lsgan_tf.datasets import tfds_source

        return tfds_source.splits(name, Path(data_dir))
    return manifest.load(directory).splits if _is_complete(directory) else (catalog.TRAIN,)


def facts(name: str, data_dir: str, *, image_size: int = 0) -> Facts:
    """What `load` with these arguments would give, without rendering, downloading or writing.

    Raises:
        MissingDataset: as `load` does; `expected` may still know what the set will be.
        UserError: as `load` does, as far as that shows without preparing anything or reading
            records.
    """
    directory = _directory(name, Path(data_dir), image_size)
    if directory is None:
        from lsgan_tf.datasets import tfds_source

        return tfds_source.facts(name, Path(data_dir), image_size)
    if not _is_complete(directory):
        return catalog.EMBEDDED[name].resized(image_size)
    from lsgan_tf.datasets import record_reader

    contents, records = record_reader.converted(directory)
    stored = Facts(contents.image_shape, len(records), contents.class_names)
    return stored.resized(image_size)


def _directory(name: str, data_dir: Path, image_size: int) -> Path | None:
    """The directory the set is in, or is rendered into; None: TensorFlow Datasets has it."""
    if image_size < 0:
        raise UserError(f"--image_size={image_size} is negative; 0 leaves images as they are")
    if name.startswith(catalog.TFDS_PREFIX):
        return None
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"{name!r} is not the name of a data set: a folder within {data_dir}")
    directory = data_dir / name
    if not _is_complete(directory):
        if name in catalog.TFDS_FALLBACKS:
            return None
        if name not in catalog.EMBEDDED:
            raise catalog.missing(name, data_dir)
    return directory


def _is_complete(directory: Path) -> bool:
    return (directory / manifest.FILE_NAME).exists()


def _render(name: str, data_dir: str) -> None:
    print(f"rendering data set {name} into {Path(data_dir) / name} (once)", file=sys.stderr)
    command = [sys.executable, "-m", "lsgan_tf.datasets.embedded"]
    finished = subprocess.run([*command, f"--name={name}", f"--data_dir={data_dir}"], check=False)
    if finished.returncode:
        raise UserError(f"rendering {name} into {data_dir} failed; the reason is printed above")
