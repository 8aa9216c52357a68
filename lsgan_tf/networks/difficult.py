"""The DCGAN-shaped ones of the architectures LSGANs-GP were tried on (PAMI 2019), 64x64x3.

After the authors' `difficult_architectures/others/gan_64x64.py`, which took them from the code of
WGAN-GP (Gulrajani et al., 2017). With a gradient penalty D has layer norm where it otherwise has
batch norm.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator
from lsgan_tf.networks.layers import leaky_relu, tanh
from lsgan_tf.networks.pairs import Pair
from lsgan_tf.networks.uniform import (
    IMAGE_SHAPE,
    NormalGenerator,
    conv,
    deconv,
    fixed_uniform,
    linear,
    normalize,
    score,
)
from lsgan_tf.utils.errors import check_known


@keras.saving.register_keras_serializable("lsgan_tf")
class DifficultGenerator(NormalGenerator):
    """The DCGAN generator; 5,364,739 trainable parameters, without normalisation 5,362,819.

    Args:
      normalization: "batch", "layer" or "none".
      activation: "relu" or "tanh".

    Raises:
      ValueError: on another normalisation or activation.
    """

    def __init__(self, normalization="batch", activation="relu", name=None):
        super().__init__(name)
        self.normalization = normalization
        self.activation = activation

        def hidden():
            return normalize(normalization), _activate(activation, ("relu", "tanh"))

        self.body = keras.Sequential(
            [
                linear(4 * 4 * 512, fixed_uniform()),
                layers.Reshape((4, 4, 512)),
                *hidden(),
                *(deconv(256, initializer=fixed_uniform()), *hidden()),  # 8
                *(deconv(128, initializer=fixed_uniform()), *hidden()),  # 16
                *(deconv(64, initializer=fixed_uniform()), *hidden()),  # 32
                *(deconv(3, initializer=fixed_uniform()), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DifficultDiscriminator(Discriminator):
    """The DCGAN discriminator; 4,316,545 trainable parameters, without normalisation 4,314,753.

    Args:
      normalization: "layer", "batch" or "none".
      activation: "leaky_relu" or "tanh".

    Raises:
      ValueError: on another normalisation or activation.
    """

    def __init__(self, normalization="layer", activation="leaky_relu", name=None):
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.normalization = normalization
        self.activation = activation

        def activate():
            return _activate(activation, ("leaky_relu", "tanh"))

        def hidden():
            return normalize(normalization), activate()

        self.body = keras.Sequential(
            [
                *(conv(64, initializer=fixed_uniform()), activate()),  # 32
                *(conv(128, initializer=fixed_uniform()), *hidden()),  # 16
                *(conv(256, initializer=fixed_uniform()), *hidden()),  # 8
                *(conv(512, initializer=fixed_uniform()), *hidden()),  # 4
                layers.Flatten(),
                score(fixed_uniform()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class ConstantGenerator(NormalGenerator):
    """64 filters in every layer and no normalisation; 444,291 trainable parameters."""

    def __init__(self, name=None):
        super().__init__(name)
        self.body = keras.Sequential(
            [
                *(linear(4 * 4 * 64), layers.ReLU()),
                layers.Reshape((4, 4, 64)),
                *(deconv(64), layers.ReLU()),  # 8
                *(deconv(64), layers.ReLU()),  # 16
                *(deconv(64), layers.ReLU()),  # 32
                *(deconv(3), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class MLPGenerator(NormalGenerator):
    """Four fully connected layers of 512 units; 7,157,760 trainable parameters."""

    def __init__(self, name=None):
        super().__init__(name)
        hidden = []
        for _ in range(4):
            hidden += [linear(512, keras.initializers.HeUniform()), layers.ReLU()]
        self.body = keras.Sequential(
            [*hidden, linear(64 * 64 * 3), layers.Reshape(IMAGE_SHAPE), tanh()]
        )
        self.build_variables()


def _activate(kind, known):
    check_known(kind, known, "activation")
    return leaky_relu() if kind == "leaky_relu" else layers.Activation(kind)


def _pair(make_generator, make_discriminator, what):
    return Pair(
        lambda image_shape, num_classes: (make_generator(), make_discriminator()),
        IMAGE_SHAPE,
        f"64x64: {what} (PAMI 2019)",
    )


PAIRS = {
    "difficult_dcgan": _pair(
        DifficultGenerator,
        DifficultDiscriminator,
        "DCGAN for a gradient penalty, with layer norm in D",
    ),
    "difficult_dcgan_bn": _pair(
        DifficultGenerator,
        lambda: DifficultDiscriminator("batch"),
        "DCGAN without a gradient penalty, with batch norm in D",
    ),
    "difficult_constant": _pair(
        ConstantGenerator,
        DifficultDiscriminator,
        "G of 64 filters everywhere, without batch norm",
    ),
    "difficult_mlp": _pair(
        MLPGenerator,
        DifficultDiscriminator,
        "G of four fully connected layers",
    ),
    "difficult_no_norm": _pair(
        lambda: DifficultGenerator("none"),
        lambda: DifficultDiscriminator("none"),
        "DCGAN without any normalisation",
    ),
    "difficult_tanh": _pair(
        lambda: DifficultGenerator(activation="tanh"),
        lambda: DifficultDiscriminator(activation="tanh"),
        "DCGAN with tanh everywhere",
    ),
}
