"""Small LMDBs laid out like LSUN's, and how to convert them."""

import hashlib
import io

import lmdb
import numpy as np
from PIL import Image

from lsgan_tf.datasets import manifest
from tests.datasets import making
from tests.tools import conversions
from tools import convert_lsun


def key(number):
    """40 hex digits; the order of the keys is not that of the numbers."""
    return hashlib.sha1(str(number).encode()).hexdigest().encode()


def webp(pixels):
    """Encodes uint8 [H, W, 3] without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "webp", lossless=True)
    return buffer.getvalue()


def write(directory, values):
    """Writes an LMDB of {key: value}; returns its directory."""
    with (
        lmdb.open(str(directory), map_size=1 << 28) as environment,
        environment.begin(write=True) as transaction,
    ):
        for name, value in values.items():
            transaction.put(name, value)
    return directory


def of_pictures(directory, count, size=8, others=()):
    """Writes an LMDB of `making.picture(0 .. count-1)` in colour and of {key: value}."""
    values = {key(n): webp(making.picture(n, size, 3)) for n in range(count)}
    return write(directory, values | dict(others))


def in_order(count):
    """The numbers of the pictures in the order of their keys."""
    return sorted(range(count), key=key)


def pixels_of(builder_split):
    """The numbers of 8x8 pictures as TensorFlow Datasets reads them."""
    return making.numbers_of(np.stack([item["image"] for item in builder_split]))


def convert(source, target, val_lmdb=None, **options):
    options = convert_lsun.Options(**{"image_size": 8} | options)
    val_lmdbs = [val_lmdb] if val_lmdb else []
    return convert_lsun.convert([source], target, options, val_lmdbs)


def failure(source, target, **options):
    """The message with which a conversion ends, after checking that it left no data set."""
    message = conversions.failure(convert, source, target, **options)
    assert not (target / manifest.FILE_NAME).exists()
    return message
