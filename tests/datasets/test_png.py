import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf.datasets import png


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (5, 7), (5, 7, 1), (112, 112, 3), (3, 2, 3)])
def test_every_pixel_comes_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    encoded = png.encode(pixels)
    mode = "RGB" if pixels.shape[2:] == (3,) else "L"
    image = Image.open(io.BytesIO(encoded))
    assert (image.mode, image.size) == (mode, (shape[1], shape[0]))
    np.testing.assert_array_equal(np.asarray(image), pixels.reshape(np.asarray(image).shape))
    decoded = tf.io.decode_png(encoded).numpy()  # checks the checksums of the chunks
    np.testing.assert_array_equal(decoded, pixels.reshape(*shape[:2], -1))


def test_pictures_that_share_memory_with_larger_ones():
    large = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    part = large[::2, 1:5]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png.encode(part)))), part)


def test_smooth_pictures_become_small():
    slope = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    assert len(png.encode(slope)) < slope.size / 20
