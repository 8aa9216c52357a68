"""The pairs of the stability comparison against the authors' tables."""

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.utils.errors import UserError

SHAPE = (64, 64, 3)


def _shapes(network, name):
    return [tuple(v.shape) for v in network.trainable_variables if v.name == name]


@pytest.mark.parametrize(
    ("name", "in_g", "in_d"),
    [
        ("stability", True, True),
        ("stability_bn_g", False, True),
        ("stability_bn_gd", False, False),
    ],
)
def test_the_layers_are_those_of_the_tables(name, in_g, in_d):
    generator, discriminator = networks.build(name, SHAPE)
    # Transposed kernels are height, width, out, in.
    assert _shapes(generator, "kernel") == [
        (1024, 4 * 4 * 512),
        (5, 5, 256, 512),
        (5, 5, 128, 256),
        (5, 5, 64, 128),
        (5, 5, 3, 64),
    ]
    assert _shapes(discriminator, "kernel") == [
        (5, 5, 3, 64),
        (5, 5, 64, 128),
        (5, 5, 128, 256),
        (5, 5, 256, 512),
        (4 * 4 * 512, 1),
    ]
    # The first of G is one of the 512 channels, not of the 8192 units.
    assert _shapes(generator, "gamma") == [(512,), (256,), (128,), (64,)] * in_g
    assert _shapes(discriminator, "gamma") == [(128,), (256,), (512,)] * in_d


def test_without_batch_norm_an_image_depends_on_its_latents_alone():
    generator, discriminator = networks.build("stability_bn_gd", SHAPE)
    z = tf.random.stateless_uniform((2, 1024), (0, 0), -1, 1)
    images = generator(z, training=True)
    alone = generator(z[:1], training=True)
    # Kernels of other batch sizes add in another order.
    np.testing.assert_allclose(alone[0], images[0], atol=1e-6)
    scores = discriminator(images, training=True)
    np.testing.assert_allclose(discriminator(alone, training=True)[0], scores[0], atol=1e-6)


def test_the_latents_and_pixels_are_the_authors():
    generator, _ = networks.build("stability_bn_g", SHAPE)
    assert (generator.latent_dim, generator.latent_distribution) == (1024, "uniform")
    assert generator.value_range == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((112, 112, 3), 0, "takes images of 64x64x3.*--image_size=64"),
        ((64, 64, 1), 0, "--channels=colour"),
        (SHAPE, 10, "takes no labels"),
    ],
)
def test_what_does_not_fit_is_refused(shape, classes, message):
    with pytest.raises(UserError, match=message):
        networks.build("stability_bn_g", shape, classes)
