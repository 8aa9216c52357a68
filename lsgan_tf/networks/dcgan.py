"""A DCGAN pair for square images of any side from 16 on, labelled or not.

At 128 pixels in colour this is the authors' cat pair (`cats/arch.py`), parameter for parameter,
and `batch_norm=False` their alternative without batch norm. Other sizes change only the grids:
each of the four layers halves or doubles the side, rounded up, so that 28 pixels go
2 - 4 - 7 - 14 - 28. With `num_classes` the pair is conditioned as the authors' character networks
are: a mapped label joins the latents, the discriminator's second convolution and its last layer.
"""

import keras
from keras import layers

from lsgan_tf.networks.conditioned import LabelledDiscriminator, LabelledGenerator
from lsgan_tf.networks.layers import conv, deconv, leaky_relu, linear, score, tanh
from lsgan_tf.networks.normalization import BatchNormalization
from lsgan_tf.networks.pairs import Pair

LABEL_UNITS = 256
SMALLEST = 16


def _check(image_shape):
    height, width, channels = image_shape
    if height != width or height < SMALLEST or channels not in (1, 3):
        raise ValueError(
            "The dcgan networks take square images of 1 or 3 channels and a side of at least "
            f"{SMALLEST}, not {height}x{width}x{channels}."
        )


def _sides(side):
    """The sides from the first grid to the image: halved four times, rounded up."""
    return [-(-side // 2**halvings) for halvings in (4, 3, 2, 1, 0)]


def _deconv_to(side, filters):
    """A transposed convolution to `side`, which is twice its input's or, if odd, one less."""
    return deconv(filters, output_padding=0 if side % 2 else None)


def _norm(wanted):
    """Batch norm or nothing: a list of layers."""
    return [BatchNormalization()] if wanted else []


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANGenerator(LabelledGenerator):
    """Latents (and labels) -> square images in (-1, 1).

    Args:
      image_shape: (side, side, 1 or 3), the side at least 16.
      latent_dim: length of a latent vector.
      num_classes: number of labels to condition on, or 0.
      batch_norm: whether batch norm follows each hidden layer.

    Raises:
      ValueError: if the image shape does not fit.
    """

    def __init__(self, image_shape, latent_dim=100, num_classes=0, batch_norm=True, name=None):
        super().__init__(latent_dim, image_shape, num_classes, LABEL_UNITS, name)
        _check(image_shape)
        self.batch_norm = batch_norm
        grid, second, third, fourth, side = _sides(image_shape[0])
        self.body = keras.Sequential(
            [
                *(linear(grid * grid * 512), *_norm(batch_norm), layers.ReLU()),
                layers.Reshape((grid, grid, 512)),
                *(_deconv_to(second, 256), *_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(third, 128), *_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(fourth, 64), *_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(side, image_shape[-1]), tanh()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANDiscriminator(LabelledDiscriminator):
    """Square images (and labels) -> one score each.

    Args:
      image_shape: (side, side, 1 or 3), the side at least 16.
      num_classes: number of labels to condition on, or 0.
      batch_norm: whether batch norm follows the second to fourth convolution.

    Raises:
      ValueError: if the image shape does not fit.
    """

    def __init__(self, image_shape, num_classes=0, batch_norm=True, name=None):
        super().__init__(image_shape, num_classes, LABEL_UNITS, name)
        _check(image_shape)
        self.batch_norm = batch_norm
        self.first = keras.Sequential([conv(64), leaky_relu()])
        self.body = keras.Sequential(
            [
                *(conv(128), *_norm(batch_norm), leaky_relu()),
                *(conv(256), *_norm(batch_norm), leaky_relu()),
                *(conv(512), *_norm(batch_norm), leaky_relu()),
                layers.Flatten(),
            ]
        )
        self.score = score()
        self.build_variables()


def _pair(batch_norm, what):
    return Pair(
        lambda image_shape, num_classes: (
            DCGANGenerator(image_shape, num_classes=num_classes, batch_norm=batch_norm),
            DCGANDiscriminator(image_shape, num_classes=num_classes, batch_norm=batch_norm),
        ),
        None,
        what,
        conditional=True,
    )


PAIRS = {
    "dcgan": _pair(True, "any square side from 16 on; 128 is the cats' (PAMI 2019)"),
    "dcgan_no_bn": _pair(False, "dcgan without batch norm"),
}
