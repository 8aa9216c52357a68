"""The DCGAN pair at sides that are no multiple of 16, and without batch norm; the pairs of the
stability comparison against the authors' tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf import networks
from lsgan_tf.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lsgan_tf.networks.layers import conv
from tests.networks.network_checks import shapes_of

STABILITY_SHAPE = (64, 64, 3)


@pytest.mark.parametrize(
    ("side", "grid"),
    [(16, 1), (17, 2), (28, 2), (31, 2), (33, 3), (100, 7)],  # side / 16, rounded up
)
def test_any_side_from_16_on(side, grid):
    generator = DCGANGenerator((side, side, 1))
    discriminator = DCGANDiscriminator((side, side, 1))
    assert shapes_of(generator, "kernel")[0] == (100, grid * grid * 512)
    assert shapes_of(discriminator, "kernel")[-1] == (grid * grid * 512, 1)
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
    discriminator = DCGANDiscriminator((16, 16, 3), norm="batch" if batch_norm else "none")
    gammas = [len(shapes_of(network, "gamma")) for network in (generator, discriminator)]
    assert gammas == [of_g, of_d]
    x = tf.random.stateless_uniform((3, 16, 16, 3), (0, 0), -1, 1)
    difference = discriminator(x, training=True) - discriminator(x, training=False)
    assert bool(np.any(np.abs(difference) > 1e-6)) == batch_norm  # else rounding is all


@pytest.mark.parametrize(("batch_norm", "norm"), [(True, "batch"), (False, "none")])
def test_a_discriminator_of_an_earlier_version_loads(batch_norm, norm):
    config = {"image_shape": [16, 16, 3], "num_classes": 0, "batch_norm": batch_norm, "name": "d"}
    assert DCGANDiscriminator.from_config(config).norm == norm


def test_half_the_base_channels_halve_every_width():
    """A quarter of the weights between hidden maps: 128 and 256 pixels in reasonable time."""
    shape = (32, 32, 3)
    widths = {}
    for base in (64, 32):
        pair = networks.build("dcgan", shape, base_channels=base)
        widths[base] = [
            (kernel[-2], kernel[-1]) for net in pair for kernel in shapes_of(net, "kernel")
        ]
    assert widths[64][0] == (100, 2 * 2 * 512) and widths[64][-1] == (2 * 2 * 512, 1)
    halved = [tuple(n if n in (100, 3, 1) else n // 2 for n in channels) for channels in widths[64]]
    assert widths[32] == halved


@pytest.mark.parametrize("shape", [(15, 15, 3), (32, 16, 3), (32, 32, 2)])
def test_other_shapes_are_refused(shape):
    for network in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match="square images of 1 or 3 channels and a side of at"):
            network(shape)


@pytest.mark.parametrize(
    ("name", "in_g", "in_d"),
    [
        ("stability", True, True),
        ("stability_bn_g", False, True),
        ("stability_bn_gd", False, False),
    ],
)
def test_the_layers_of_the_stability_pairs_are_those_of_the_tables(name, in_g, in_d):
    generator, discriminator = networks.build(name, STABILITY_SHAPE)
    # Transposed kernels are height, width, out, in.
    assert shapes_of(generator, "kernel") == [
        (1024, 4 * 4 * 512),
        (5, 5, 256, 512),
        (5, 5, 128, 256),
        (5, 5, 64, 128),
        (5, 5, 3, 64),
    ]
    assert shapes_of(discriminator, "kernel") == [
        (5, 5, 3, 64),
        (5, 5, 64, 128),
        (5, 5, 128, 256),
        (5, 5, 256, 512),
        (4 * 4 * 512, 1),
    ]
    # The first of G is one of the 512 channels, not of the 8192 units.
    assert shapes_of(generator, "gamma") == [(512,), (256,), (128,), (64,)] * in_g
    assert shapes_of(discriminator, "gamma") == [(128,), (256,), (512,)] * in_d


def test_without_batch_norm_an_image_depends_on_its_latents_alone():
    generator, discriminator = networks.build("stability_bn_gd", STABILITY_SHAPE)
    z = tf.random.stateless_uniform((2, 1024), (0, 0), -1, 1)
    images = generator(z, training=True)
    alone = generator(z[:1], training=True)
    # Kernels of other batch sizes add in another order.
    np.testing.assert_allclose(alone[0], images[0], atol=1e-6)
    logits = discriminator(images, training=True)
    np.testing.assert_allclose(discriminator(alone, training=True)[0], logits[0], atol=1e-6)


def test_the_latents_and_pixels_of_the_stability_pairs_are_the_authors():
    generator, _ = networks.build("stability_bn_g", STABILITY_SHAPE)
    assert (generator.latent_dim, generator.latent_distribution) == (1024, "uniform")
    assert generator.value_range == (-1.0, 1.0)
