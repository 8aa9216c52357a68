"""What the tests of the converters share: commands, zips and their damage, reading what is made."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import datasets
from lsgan_tf.datasets import manifest
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tools import convert_images


def run(tool, *arguments, **environment):
    """Runs `python -m tools.TOOL`, with additions to the environment."""
    return subprocess.run(
        [sys.executable, "-m", f"tools.{tool}", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def failure(convert, source, target, **options):
    """The message with which `convert` refuses."""
    with pytest.raises(UserError) as error:
        convert(source, target, **options)
    return str(error.value)


def zipped(folder, path, top="", method=zipfile.ZIP_DEFLATED):
    """Packs a folder, below the folder `top` of the zip; returns the zip's path."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path(top) / file.relative_to(folder))
    return path


def mark_encrypted(path):
    """Sets the flag of an encrypted member in every entry of a zip's directory."""

    def change(data):
        entry = -1
        while (entry := data.find(b"PK\x01\x02", entry + 1)) >= 0:
            data[entry + 8] |= 1

    return making.change_bytes(path, change)


def stored(directory, *, with_split=False):
    """Yields the records of a data set in order: {feature: number}, and the pixels as "image"."""
    for shard in manifest.load(directory).shards:
        split = {"split": shard.split} if with_split else {}
        for payload in tf.data.TFRecordDataset(str(directory / shard.file)).as_numpy_iterator():
            features = dict(tf.train.Example.FromString(payload).features.feature)
            image = tf.io.decode_image(features.pop("image").bytes_list.value[0]).numpy()
            numbers = {name: feature.int64_list.value[0] for name, feature in features.items()}
            yield numbers | {"image": image} | split


def examples(directory):
    """{number: label} of a data set of `making.picture`s, after checking every pixel."""
    dataset = datasets.load(directory.name, str(directory.parent))
    images, labels = dataset.first_images(dataset.num_examples)
    numbers = making.numbers_of(images)
    for image, number in zip(images, numbers, strict=True):
        expected = making.picture(number, image.shape[0], image.shape[2])
        assert np.array_equal(image, expected)
    return dict(zip(numbers, [None] * len(numbers) if labels is None else labels, strict=True))


def save(path, number=0, channels=3, size=8):
    """Writes a picture as PNG; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(making.png(making.picture(number, size, channels)))
    return path


def convert(source, target, test_source=None, **options):
    """Converts to 8 pixels unless the options say otherwise."""
    options = {"image_size": 8} | options
    return convert_images.convert(source, target, convert_images.Options(**options), test_source)
