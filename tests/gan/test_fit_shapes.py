"""`fit` on images of other shapes, of shapes that nobody said, one by one, and on too few."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.model import GAN
from tests.tiny import SHAPE, PointDiscriminator, PointGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (24, *SHAPE)).astype(np.float32)
POINTS = IMAGES[:, :1, :1]


def _make(**options):
    gan = GAN(PointGenerator(), PointDiscriminator(), **options)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def _of_unknown_shape(images):
    return tf.data.Dataset.from_generator(lambda: iter(images), output_types=tf.float32)


@pytest.mark.parametrize(
    "method",
    [
        lambda gan, images: gan.fit(images, verbose=0),
        lambda gan, images: gan.fit(_of_unknown_shape(images).batch(8), verbose=0),
        lambda gan, images: gan.evaluate(images, verbose=0),
        lambda gan, images: gan.train_on_batch(images),
    ],
)
def test_images_of_another_shape_are_refused(method):
    """A network that ends in a mean over the places would take them."""
    gan = _make()
    with pytest.raises(
        ValueError, match=r"shape \((24|8|N), 8, 8, 1\); the networks take \(N, 1, 1, 1\)"
    ):
        method(gan, IMAGES)


def test_images_of_unknown_shape_are_taken():
    gan = _make()
    gan.fit(_of_unknown_shape(POINTS).batch(12), verbose=0)
    assert int(gan.step) == 2
    with pytest.raises(ValueError, match=r"dataset\.batch\(64\)"):
        gan.fit(tf.data.Dataset.from_tensor_slices(POINTS), verbose=0)


@pytest.mark.parametrize("element", [lambda x: x, lambda x: (x,), lambda x: {"images": x}])
def test_python_generators_of_any_element(element):
    gan = _make()
    gan.fit((element(POINTS[:12]) for _ in range(3)), verbose=0)
    assert int(gan.step) == 3


def test_fewer_batches_than_a_step_takes_are_refused():
    gan = _make(n_critic=5)
    with pytest.raises(ValueError, match="The data have 2 batches, and a step takes 5"):
        gan.fit(POINTS, batch_size=12, verbose=0)
    with pytest.raises(ValueError, match="The data have 0 batches"):
        gan.fit(POINTS[:0], verbose=0)
