"""The 101-layer residual networks (PAMI 2019), 64x64x3.

After the authors' `difficult_architectures/resnet/gan_64x64.py`. The 101 are the three convolutions
of each of 33 blocks, the linear layer, and the 1x1 convolution next to the images; the shortcuts do
not count.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.base import Discriminator, fixed_pair
from lsgan_tf.networks.difficult import IMAGE_SHAPE, NormalGenerator
from lsgan_tf.networks.layers import (
    GLOROT,
    FanUniform,
    tanh,
    uniform_conv,
    uniform_deconv,
    uniform_linear,
    uniform_logit,
)
from lsgan_tf.networks.normalization import normalize
from lsgan_tf.utils.errors import check_known

RESIDUAL_SCALE = 0.3
RESAMPLINGS = ("none", "down", "up")


@keras.saving.register_keras_serializable("lsgan_tf")
class DepthToSpace(layers.Layer):
    """Turns each four channels into two by two pixels, [N, H, W, 4 C] -> [N, 2 H, 2 W, C]."""

    def call(self, inputs):
        return ops.depth_to_space(inputs, 2, data_format="channels_last")

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        return count, 2 * height, 2 * width, channels // 4


@keras.saving.register_keras_serializable("lsgan_tf")
class Bottleneck(layers.Layer):
    """shortcut(x) + 0.3 * residual(x).

    The residual is a 1x1, a 3x3 and a 1x1 convolution with a ReLU before each, and a normalisation.
    The first convolution has half the channels of the inputs, the second half those of the outputs.

    The shortcut is the identity if the shape stays the same. Otherwise it is a 1x1 convolution: to
    halve the side, with strides of 2; to double it, to four times the channels, from which
    `DepthToSpace` makes pixels.

    Args:
        inputs: channels of the inputs, [N, H, W, inputs].
        outputs: channels of the outputs.
        resample: "none", "down" to half or "up" to twice the height and width.
        normalization: "layer", "batch" or "none".
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ValueError: on another resampling or normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        resample: str = "none",
        normalization: str = "layer",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_known(resample, RESAMPLINGS, "resample")
        self.inputs = inputs
        self.outputs = outputs
        self.resample = resample
        self.normalization = normalization
        self.residual = keras.Sequential(
            [
                *(layers.ReLU(), uniform_conv(inputs // 2, 1, 1)),
                *(layers.ReLU(), self._resampling_conv()),
                *(layers.ReLU(), uniform_conv(outputs, 1, 1, use_bias=False)),
                normalize(normalization),
            ]
        )
        self.shortcut = self._make_shortcut()

    def _resampling_conv(self):
        filters = self.outputs // 2
        if self.resample == "up":
            return uniform_deconv(filters, 3)
        return uniform_conv(filters, 3, 2 if self.resample == "down" else 1)

    def _make_shortcut(self):
        if self.resample == "up":
            return keras.Sequential([_glorot_conv(4 * self.outputs), DepthToSpace()])
        if self.resample == "down":
            return _glorot_conv(self.outputs, strides=2)
        return layers.Identity() if self.inputs == self.outputs else _glorot_conv(self.outputs)

    def build(self, input_shape):
        self.residual.build(input_shape)
        self.shortcut.build(input_shape)

    def call(self, inputs, training=False):
        return self.shortcut(inputs) + RESIDUAL_SCALE * self.residual(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.shortcut.compute_output_shape(input_shape)

    def get_config(self):
        names = ("inputs", "outputs", "resample", "normalization")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("lsgan_tf")
class ResidualGenerator(NormalGenerator):
    """101 layers; 9,189,587 trainable parameters.

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
                uniform_linear(4 * 4 * 512),
                layers.Reshape((4, 4, 512)),
                *_stage(6, 512, normalization),
                Bottleneck(512, 256, "up", normalization),  # 8
                *_stage(6, 256, normalization),
                Bottleneck(256, 128, "up", normalization),  # 16
                *_stage(6, 128, normalization),
                Bottleneck(128, 64, "up", normalization),  # 32
                *_stage(6, 64, normalization),
                Bottleneck(64, 32, "up", normalization),  # 64
                *_stage(5, 32, normalization),
                _glorot_conv(3),
                _divide_by(5.0),
                tanh(),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class ResidualDiscriminator(Discriminator):
    """101 layers; 7,618,801 trainable parameters.

    Args:
        normalization: "layer", "batch" or "none".
        divisor: of the logit. It is 5 in WGAN-GP's `gan_64x64.py` and in the authors'
            `others/gan_64x64.py`; their `resnet/` does not divide.

    Raises:
        ValueError: on another normalisation.
    """

    def __init__(
        self, normalization: str = "layer", divisor: float = 1.0, name: str | None = None
    ) -> None:
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.normalization = normalization
        self.divisor = divisor
        self.body = keras.Sequential(
            [
                _glorot_conv(32),
                *_stage(5, 32, normalization),
                Bottleneck(32, 64, "down", normalization),  # 32
                *_stage(6, 64, normalization),
                Bottleneck(64, 128, "down", normalization),  # 16
                *_stage(6, 128, normalization),
                Bottleneck(128, 256, "down", normalization),  # 8
                *_stage(6, 256, normalization),
                Bottleneck(256, 512, "down", normalization),  # 4
                *_stage(6, 512, normalization),
                layers.Flatten(),
                uniform_logit(),
                _divide_by(divisor),
            ]
        )
        self.build_variables()


def _stage(count, channels, normalization):
    return [Bottleneck(channels, channels, "none", normalization) for _ in range(count)]


def _glorot_conv(filters, strides=1):
    return uniform_conv(filters, 1, strides, FanUniform(GLOROT, strides))


def _divide_by(divisor):
    return layers.Rescaling(1.0 / divisor, dtype=keras.config.floatx())


PAIRS = {
    "difficult_residual": fixed_pair(
        ResidualGenerator,
        ResidualDiscriminator,
        IMAGE_SHAPE,
        "64x64: residual networks of 101 layers (PAMI 2019)",
    ),
    "difficult_residual_fifth": fixed_pair(
        ResidualGenerator,
        lambda: ResidualDiscriminator(divisor=5.0),
        IMAGE_SHAPE,
        "64x64: residual networks of 101 layers, D's logit divided by 5 (WGAN-GP)",
    ),
}
