"""A light 28-pixel pair: readable digits in minutes on two cores, labelled or not.

Not from the papers: a DCGAN cut down to two layers a side, about a third of the work of the
digit pair. It is conditioned as `dcgan.py` is.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.layers import (
    LabelMap,
    concatenate_label,
    conv,
    deconv,
    leaky_relu,
    linear,
    norm_leaky_relu,
    norm_relu,
    score,
    tanh,
)


@keras.saving.register_keras_serializable("lsgan_tf")
class LightGenerator(Generator):
    """100 latents (and labels) -> 28x28x1 in (-1, 1)."""

    def __init__(self, num_classes=0, name=None):
        super().__init__(100, (28, 28, 1), num_classes, name)
        self.label_map = LabelMap(num_classes, units=32) if num_classes else None
        self.body = keras.Sequential(
            [
                linear(7 * 7 * 128),
                layers.Reshape((7, 7, 128)),
                *norm_relu(),
                *(deconv(128), *norm_relu()),  # 14
                *(deconv(1), tanh()),  # 28
            ]
        )
        self.build_variables()

    def call(self, latents, labels=None, training=False):
        if self.label_map:
            latents = concatenate_label(latents, self.label_map(labels))
        return self.body(latents, training=training)


@keras.saving.register_keras_serializable("lsgan_tf")
class LightDiscriminator(Discriminator):
    """28x28x1 (and labels) -> one score each."""

    def __init__(self, num_classes=0, name=None):
        super().__init__((28, 28, 1), num_classes, name)
        self.label_map = LabelMap(num_classes, units=32) if num_classes else None
        self.first = keras.Sequential([conv(64), leaky_relu()])  # 14
        self.body = keras.Sequential([conv(128), *norm_leaky_relu(), layers.Flatten()])  # 7
        self.score = score()
        self.build_variables()

    def call(self, images, labels=None, training=False):
        label = self.label_map(labels) if self.label_map else None
        features = self.first(images, training=training)
        if label is not None:
            features = concatenate_label(features, label)
        features = self.body(features, training=training)
        if label is not None:
            features = concatenate_label(features, label)
        return self.score(ops.cast(features, "float32"))
