"""The perceptrons for MNIST: sizes, latents, initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.networks.mlp import PerceptronDiscriminator, PerceptronGenerator
from lsgan_tf.networks.normalization import flatten_layers

SHAPE = (28, 28, 1)


def _parameters(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize(
    ("name", "of_g", "latent_dim", "distribution"),
    [("mlp", 102_544, 10, "normal"), ("mlp_tf", 109_456, 64, "uniform")],
)
def test_sizes_latents_and_range(name, of_g, latent_dim, distribution):
    generator, discriminator = networks.build(name, SHAPE)
    assert (_parameters(generator), _parameters(discriminator)) == (of_g, 100_609)
    assert (generator.latent_dim, generator.latent_distribution) == (latent_dim, distribution)
    images = generator(tf.fill((2, latent_dim), 1000.0)).numpy()
    assert generator.value_range == (0, 1)
    assert images.shape == (2, *SHAPE)
    assert images.min() < 0.01 and images.max() > 0.99  # so far out both ends are reached
    assert discriminator(images).shape == (2, 1)


def test_initial_weights_of_pytorch():
    keras.utils.set_random_seed(0)
    for network in networks.build("mlp", SHAPE):
        for layer in flatten_layers(network):
            if isinstance(layer, keras.layers.Dense):
                bound = layer.kernel.shape[0] ** -0.5
                largest = np.abs(layer.kernel.numpy()).max()
                assert 0.95 * bound < largest <= bound
                assert 0 < np.abs(layer.bias.numpy()).max() <= bound


def test_initial_weights_of_the_tensorflow_twin():
    keras.utils.set_random_seed(0)
    for network in networks.build("mlp_tf", SHAPE):
        for layer in flatten_layers(network):
            if isinstance(layer, keras.layers.Dense):
                deviation = (2 / layer.kernel.shape[0]) ** 0.5
                # 128 weights, those of the logit, know their deviation to 6 %.
                assert layer.kernel.numpy().std() == pytest.approx(deviation, rel=0.2)
                assert not layer.bias.numpy().any()


def test_another_original_is_refused():
    for network in (PerceptronGenerator, PerceptronDiscriminator):
        with pytest.raises(ValueError, match="'keras'; known: 'pytorch', 'tensorflow'"):
            network("keras")


@pytest.mark.parametrize("original", ["pytorch", "tensorflow"])
def test_networks_serialise(original, tmp_path):
    generator, discriminator = PerceptronGenerator(original), PerceptronDiscriminator(original)
    for network, inputs in ((generator, (2, generator.latent_dim)), (discriminator, (2, *SHAPE))):
        network.save(tmp_path / "n.keras")
        loaded = keras.saving.load_model(tmp_path / "n.keras")
        x = tf.random.stateless_uniform(inputs, (0, 2), -1, 1)
        np.testing.assert_array_equal(loaded(x), network(x))
