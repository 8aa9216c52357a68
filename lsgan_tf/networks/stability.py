"""The 64-pixel networks of the stability comparison (ICCV 2017; the authors'
`stability_comparison/*/dcgan64.py`): a DCGAN with batch norm removed from G, or from both.

Batch norm is the authors' earlier one: its scales start at normal(1, 0.02) instead of ones. Their
repository has G without batch norm only. The `stability` pair, with batch norm in both networks,
is in none of its folders: there G follows the DCGAN that theirs comes from, with a scale and an
offset for each channel behind the reshape too.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.layers import STDDEV, conv, deconv, leaky_relu, linear, score, tanh
from lsgan_tf.networks.normalization import BatchNormalization
from lsgan_tf.networks.pairs import Pair

IMAGE_SHAPE = (64, 64, 3)


def _norm(wanted):
    """The authors' earlier batch norm, or nothing: a list of layers."""
    scales = keras.initializers.RandomNormal(mean=1.0, stddev=STDDEV)
    return [BatchNormalization(gamma_initializer=scales)] if wanted else []


@keras.saving.register_keras_serializable("lsgan_tf")
class StabilityGenerator(Generator):
    """1024 latents -> 64x64x3 in (-1, 1); 12,702,851 trainable parameters without batch norm.

    Args:
      batch_norm: whether batch norm follows each hidden layer; never so in the authors' code.
    """

    def __init__(self, batch_norm=False, name=None):
        super().__init__(latent_dim=1024, image_shape=IMAGE_SHAPE, name=name)
        self.batch_norm = batch_norm
        self.body = keras.Sequential(
            [
                linear(4 * 4 * 512),
                layers.Reshape((4, 4, 512)),
                *(*_norm(batch_norm), layers.ReLU()),
                *(deconv(256), *_norm(batch_norm), layers.ReLU()),  # 8
                *(deconv(128), *_norm(batch_norm), layers.ReLU()),  # 16
                *(deconv(64), *_norm(batch_norm), layers.ReLU()),  # 32
                *(deconv(3), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class StabilityDiscriminator(Discriminator):
    """64x64x3 -> one score; 4,316,545 trainable parameters with batch norm, 4,314,753 without.

    Args:
      batch_norm: whether batch norm follows the second to fourth convolution.
    """

    def __init__(self, batch_norm=True, name=None):
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.batch_norm = batch_norm
        self.body = keras.Sequential(
            [
                *(conv(64), leaky_relu()),  # 32
                *(conv(128), *_norm(batch_norm), leaky_relu()),  # 16
                *(conv(256), *_norm(batch_norm), leaky_relu()),  # 8
                *(conv(512), *_norm(batch_norm), leaky_relu()),  # 4
                layers.Flatten(),
                score(),
            ]
        )
        self.build_variables()


def _pair(in_generator, in_discriminator, what):
    return Pair(
        lambda image_shape, num_classes: (
            StabilityGenerator(in_generator),
            StabilityDiscriminator(in_discriminator),
        ),
        IMAGE_SHAPE,
        f"64x64 DCGAN, {what} (ICCV 2017)",
    )


PAIRS = {
    "stability": _pair(True, True, "batch norm in both"),
    "stability_bn_g": _pair(False, True, "batch norm removed from G"),
    "stability_bn_gd": _pair(False, False, "batch norm removed from G and D"),
}
