"""Networks of a few hundred weights that behave like the real ones."""

import keras
from keras import layers

from lsgan_tf.networks.base import (
    Discriminator,
    Generator,
    LabelledDiscriminator,
    LabelledGenerator,
)
from lsgan_tf.networks.layers import (
    conv,
    deconv,
    leaky_relu,
    linear,
    logit,
    norm_leaky_relu,
    norm_relu,
    tanh,
)

SHAPE = (8, 8, 1)


@keras.saving.register_keras_serializable("tests")
class TinyGenerator(LabelledGenerator):
    def __init__(self, num_classes=0, name=None):
        super().__init__(5, SHAPE, num_classes, 3, name)
        self.body = keras.Sequential(
            [linear(4 * 4 * 4), layers.Reshape((4, 4, 4)), *norm_relu(), deconv(1, 3), tanh()]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("tests")
class TinyDiscriminator(LabelledDiscriminator):
    def __init__(self, num_classes=0, norm="batch", name=None):
        super().__init__(SHAPE, num_classes, 3, name)
        self.norm = norm
        spectral = norm == "spectral"
        self.first = keras.Sequential([conv(4, 3, spectral=spectral), leaky_relu()])
        self.body = keras.Sequential(
            [conv(4, 3, spectral=spectral), *norm_leaky_relu(norm), layers.Flatten()]
        )
        self.score = logit(spectral)
        self.build_variables()


@keras.saving.register_keras_serializable("tests")
class SmoothDiscriminator(LabelledDiscriminator):
    """Without batch norm, and with a curvature that a gradient penalty can see."""

    def __init__(self, num_classes=0, name=None):
        super().__init__(SHAPE, num_classes, 3, name)
        self.first = keras.Sequential([conv(4, 3), layers.Activation("tanh")])
        self.body = keras.Sequential([conv(4, 3), layers.Activation("tanh"), layers.Flatten()])
        self.score = logit()
        self.build_variables()


@keras.saving.register_keras_serializable("tests")
class PointGenerator(Generator):
    """G(z) = w z + v on 1x1 images: small enough to differentiate by hand."""

    value_range = (-1.0, 1.0)

    def __init__(self, name=None):
        super().__init__(1, (1, 1, 1), name=name)
        self.layer = layers.Dense(1)
        self.build_variables()

    def call(self, latents, training=False):
        return self.layer(latents)[:, None, None, :]


@keras.saving.register_keras_serializable("tests")
class PointDiscriminator(Discriminator):
    """D(x) = s x + t on 1x1 images."""

    def __init__(self, name=None):
        super().__init__((1, 1, 1), name=name)
        self.layer = layers.Dense(1)
        self.build_variables()

    def call(self, images, training=False):
        return self.layer(images[:, 0, 0, :])
