"""The perceptrons for MNIST: latents, initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.networks.mlp import PerceptronDiscriminator, PerceptronGenerator
from lsgan_tf.networks.normalization import flatten_layers

SHAPE = (28, 28, 1)


@pytest.mark.parametrize(
    ("name", "latent_dim", "distribution"),
    [("mlp", 10, "normal"), ("mlp_tf", 64, "uniform")],
)
def test_latents_and_range(name, latent_dim, distribution):
    generator, discriminator = networks.build(name, SHAPE)
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
