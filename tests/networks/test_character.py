"""The conditional character pair against the authors' tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam
from lsgan_tf.networks.character import CharacterDiscriminator, CharacterGenerator
from lsgan_tf.networks.layers import LabelMap, linear
from lsgan_tf.utils.errors import UserError
from tests.networks.network_checks import count_parameters, shapes_of

SHAPE = (28, 28, 1)
LABELS = tf.constant([3, 8])


@pytest.fixture(scope="module")
def pair():
    """The pair for ten classes: not to be changed."""
    keras.utils.set_random_seed(0)
    return networks.build("character", SHAPE, 10)


def _latents(count):
    return tf.random.stateless_uniform((count, 1024), (0, 1), -1, 1)


@pytest.mark.parametrize(
    ("classes", "of_g", "of_d"),
    [
        (1, 8_460_673, 20_434_971),  # 3739 rows of 256 fewer than the recipe hwdb has
        (10, 8_462_977, 20_437_275),
    ],
)
def test_parameter_counts(classes, of_g, of_d):
    generator, discriminator = networks.build("character", SHAPE, classes)
    assert (count_parameters(generator), count_parameters(discriminator)) == (of_g, of_d)
    for network in (generator, discriminator):
        assert count_parameters(network.label_map) == (classes + 1) * 256


def test_the_layers_are_those_of_the_tables(pair):
    generator, discriminator = pair
    # Transposed kernels are height, width, out, in.
    assert shapes_of(generator, "kernel") == [(1280, 6272), (5, 5, 128, 128), (5, 5, 1, 128)]
    assert shapes_of(generator, "gamma") == [(6272,), (128,)]  # the first for each unit
    assert shapes_of(discriminator, "kernel") == [
        (5, 5, 1, 257),  # the image alone
        (5, 5, 513, 320),
        (7 * 7 * 320 + 256, 1024),
        (1024 + 256, 1),
    ]
    assert shapes_of(discriminator, "gamma") == [(320,), (1024,)]


def test_initialisation_is_the_authors(pair):
    for network in pair:
        for variable in network.trainable_variables:
            value = variable.numpy()
            if variable.name == "gamma":
                assert (value == 1).all()
            elif value.ndim == 1:
                assert not value.any(), variable.path  # biases and offsets
            elif value.size > 2000:
                # Convolutions are truncated at two deviations, which leaves 0.88 of one.
                truncated = value.ndim == 4 and network is pair[1]
                assert value.std() == pytest.approx(0.0176 if truncated else 0.02, rel=0.05)
                assert (np.abs(value).max() <= 0.04 + 1e-6) == truncated, variable.path


def test_images_lie_between_zero_and_one(pair):
    generator, discriminator = pair
    assert generator.value_range == (0.0, 1.0)
    assert (generator.latent_dim, generator.latent_distribution) == (1024, "uniform")
    images = generator(_latents(2), LABELS)
    assert images.shape == (2, *SHAPE) and images.dtype == tf.float32
    assert float(tf.reduce_min(images)) >= 0.0 and float(tf.reduce_max(images)) <= 1.0
    # An untrained generator is near the middle of a sigmoid, not of a tanh.
    assert float(tf.reduce_mean(images)) == pytest.approx(0.5, abs=0.1)
    assert discriminator(images, LABELS).shape == (2, 1)


def test_other_labels_give_another_picture_and_another_logit(pair):
    generator, discriminator = pair
    fakes = generator(tf.repeat(_latents(1), 2, axis=0), LABELS)
    assert np.abs(fakes[0] - fakes[1]).max() > 1e-4
    logits = discriminator(tf.repeat(fakes[:1], 2, axis=0), LABELS).numpy()
    assert logits[0] != logits[1]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_discriminator_sees_the_label_in_three_places(place):
    discriminator = CharacterDiscriminator(10)
    convolution, hidden, logit = (
        v for v in discriminator.trainable_variables if v.name == "kernel" and v.shape[-2] >= 513
    )
    # Cut the label off everywhere but there: its channels come last.
    for index, kernel in enumerate((convolution, hidden, logit)):
        if index != place:
            value = kernel.numpy()
            value[..., -256:, :] = 0.0
            kernel.assign(value)
    logits = discriminator(tf.ones((2, *SHAPE)), LABELS).numpy()
    assert logits[0] != logits[1]


def test_a_step_is_finite_and_moves_the_label_maps():
    generator, discriminator = networks.build("character", SHAPE, 10)
    before = [network.label_map.kernel.numpy() for network in (generator, discriminator)]
    gan = GAN(generator, discriminator)
    gan.compile(Adam(), Adam())
    images = tf.random.stateless_uniform((4, *SHAPE), (0, 0))
    results = gan.train_step((images, tf.constant([0, 1, 2, 2])))
    assert all(np.isfinite(float(value)) for value in results.values())
    for network, old in zip((generator, discriminator), before, strict=True):
        moved = np.abs(network.label_map.kernel.numpy() - old).max(axis=1) > 0
        assert moved.tolist() == [True] * 3 + [False] * 7  # the labels of the batch


def test_bfloat16_keeps_variables_images_and_logits_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    generator, discriminator = networks.build("character", SHAPE, 10)
    variables = generator.trainable_variables + discriminator.trainable_variables
    assert {v.dtype for v in variables} == {"float32"}
    assert generator.body.layers[0].compute_dtype == "bfloat16"
    fakes = generator(_latents(2), LABELS)
    logits = discriminator(fakes, LABELS)
    assert fakes.dtype == tf.float32 and logits.dtype == tf.float32
    assert np.isfinite(logits).all()


def test_the_label_map_learns_as_a_linear_layer_on_one_hot_labels_does():
    keras.utils.set_random_seed(0)
    label_map, dense = LabelMap(5, units=3), linear(3)
    label_map.build(None)
    dense.build((None, 5))
    dense.kernel.assign(label_map.kernel)
    assert count_parameters(label_map) == count_parameters(dense) == 5 * 3 + 3
    optimizers = Adam(0.1), Adam(0.1)
    for labels in ([4, 0, 4], [1, 1, 2], [0, 3, 3]):  # rows without gradient move on by momentum
        inputs = tf.constant(labels), tf.one_hot(labels, 5)
        for layer, optimizer, x in zip((label_map, dense), optimizers, inputs, strict=True):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(layer(x) - 1.0))
            weights = layer.trainable_variables
            optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
    np.testing.assert_allclose(label_map.kernel, dense.kernel, rtol=1e-5)
    np.testing.assert_allclose(label_map.bias, dense.bias, rtol=1e-5)


def test_the_pair_does_not_do_without_labels():
    message = r"--network=character needs labels: add --conditional.*: dcgan,.* digit, light\b"
    with pytest.raises(UserError, match=message):
        networks.build("character", SHAPE)
    for make in (CharacterGenerator, CharacterDiscriminator):
        with pytest.raises(ValueError, match="num_classes is 0"):
            make(0)
