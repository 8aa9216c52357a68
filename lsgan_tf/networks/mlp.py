"""Perceptrons of one hidden layer for MNIST, 28x28x1.

After the two LSGANs of wiseodd/generative-models (`GAN/least_squares_gan`): one in PyTorch, with
that library's initial weights and 10 normal latents, and one in TensorFlow, with normal weights and
64 uniform latents.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator, fixed_pair
from lsgan_tf.networks.layers import sigmoid, torch_linear
from lsgan_tf.utils.errors import check_known

IMAGE_SHAPE = (28, 28, 1)
PIXELS = 28 * 28
HIDDEN_UNITS = 128
ORIGINALS = ("pytorch", "tensorflow")


def _linear(original, inputs, units, **kwargs):
    """A fully connected layer: [N, inputs] -> [N, units]."""
    if original == "pytorch":
        return torch_linear(inputs, units, **kwargs)
    deviation = (inputs / 2) ** -0.5
    return layers.Dense(
        units, kernel_initializer=keras.initializers.RandomNormal(stddev=deviation), **kwargs
    )


@keras.saving.register_keras_serializable("lsgan_tf")
class PerceptronGenerator(Generator):
    """Latents -> 28x28x1 in (0, 1): 10 normal latents as in the PyTorch original (102,544
    parameters), 64 uniform ones as in the TensorFlow original (109,456).

    Args:
        original: "pytorch" or "tensorflow".

    Raises:
        ValueError: on another original.
    """

    value_range = (0.0, 1.0)

    def __init__(self, original: str = "pytorch", name: str | None = None) -> None:
        check_known(original, ORIGINALS, "original")
        latent_dim = 10 if original == "pytorch" else 64
        super().__init__(latent_dim, IMAGE_SHAPE, name=name)
        self.original = original
        self.latent_distribution = "normal" if original == "pytorch" else "uniform"
        self.body = keras.Sequential(
            [
                *(_linear(original, latent_dim, HIDDEN_UNITS), layers.ReLU()),
                _linear(original, HIDDEN_UNITS, PIXELS),
                layers.Reshape(IMAGE_SHAPE),
                sigmoid(),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class PerceptronDiscriminator(Discriminator):
    """28x28x1 -> one logit; 100,609 parameters.

    Args:
        original: "pytorch" or "tensorflow", whose initial weights to take.

    Raises:
        ValueError: on another original.
    """

    def __init__(self, original: str = "pytorch", name: str | None = None) -> None:
        check_known(original, ORIGINALS, "original")
        super().__init__(IMAGE_SHAPE, name=name)
        self.original = original
        self.body = keras.Sequential(
            [
                layers.Flatten(),
                *(_linear(original, PIXELS, HIDDEN_UNITS), layers.ReLU()),
                _linear(original, HIDDEN_UNITS, 1, dtype=keras.config.floatx()),
            ]
        )
        self.build_variables()


def _pair(original, description):
    return fixed_pair(
        lambda: PerceptronGenerator(original),
        lambda: PerceptronDiscriminator(original),
        IMAGE_SHAPE,
        f"28x28, one hidden layer a side: {description}",
    )


PAIRS = {
    "mlp": _pair("pytorch", "10 normal latents, PyTorch's initial weights"),
    "mlp_tf": _pair("tensorflow", "64 uniform latents, normal initial weights"),
}
