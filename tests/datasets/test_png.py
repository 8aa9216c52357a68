import io
import subprocess
import sys

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


DIGEST = """
import hashlib, numpy as np
from lsgan_tf.datasets import png
rng, digest = np.random.default_rng(0), hashlib.sha256()
for side, count in ((4, 500), (28, 100)):
    for pixels in rng.integers(0, 4, (count, side, side), np.uint8):
        digest.update(png.encode(pixels))
print(digest.hexdigest())
"""


def test_the_same_pixels_give_the_same_bytes_in_every_process():
    # Encoders there are that pick up what happens to lie in memory, on just such small pictures.
    processes = [
        subprocess.Popen([sys.executable, "-c", DIGEST], stdout=subprocess.PIPE) for _ in range(8)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1
    assert not any(process.returncode for process in processes)


def test_smooth_pictures_become_small():
    slope = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    assert len(png.encode(slope)) < slope.size / 20
