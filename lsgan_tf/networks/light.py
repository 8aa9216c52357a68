"""A light 28-pixel pair: readable digits in minutes on two cores, labelled or not.

Not from the papers: a DCGAN cut down to two convolutions a side, about half the work of the digit
pair, with that pair's batch norm for each unit of G's first layer and a hidden linear layer in D.
Both make whole digits come sooner. It is conditioned as `dcgan.py` is.
"""

import keras
from keras import layers

from lsgan_tf.networks.conditioned import LabelledDiscriminator, LabelledGenerator
from lsgan_tf.networks.layers import (
    conv,
    deconv,
    leaky_relu,
    linear,
    norm_leaky_relu,
    norm_relu,
    score,
    tanh,
)
from lsgan_tf.networks.pairs import Pair

IMAGE_SHAPE = (28, 28, 1)
LABEL_UNITS = 32


@keras.saving.register_keras_serializable("lsgan_tf")
class LightGenerator(LabelledGenerator):
    """100 latents (and labels) -> 28x28x1 in (-1, 1)."""

    def __init__(self, num_classes=0, name=None):
        super().__init__(100, IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
        self.body = keras.Sequential(
            [
                *(linear(7 * 7 * 128), *norm_relu()),
                layers.Reshape((7, 7, 128)),
                *(deconv(128), *norm_relu()),  # 14
                *(deconv(1), tanh()),  # 28
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class LightDiscriminator(LabelledDiscriminator):
    """28x28x1 (and labels) -> one score each."""

    def __init__(self, num_classes=0, name=None):
        super().__init__(IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
        self.first = keras.Sequential([conv(64), leaky_relu()])  # 14
        self.body = keras.Sequential(
            [
                *(conv(128), *norm_leaky_relu()),  # 7
                layers.Flatten(),
                *(linear(256), *norm_leaky_relu()),
            ]
        )
        self.score = score()
        self.build_variables()


PAIRS = {
    "light": Pair(
        lambda image_shape, num_classes: (
            LightGenerator(num_classes),
            LightDiscriminator(num_classes),
        ),
        IMAGE_SHAPE,
        "28x28, two layers a side: pictures soon",
        conditional=True,
    )
}
