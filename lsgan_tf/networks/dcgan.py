"""A DCGAN pair for square images of any side that is a multiple of 16, labelled or not.

At 128 pixels in colour this is the authors' cat pair (`cats/arch.py`), parameter for parameter;
other sizes change only the first layer's grid, side / 16. With `num_classes` it is conditioned as
the authors' character networks are: a mapped label joins the latents, the discriminator's second
convolution and its last layer.
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

LABEL_UNITS = 256


def _first_grid(image_shape):
    height, width, channels = image_shape
    if height != width or height % 16 or channels not in (1, 3):
        raise ValueError(
            "The dcgan networks take square images of 1 or 3 channels whose side is a multiple of "
            f"16, not {height}x{width}x{channels}."
        )
    return height // 16


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANGenerator(LabelledGenerator):
    """Latents (and labels) -> square images in (-1, 1).

    Args:
      image_shape: (side, side, 1 or 3), the side a multiple of 16.
      latent_dim: length of a latent vector.
      num_classes: number of labels to condition on, or 0.

    Raises:
      ValueError: if the image shape does not fit.
    """

    def __init__(self, image_shape, latent_dim=100, num_classes=0, name=None):
        super().__init__(latent_dim, image_shape, num_classes, LABEL_UNITS, name)
        grid = _first_grid(image_shape)
        self.body = keras.Sequential(
            [
                *(linear(grid * grid * 512), *norm_relu()),
                layers.Reshape((grid, grid, 512)),
                *(deconv(256), *norm_relu()),
                *(deconv(128), *norm_relu()),
                *(deconv(64), *norm_relu()),
                *(deconv(image_shape[-1]), tanh()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANDiscriminator(LabelledDiscriminator):
    """Square images (and labels) -> one score each.

    Args:
      image_shape: (side, side, 1 or 3), the side a multiple of 16.
      num_classes: number of labels to condition on, or 0.

    Raises:
      ValueError: if the image shape does not fit.
    """

    def __init__(self, image_shape, num_classes=0, name=None):
        super().__init__(image_shape, num_classes, LABEL_UNITS, name)
        _first_grid(image_shape)
        self.first = keras.Sequential([conv(64), leaky_relu()])
        self.body = keras.Sequential(
            [
                *(conv(128), *norm_leaky_relu()),
                *(conv(256), *norm_leaky_relu()),
                *(conv(512), *norm_leaky_relu()),
                layers.Flatten(),
            ]
        )
        self.score = score()
        self.build_variables()


PAIRS = {
    "dcgan": Pair(
        lambda image_shape, num_classes: (
            DCGANGenerator(image_shape, num_classes=num_classes),
            DCGANDiscriminator(image_shape, num_classes=num_classes),
        ),
        None,
        "any square side that is a multiple of 16; 128 is the cats' (PAMI 2019)",
        conditional=True,
    )
}
