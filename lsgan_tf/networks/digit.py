"""The 28-pixel digit networks for data sets with small variability (PAMI 2019).

After the authors' `small_variance_datasets/arch.py`: the generator's first batch norm has a scale
and an offset for each of its 8192 units, and the discriminator is shaped like LeNet. The authors
train them without labels; with `num_classes` they are conditioned as `dcgan.py` is.
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
LABEL_UNITS = 256


@keras.saving.register_keras_serializable("lsgan_tf")
class DigitGenerator(LabelledGenerator):
    """100 latents (and labels) -> 28x28x1 in (-1, 1); 4,944,129 parameters without labels.

    Args:
      num_classes: number of labels to condition on, or 0.
    """

    def __init__(self, num_classes=0, name=None):
        super().__init__(100, IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
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
    """28x28x1 (and labels) -> one score each; 1,252,671 parameters without labels.

    Args:
      num_classes: number of labels to condition on, or 0.
    """

    def __init__(self, num_classes=0, name=None):
        super().__init__(IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
        self.first = keras.Sequential([conv(20), leaky_relu()])  # 14
        self.body = keras.Sequential(
            [
                *(conv(50), *norm_leaky_relu()),  # 7
                layers.Flatten(),
                *(linear(500), *norm_leaky_relu()),
            ]
        )
        self.score = score()
        self.build_variables()


PAIRS = {
    "digit": Pair(
        lambda image_shape, num_classes: (
            DigitGenerator(num_classes),
            DigitDiscriminator(num_classes),
        ),
        IMAGE_SHAPE,
        "28x28 digits of small variability (PAMI 2019)",
        conditional=True,
    )
}
