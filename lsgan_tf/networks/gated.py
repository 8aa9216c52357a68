"""The difficult architecture with gates for activations (PAMI 2019), 64x64x3.

After the authors' `difficult_architectures/others/gan_64x64.py`, there called multiplicative.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.base import Discriminator
from lsgan_tf.networks.layers import tanh
from lsgan_tf.networks.pairs import Pair
from lsgan_tf.networks.uniform import (
    IMAGE_SHAPE,
    NormalGenerator,
    conv,
    deconv,
    linear,
    normalize,
    score,
)


@keras.saving.register_keras_serializable("lsgan_tf")
class Gate(layers.Layer):
    """sigmoid(even channels) * tanh(odd channels): [..., 2 C] -> [..., C]."""

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

    def __init__(self, normalization="batch", name=None):
        super().__init__(name)
        self.normalization = normalization
        self.body = keras.Sequential(
            [
                linear(4 * 4 * 1024),
                layers.Reshape((4, 4, 1024)),
                *(normalize(normalization), Gate()),
                *(deconv(512), normalize(normalization), Gate()),  # 8
                *(deconv(256), normalize(normalization), Gate()),  # 16
                *(deconv(128), normalize(normalization), Gate()),  # 32
                *(deconv(3), tanh()),  # 64
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

    def __init__(self, normalization="layer", name=None):
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.normalization = normalization
        self.body = keras.Sequential(
            [
                *(conv(128), Gate()),  # 32
                *(conv(256), normalize(normalization), Gate()),  # 16
                *(conv(512), normalize(normalization), Gate()),  # 8
                *(conv(1024), normalize(normalization), Gate()),  # 4
                layers.Flatten(),
                score(),
            ]
        )
        self.build_variables()


PAIRS = {
    "difficult_gated": Pair(
        lambda image_shape, num_classes: (GatedGenerator(), GatedDiscriminator()),
        IMAGE_SHAPE,
        "64x64: gates for activations (PAMI 2019)",
    )
}
