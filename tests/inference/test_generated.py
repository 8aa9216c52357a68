"""Generated images by number, and with labels, as scores take them."""

import numpy as np
import pytest

from lsgan_tf.inference.sampler import Generated
from lsgan_tf.utils.errors import UserError
from tests import tiny


def test_an_image_follows_from_its_number():
    generator = tiny.TinyGenerator()
    images = Generated(generator, 600, seed=3)
    in_turn = np.concatenate([batch for batch, _ in images.batches(250)])
    assert in_turn.shape == (600, 8, 8, 1) and in_turn.dtype == np.uint8
    numbers = np.array([599, 0, 300, 255, 256])
    np.testing.assert_array_equal(images.at(numbers)[0], in_turn[numbers])
    fewer = Generated(generator, 10, seed=3)
    np.testing.assert_array_equal(next(fewer.batches(10))[0], in_turn[:10])
    other = Generated(generator, 10, seed=4)
    assert (next(other.batches(10))[0] != in_turn[:10]).any()
    z = np.stack([images._block(number // 256)[number % 256] for number in range(600)])
    assert len(np.unique(z, axis=0)) == 600


def test_labels_are_asked_for():
    generator = tiny.TinyGenerator(num_classes=3)
    labels = np.arange(30) % 3
    images = Generated(generator, 30, labels=labels)
    batches = list(images.batches(20))
    assert [len(batch) for batch, _ in batches] == [20, 10]
    np.testing.assert_array_equal(np.concatenate([given for _, given in batches]), labels)


def test_what_is_no_number_is_told():
    generator = tiny.TinyGenerator()
    kernel = generator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan, np.float32))
    with pytest.raises(UserError, match="NaN or infinity: this run has diverged"):
        Generated(generator, 4).at(np.arange(4))
