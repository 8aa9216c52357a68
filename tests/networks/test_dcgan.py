"""The DCGAN pair at sides that are no multiple of 16, and without batch norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lsgan_tf.networks.layers import conv


def _named(network, name):
    return [v for v in network.trainable_variables if v.name == name]


@pytest.mark.parametrize(
    ("side", "grid"),
    [(16, 1), (17, 2), (28, 2), (31, 2), (33, 3), (100, 7)],  # side / 16, rounded up
)
def test_any_side_from_16_on(side, grid):
    generator = DCGANGenerator((side, side, 1))
    discriminator = DCGANDiscriminator((side, side, 1))
    assert _named(generator, "kernel")[0].shape == (100, grid * grid * 512)
    assert _named(discriminator, "kernel")[-1].shape == (grid * grid * 512, 1)
    images = generator(tf.ones((2, 100)))
    assert images.shape == (2, side, side, 1)
    assert discriminator(images).shape == (2, 1)


def test_the_sides_on_the_way_are_halved_and_rounded_up():
    sides = {}
    for side in (28, 64, 100):
        body = DCGANGenerator((side, side, 3)).body
        sides[side] = [
            layer.output.shape[1]
            for layer in body.layers
            if isinstance(layer, layers.Conv2DTranspose)
        ]
    assert sides == {28: [4, 7, 14, 28], 64: [8, 16, 32, 64], 100: [13, 25, 50, 100]}


def test_each_transposed_convolution_is_the_transpose_of_the_convolution_from_its_side():
    """<conv(x), y> = <x, deconv(y)> for all x and y only if both are cut at the same pixels."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    sides = []
    for layer in DCGANGenerator((28, 28, 1)).body.layers:
        if not isinstance(layer, layers.Conv2DTranspose):
            continue
        y = rng.normal(size=(1, *layer.input.shape[1:])).astype(np.float32)
        x = rng.normal(size=(1, *layer.output.shape[1:])).astype(np.float32)
        back = conv(y.shape[-1])
        back.build(x.shape)
        back.kernel.assign(layer.kernel)  # of both: height, width, image side, grid side
        there = np.sum(x * layer(y), dtype=np.float64)
        assert np.sum(back(x) * y, dtype=np.float64) == pytest.approx(there, rel=1e-3)
        sides.append(x.shape[1])
    assert sides == [4, 7, 14, 28]


@pytest.mark.parametrize(("batch_norm", "of_g", "of_d"), [(True, 4, 3), (False, 0, 0)])
def test_batch_norm_is_in_every_hidden_layer_or_in_none(batch_norm, of_g, of_d):
    generator = DCGANGenerator((16, 16, 3), batch_norm=batch_norm)
    discriminator = DCGANDiscriminator((16, 16, 3), batch_norm=batch_norm)
    assert (len(_named(generator, "gamma")), len(_named(discriminator, "gamma"))) == (of_g, of_d)
    x = tf.random.stateless_uniform((3, 16, 16, 3), (0, 0), -1, 1)
    difference = discriminator(x, training=True) - discriminator(x, training=False)
    assert bool(np.any(difference)) == batch_norm


@pytest.mark.parametrize("shape", [(15, 15, 3), (32, 16, 3), (32, 32, 2)])
def test_other_shapes_are_refused(shape):
    for network in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match="square images of 1 or 3 channels and a side of at"):
            network(shape)
