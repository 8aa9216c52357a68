"""What the difficult architectures share: layers initialised as in the authors' `tflib/ops`.

Kernels are uniform on +-sqrt(3) times their standard deviation, biases zero. The deviation is given
or follows from the fans. All these networks make or score 64-pixel colour images, and the
generators start from 128 normal latents.

The authors' tensors are NCHW, these are NHWC: where a linear layer meets a map, that permutes
nothing but its random weights.
"""

import math

import keras
from keras import layers

from lsgan_tf.networks.base import Generator
from lsgan_tf.networks.normalization import BatchNormalization, LayerNormalization
from lsgan_tf.utils.errors import check_known

IMAGE_SHAPE = (64, 64, 3)
STDDEV = 0.02
GLOROT = 2.0
HE = 4.0
NORMALIZATIONS = {
    "layer": LayerNormalization,
    "batch": BatchNormalization,
    "none": layers.Identity,
}


@keras.saving.register_keras_serializable("lsgan_tf")
class FanUniform(keras.initializers.Initializer):
    """Uniform with variance gain / (fan_in + fan_out).

    A fan counts the weights that meet in one number of the output (in) or of the input (out). With
    strides, that is one weight in strides^2 on the side that has more pixels.

    Args:
      gain: `GLOROT`, or `HE` for layers next to a ReLU, which cuts off half.
      strides: of the convolution or transposed convolution.
    """

    def __init__(self, gain, strides=1):
        self.gain = gain
        self.strides = strides

    def __call__(self, shape, dtype=None):
        # The kernel's last axis counts outputs, or inputs if transposed: the side of fewer pixels.
        *window, many, few = shape
        fans = math.prod(window) * (many + few / self.strides**2)
        return fixed_uniform(math.sqrt(self.gain / fans))(shape, dtype)

    def get_config(self):
        return {"gain": self.gain, "strides": self.strides}


def fixed_uniform(stddev=STDDEV):
    """The initialiser of a uniform distribution about zero with this standard deviation."""
    limit = math.sqrt(3.0) * stddev
    return keras.initializers.RandomUniform(-limit, limit)


def linear(units, initializer=None, **kwargs):
    """A fully connected layer, [N, inputs] -> [N, units]; Glorot unless told otherwise."""
    return layers.Dense(units, kernel_initializer=initializer or FanUniform(GLOROT), **kwargs)


def conv(filters, kernel_size=5, strides=2, initializer=None, **kwargs):
    """A convolution, [N, H, W, C] -> [N, H / strides, W / strides, filters]; He unless told
    otherwise."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer=initializer or FanUniform(HE, strides),
        **kwargs,
    )


def deconv(filters, kernel_size=5, strides=2, initializer=None, **kwargs):
    """A transposed convolution, [N, H, W, C] -> [N, H * strides, W * strides, filters]; He unless
    told otherwise."""
    return layers.Conv2DTranspose(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer=initializer or FanUniform(HE, strides),
        **kwargs,
    )


def normalize(kind):
    """A new layer of this normalisation.

    Raises:
      ValueError: unless `kind` is "layer", "batch" or "none".
    """
    check_known(kind, NORMALIZATIONS, "normalization")
    return NORMALIZATIONS[kind]()


def score(initializer=None):
    """A discriminator's last layer: one linear score per image, in full precision."""
    return linear(1, initializer, dtype=keras.config.floatx())


class NormalGenerator(Generator):
    """128 latents of N(0, I) -> 64x64x3 in (-1, 1)."""

    latent_distribution = "normal"

    def __init__(self, name=None):
        super().__init__(latent_dim=128, image_shape=IMAGE_SHAPE, name=name)
