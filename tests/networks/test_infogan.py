"""The InfoGAN-like pair of a comparison of GANs: its norms, its shapes, its two heads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.networks.infogan import InfoGANDiscriminator
from lsgan_tf.networks.normalization import find_batch_norms
from lsgan_tf.utils.errors import UserError
from tests.networks.network_checks import assert_saved_and_loaded

SHAPE = (28, 28, 1)


def test_norms_are_the_studys_but_for_the_momentum():
    for network, units in zip(
        networks.build("infogan", SHAPE), ([64, 1024, 6272], [128, 1024]), strict=True
    ):
        norms = find_batch_norms(network)
        assert sorted(norm.gamma.shape[0] for norm in norms) == units
        assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.99, 1e-3)}


@pytest.mark.parametrize("shape", [SHAPE, (32, 32, 3), (16, 24, 1)])
def test_images_are_between_0_and_1_and_of_any_multiple_of_4(shape):
    generator, discriminator = networks.build("infogan", shape)
    images = generator(tf.random.stateless_uniform((2, 64), (0, 1), -900, 900)).numpy()
    assert images.shape == (2, *shape)
    assert 0.0 <= images.min() < 0.5 < images.max() <= 1.0
    assert discriminator(images).shape == (2, 1)


def test_other_sides_are_refused():
    with pytest.raises(UserError, match="multiples of 4"):
        networks.build("infogan", (30, 30, 1))


def test_only_the_linear_head_leaves_0_and_1():
    keras.utils.set_random_seed(0)
    linear, bounded = InfoGANDiscriminator(SHAPE), InfoGANDiscriminator(SHAPE, sigmoid=True)
    bounded.set_weights(linear.get_weights())
    images = tf.random.stateless_uniform((64, *SHAPE), (0, 1), -900, 900)
    logits = linear(images).numpy()
    assert logits.min() < 0
    np.testing.assert_allclose(bounded(images), 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert (linear.logit_range, bounded.logit_range) == (None, (0, 1))


def test_it_is_saved_and_loaded(tmp_path):
    generator, discriminator = networks.build("infogan_sigmoid", SHAPE)
    images = generator(tf.ones((2, 64)))
    assert_saved_and_loaded(generator, tmp_path, tf.ones((2, 64)))
    assert assert_saved_and_loaded(discriminator, tmp_path, images).sigmoid
