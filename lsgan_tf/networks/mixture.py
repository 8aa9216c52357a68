"""The pair for points of the plane: the Gaussian mixture (ICCV 2017, stability).

After the authors' `stability_comparison/mixture_gaussian/ls.py`: three fully connected layers a
side, tanh between them, no batch norm; all kernels orthogonal with gain 1.4, biases zero.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.pairs import Pair

POINT_SHAPE = (2,)
LATENT_DIM = 256
HIDDEN_UNITS = 128
GAIN = 1.4


def _perceptron(outputs):
    """[N, inputs] -> [N, outputs], the last layer linear and in full precision."""
    hidden = (_linear(HIDDEN_UNITS, activation="tanh") for _ in range(2))
    return keras.Sequential([*hidden, _linear(outputs, dtype=keras.config.floatx())])


def _linear(units, **kwargs):
    return layers.Dense(units, kernel_initializer=keras.initializers.Orthogonal(GAIN), **kwargs)


@keras.saving.register_keras_serializable("lsgan_tf")
class MixtureGenerator(Generator):
    """256 normal latents -> points float32 [N, 2], anywhere in the plane."""

    latent_distribution = "normal"
    value_range = None

    def __init__(self, name=None):
        super().__init__(LATENT_DIM, POINT_SHAPE, name=name)
        self.body = _perceptron(POINT_SHAPE[0])
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class MixtureDiscriminator(Discriminator):
    """Points [N, 2] -> one score each."""

    def __init__(self, name=None):
        super().__init__(POINT_SHAPE, name=name)
        self.body = _perceptron(1)
        self.build_variables()


PAIRS = {
    "mixture": Pair(
        lambda image_shape, num_classes: (MixtureGenerator(), MixtureDiscriminator()),
        POINT_SHAPE,
        "points of the plane, three layers a side: the Gaussian mixture of ICCV 2017",
    )
}
