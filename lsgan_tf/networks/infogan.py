"""The InfoGAN-like pair of a large comparison of GANs (Lucic et al., 2018).

After google/compare_gan, first version, `src/gans/abstract_gan.py`, `LSGAN.py` and `ops.py`. Its
least squares GAN has a discriminator that ends in a sigmoid, unlike the papers': both are here.
The generator too has LeakyReLU. Batch norm has the study's epsilon, but a momentum of 0.99, not
0.999: it decides over the moving statistics alone, with which images are drawn, and those of 0.999
keep so much of their initial values that a run of some thousand steps would draw grey images.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator, Pair
from lsgan_tf.networks.layers import conv, deconv, leaky_relu, linear, logit, sigmoid
from lsgan_tf.networks.normalization import BatchNormalization

LATENT_DIM = 64


def _hidden():
    """What follows a hidden layer."""
    return [BatchNormalization(momentum=0.99, epsilon=1e-3), leaky_relu()]


@keras.saving.register_keras_serializable("lsgan_tf")
class InfoGANGenerator(Generator):
    """64 uniform latents -> images in (0, 1); 6,642,241 trainable parameters at 28x28x1.

    Args:
        image_shape: (height, width, channels); the sides are multiples of 4.
    """

    value_range = (0.0, 1.0)

    def __init__(self, image_shape: tuple[int, int, int], name: str | None = None) -> None:
        super().__init__(LATENT_DIM, image_shape, name=name)
        height, width, channels = image_shape
        map_shape = (height // 4, width // 4, 128)
        self.body = keras.Sequential(
            [
                *(linear(1024), *_hidden()),
                *(linear(map_shape[0] * map_shape[1] * 128), *_hidden()),
                layers.Reshape(map_shape),
                *(deconv(64, 4), *_hidden()),
                *(deconv(channels, 4), sigmoid()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class InfoGANDiscriminator(Discriminator):
    """Images -> one logit; 6,559,169 trainable parameters at 28x28x1.

    Args:
        image_shape: (height, width, channels).
        sigmoid: whether the logit passes through a sigmoid, as in the study; for least squares with
            labels (0, 1, 1) only.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], sigmoid: bool = False, name: str | None = None
    ) -> None:
        super().__init__(image_shape, name=name)
        self.sigmoid = sigmoid
        self.logit_range = (0.0, 1.0) if sigmoid else None
        self.body = keras.Sequential(
            [
                *(conv(64, 4), leaky_relu()),
                *(conv(128, 4), *_hidden()),
                layers.Flatten(),
                *(linear(1024), *_hidden()),
                logit(),
                *([layers.Activation("sigmoid", dtype=keras.config.floatx())] if sigmoid else []),
            ]
        )
        self.build_variables()


def _pair(bounded, remark):
    def make(image_shape, num_classes):
        if image_shape[0] % 4 or image_shape[1] % 4:
            raise ValueError(
                f"The infogan networks take sides that are multiples of 4, not {image_shape[:2]}."
            )
        return InfoGANGenerator(image_shape), InfoGANDiscriminator(image_shape, bounded)

    return Pair(make, None, f"any multiple of 4, of Lucic et al. (2018){remark}")


PAIRS = {
    "infogan": _pair(False, ""),
    "infogan_sigmoid": _pair(True, "; D ends in a sigmoid, for (0, 1, 1) only"),
}
