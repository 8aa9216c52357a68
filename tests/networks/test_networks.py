"""Every registered pair: parameter counts of the specification, shapes, one finite step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.gan.model import GAN
from lsgan_tf.utils.errors import UserError
from tests.networks.network_checks import assert_saved_and_loaded, count_parameters


@pytest.mark.parametrize(
    ("name", "shape", "of_g", "of_d"),
    [
        ("dcgan_no_bn", (128, 128, 3), 7_615_619, 4_339_329),  # the authors' other cat pair
        ("stability", (64, 64, 3), 12_704_771, 4_316_545),  # G has 2 * (512 + 256 + 128 + 64) more
    ],
)
def test_parameter_counts(name, shape, of_g, of_d):
    """Of the pairs of no recipe: `tests/test_recipe_networks.py` has the others."""
    generator, discriminator = networks.build(name, shape)
    assert (count_parameters(generator), count_parameters(discriminator)) == (of_g, of_d)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("stability", (64, 64, 3), 0),
        ("dcgan", (28, 28, 1), 10),
        ("dcgan_no_bn", (52, 52, 3), 0),
    ],
)
def test_step_is_finite_and_images_fit(name, shape, classes):
    generator, discriminator = networks.build(name, shape, classes)
    gan = GAN(generator, discriminator)
    gan.compile()
    images = tf.random.stateless_uniform((4, *shape), (0, 0), -1, 1)
    labels = tf.range(4) % max(classes, 1)
    results = gan.train_step((images, labels) if classes else images)
    assert all(np.isfinite(float(value)) for value in results.values())
    z = tf.random.stateless_uniform((4, generator.latent_dim), (0, 1), -1, 1)
    fakes = generator(z, *([labels] if classes else []))
    assert fakes.shape == (4, *shape) and fakes.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(fakes))) <= 1.0
    assert discriminator(fakes, *([labels] if classes else [])).shape == (4, 1)


@pytest.mark.parametrize(
    "name", ["scene", "digit", "light", "dcgan", "dcgan_no_bn", "stability", "stability_bn_gd"]
)
def test_every_layer_of_the_authors_initialisation(name):
    keras.utils.set_random_seed(0)
    generator, discriminator = networks.build(name, networks.PAIRS[name].image_shape or (32, 32, 3))
    for network, deviation in ((generator, 0.02), (discriminator, None)):
        for variable in network.trainable_variables:
            value = variable.numpy()
            if variable.name == "kernel" and value.size > 2000:
                # Truncation at two deviations leaves 0.88 of the deviation.
                truncated = deviation is None and value.ndim == 4
                expected = 0.0176 if truncated else 0.02
                assert value.std() == pytest.approx(expected, rel=0.05), variable.path
                assert (np.abs(value).max() <= 0.04 + 1e-6) == truncated, variable.path
            elif variable.name == "bias" or variable.name == "beta":
                assert not value.any()
            elif variable.name == "gamma":
                if name == "stability":  # the authors' earlier batch norm
                    assert value.std() == pytest.approx(0.02, rel=0.4), variable.path
                    assert value.mean() == pytest.approx(1.0, abs=0.01), variable.path
                else:
                    assert (value == 1).all()


@pytest.mark.parametrize("name", ["light", "digit", "dcgan", "dcgan_no_bn"])
def test_labels_change_the_picture_and_the_logit(name):
    generator, discriminator = networks.build(name, (28, 28, 1), 10)
    z = tf.ones((2, generator.latent_dim))
    fakes = generator(z, tf.constant([3, 8]))
    assert np.abs(fakes[0] - fakes[1]).max() > 1e-4
    same = tf.repeat(fakes[:1], 2, axis=0)
    logits = discriminator(same, tf.constant([3, 8])).numpy()
    assert logits[0] != logits[1]


@pytest.mark.parametrize("name", ["light", "character"])
def test_a_conditional_pair_says_that_labels_are_missing(name):
    generator, discriminator = networks.build(name, (28, 28, 1), 10)
    inputs = tf.zeros((2, generator.latent_dim)), tf.zeros((2, 28, 28, 1))
    for network, x in zip((generator, discriminator), inputs, strict=True):
        with pytest.raises(ValueError, match=r"Labels are missing.* 10 .*\(images, labels\)"):
            network(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg", (112, 112, 3)), r"Known: (\w+, )*dcgan\b"),
        (("scene", (64, 64, 3)), "takes images of 112x112x3, the data set has 64x64x3.*=112"),
        (("digit", (28, 28, 3)), "takes images of 28x28x1.*--channels=grey"),
        (("stability_bn_g", (64, 64, 1)), "takes images of 64x64x3.*--channels=colour"),
        (("dcgan", (15, 15, 3)), "a side of at least 16, not 15x15x3.*--image_size.* 16"),
        (("dcgan", (64, 48, 3)), "square.*--image_size.* 48"),
        (("dcgan_no_bn", (32, 32, 2)), "1 or 3 channels.*not 32x32x2"),
        (("scene", (112, 112, 3), 10), r"takes no labels.*--conditional.*: (\w+, )*digit\b"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        networks.build(*arguments)


@pytest.mark.parametrize(
    "name",
    [
        *("digit", "light", "dcgan", "dcgan_no_bn", "stability", "character"),
        *("fashion_bn95_sigmoid", "fashion_deep", "mlp", "mlp_tf"),
    ],
)
def test_networks_are_saved(name, tmp_path):
    shape = networks.PAIRS[name].image_shape or (16, 16, 3)
    labels = [tf.constant([3, 8])] if name == "character" else []
    pair = networks.build(name, shape, 10 if labels else 0)
    for network, inputs in zip(pair, ((2, pair[0].latent_dim), (2, *shape)), strict=True):
        x = tf.random.stateless_uniform(inputs, (0, 2), -1, 1)
        assert_saved_and_loaded(network, tmp_path, x, *labels)
