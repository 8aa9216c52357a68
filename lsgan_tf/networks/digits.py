"""Two pairs for 28-pixel digits, which may be conditioned on labels."""

import keras
from keras import layers

from lsgan_tf.networks.base import LabelledDiscriminator, LabelledGenerator, Pair
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

IMAGE_SHAPE = (28, 28, 1)
DIGIT_LABEL_UNITS = 256
LIGHT_LATENT_DIM = 16
LIGHT_LABEL_UNITS = 8
LIGHT_LABEL_STDDEV = 1.0


# The networks for data sets with small variability (PAMI 2019), after the authors'
# small_variance_datasets/arch.py. G's first batch norm has a scale and an offset for each of its
# 8192 units, and D is shaped like LeNet. The authors train them without labels.


@keras.saving.register_keras_serializable("lsgan_tf")
class DigitGenerator(LabelledGenerator):
    """100 latents (and labels) -> 28x28x1 in (-1, 1); 4,944,129 parameters without labels.

    Args:
        num_classes: number of labels to condition on, or 0.
    """

    def __init__(self, num_classes: int = 0, name: str | None = None) -> None:
        super().__init__(100, IMAGE_SHAPE, num_classes, DIGIT_LABEL_UNITS, name)
        self.body = keras.Sequential(
            [
                *(linear(4 * 4 * 512), *norm_relu()),
                layers.Reshape((4, 4, 512)),
                *(deconv(256, output_padding=0), *norm_relu()),  # 7, one less than twice four
                *(deconv(128), *norm_relu()),  # 14
                *(deconv(1), tanh()),  # 28
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DigitDiscriminator(LabelledDiscriminator):
    """28x28x1 (and labels) -> one logit each; 1,252,671 parameters without labels, with batch norm.

    Args:
        num_classes: number of labels to condition on, or 0.
        norm: "batch" or "layer" normalisation after all layers but the first and the last;
            "spectral" normalisation of all kernels; or "none".
    """

    def __init__(self, num_classes: int = 0, norm: str = "batch", name: str | None = None) -> None:
        super().__init__(IMAGE_SHAPE, num_classes, DIGIT_LABEL_UNITS, name)
        self.norm = norm
        spectral = norm == "spectral"
        self.first = keras.Sequential([conv(20, spectral=spectral), leaky_relu()])  # 14
        self.body = keras.Sequential(
            [
                *(conv(50, spectral=spectral), *norm_leaky_relu(norm)),  # 7
                layers.Flatten(),
                *(linear(500, spectral=spectral), *norm_leaky_relu(norm)),
            ]
        )
        self.score = logit(spectral)
        self.build_variables()


# A light pair: readable digits in minutes on two cores. It is from no paper: a DCGAN cut down to
# two convolutions in each network, about half the work of the digit pair. A batch norm for each
# unit of G's first layer, as in that pair, and a hidden linear layer in D make whole digits appear
# sooner. Few latents do, too: digits between two places or typefaces are rarer.


@keras.saving.register_keras_serializable("lsgan_tf")
class LightGenerator(LabelledGenerator):
    """16 latents (and labels) -> 28x28x1 in (-1, 1); 532,353 parameters without labels.

    Args:
        num_classes: number of labels to condition on, or 0.
    """

    def __init__(self, num_classes: int = 0, name: str | None = None) -> None:
        super().__init__(
            LIGHT_LATENT_DIM, IMAGE_SHAPE, num_classes, LIGHT_LABEL_UNITS, name, LIGHT_LABEL_STDDEV
        )
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
    """28x28x1 (and labels) -> one logit each; 1,813,505 parameters without labels, with batch norm.

    Args:
        num_classes: number of labels to condition on, or 0.
        norm: "batch" or "layer" normalisation after all layers but the first and the last;
            "spectral" normalisation of all kernels; or "none".
    """

    def __init__(self, num_classes: int = 0, norm: str = "batch", name: str | None = None) -> None:
        super().__init__(IMAGE_SHAPE, num_classes, LIGHT_LABEL_UNITS, name, LIGHT_LABEL_STDDEV)
        self.norm = norm
        spectral = norm == "spectral"
        self.first = keras.Sequential([conv(64, spectral=spectral), leaky_relu()])  # 14
        self.body = keras.Sequential(
            [
                *(conv(128, spectral=spectral), *norm_leaky_relu(norm)),  # 7
                layers.Flatten(),
                *(linear(256, spectral=spectral), *norm_leaky_relu(norm)),
            ]
        )
        self.score = logit(spectral)
        self.build_variables()


def _pair(make_generator, make_discriminator, description):
    return Pair(
        lambda image_shape, num_classes, **norm: (
            make_generator(num_classes),
            make_discriminator(num_classes, **norm),
        ),
        IMAGE_SHAPE,
        description,
        conditional=True,
        options=("norm",),
    )


PAIRS = {
    "digit": _pair(
        DigitGenerator, DigitDiscriminator, "28x28 digits of small variability (PAMI 2019)"
    ),
    "light": _pair(
        LightGenerator, LightDiscriminator, "28x28, light: two convolutions in each network"
    ),
}
