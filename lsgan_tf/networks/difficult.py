"""The difficult architectures, on which LSGANs-GP were evaluated (PAMI 2019), 64x64x3.

After the authors' `difficult_architectures/others/gan_64x64.py`, which comes from the code of
WGAN-GP (Gulrajani et al., 2017). With a gradient penalty D has layer norm where it otherwise has
batch norm. The residual networks are in residual.py.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.base import Discriminator, Generator, fixed_pair
from lsgan_tf.networks.layers import (
    fixed_uniform,
    leaky_relu,
    tanh,
    uniform_conv,
    uniform_deconv,
    uniform_linear,
    uniform_logit,
)
from lsgan_tf.networks.normalization import normalize
from lsgan_tf.utils.errors import check_known

IMAGE_SHAPE = (64, 64, 3)


class NormalGenerator(Generator):
    """128 latents of N(0, I) -> 64x64x3 in (-1, 1): what all these generators have in common."""

    latent_distribution = "normal"

    def __init__(self, name: str | None = None) -> None:
        super().__init__(latent_dim=128, image_shape=IMAGE_SHAPE, name=name)


@keras.saving.register_keras_serializable("lsgan_tf")
class DifficultGenerator(NormalGenerator):
    """The DCGAN generator; 5,364,739 trainable parameters, without normalisation 5,362,819.

    Args:
        normalization: "batch", "layer" or "none".
        activation: "relu" or "tanh".

    Raises:
        ValueError: on another normalisation or activation.
    """

    def __init__(
        self, normalization: str = "batch", activation: str = "relu", name: str | None = None
    ) -> None:
        super().__init__(name)
        self.normalization = normalization
        self.activation = activation

        def hidden():
            return normalize(normalization), _activate(activation, ("relu", "tanh"))

        self.body = keras.Sequential(
            [
                uniform_linear(4 * 4 * 512, fixed_uniform()),
                layers.Reshape((4, 4, 512)),
                *hidden(),
                *(uniform_deconv(256, initializer=fixed_uniform()), *hidden()),  # 8
                *(uniform_deconv(128, initializer=fixed_uniform()), *hidden()),  # 16
                *(uniform_deconv(64, initializer=fixed_uniform()), *hidden()),  # 32
                *(uniform_deconv(3, initializer=fixed_uniform()), tanh()),  # 64
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

    def __init__(
        self, normalization: str = "layer", activation: str = "leaky_relu", name: str | None = None
    ) -> None:
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.normalization = normalization
        self.activation = activation

        def activate():
            return _activate(activation, ("leaky_relu", "tanh"))

        def hidden():
            return normalize(normalization), activate()

        self.body = keras.Sequential(
            [
                *(uniform_conv(64, initializer=fixed_uniform()), activate()),  # 32
                *(uniform_conv(128, initializer=fixed_uniform()), *hidden()),  # 16
                *(uniform_conv(256, initializer=fixed_uniform()), *hidden()),  # 8
                *(uniform_conv(512, initializer=fixed_uniform()), *hidden()),  # 4
                layers.Flatten(),
                uniform_logit(fixed_uniform()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class ConstantGenerator(NormalGenerator):
    """64 filters in every layer and no normalisation; 444,291 trainable parameters."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.body = keras.Sequential(
            [
                *(uniform_linear(4 * 4 * 64), layers.ReLU()),
                layers.Reshape((4, 4, 64)),
                *(uniform_deconv(64), layers.ReLU()),  # 8
                *(uniform_deconv(64), layers.ReLU()),  # 16
                *(uniform_deconv(64), layers.ReLU()),  # 32
                *(uniform_deconv(3), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class MLPGenerator(NormalGenerator):
    """Four fully connected layers of 512 units; 7,157,760 trainable parameters."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        hidden = []
        for _ in range(4):
            hidden += [uniform_linear(512, keras.initializers.HeUniform()), layers.ReLU()]
        self.body = keras.Sequential(
            [*hidden, uniform_linear(64 * 64 * 3), layers.Reshape(IMAGE_SHAPE), tanh()]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class Gate(layers.Layer):
    """sigmoid(even channels) * tanh(odd channels), [..., 2 C] -> [..., C]; the authors call it
    multiplicative."""

    def call(self, inputs):
        return ops.sigmoid(inputs[..., ::2]) * ops.tanh(inputs[..., 1::2])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // 2)


@keras.saving.register_keras_serializable("lsgan_tf")
class GatedGenerator(NormalGenerator):
    """DCGAN with twice the filters, halved by gates; 10,724,675 trainable parameters.

    Args:
        normalization: "batch", "layer" or "none".

    Raises:
        ValueError: on another normalisation.
    """

    def __init__(self, normalization: str = "batch", name: str | None = None) -> None:
        super().__init__(name)
        self.normalization = normalization
        self.body = keras.Sequential(
            [
                uniform_linear(4 * 4 * 1024),
                layers.Reshape((4, 4, 1024)),
                *(normalize(normalization), Gate()),
                *(uniform_deconv(512), normalize(normalization), Gate()),  # 8
                *(uniform_deconv(256), normalize(normalization), Gate()),  # 16
                *(uniform_deconv(128), normalize(normalization), Gate()),  # 32
                *(uniform_deconv(3), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class GatedDiscriminator(Discriminator):
    """DCGAN with twice the filters, halved by gates; 8,624,897 trainable parameters.

    Args:
        normalization: "layer", "batch" or "none".

    Raises:
        ValueError: on another normalisation.
    """

    def __init__(self, normalization: str = "layer", name: str | None = None) -> None:
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.normalization = normalization
        self.body = keras.Sequential(
            [
                *(uniform_conv(128), Gate()),  # 32
                *(uniform_conv(256), normalize(normalization), Gate()),  # 16
                *(uniform_conv(512), normalize(normalization), Gate()),  # 8
                *(uniform_conv(1024), normalize(normalization), Gate()),  # 4
                layers.Flatten(),
                uniform_logit(),
            ]
        )
        self.build_variables()


def _activate(kind, known):
    check_known(kind, known, "activation")
    return leaky_relu() if kind == "leaky_relu" else layers.Activation(kind)


def _pair(make_generator, make_discriminator, description):
    description = f"64x64: {description} (PAMI 2019)"
    return fixed_pair(make_generator, make_discriminator, IMAGE_SHAPE, description)


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
    "difficult_gated": _pair(GatedGenerator, GatedDiscriminator, "gates for activations"),
}
