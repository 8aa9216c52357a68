"""PyTorch's layers, for networks whose originals are PyTorch: where a convolution's window lies on
its padding, and the values that weights start from.

A fan is the number of weights that meet in one number of the output. Biases are uniform on
+-1 / sqrt(fan), and so are the kernels of linear layers.
"""

import math

import keras
from keras import layers


def linear(inputs, units, **kwargs):
    """A fully connected layer: [N, inputs] -> [N, units]."""
    return layers.Dense(
        units, kernel_initializer=_bounded(inputs), bias_initializer=_bounded(inputs), **kwargs
    )


def conv(inputs, filters, strides, kernel_initializer, **kwargs):
    """A 3x3 convolution, [N, H, W, inputs] -> [N, H / strides, W / strides, filters], as layers.

    Padded by one on each side whatever the strides, where `padding="same"` with strides of 2 pads
    at the bottom and on the right only.
    """
    return [
        layers.ZeroPadding2D(1),
        layers.Conv2D(
            filters,
            3,
            strides,
            kernel_initializer=kernel_initializer,
            bias_initializer=_bounded(3 * 3 * inputs),
            **kwargs,
        ),
    ]


def deconv(filters, kernel_initializer):
    """A 3x3 transposed convolution with strides of 2, padding 1 and output padding 1:
    [N, H, W, C] -> [N, 2 H, 2 W, filters], as layers.

    All of it has 2 H + 1 rows; padding 1 cuts the first and the last, output padding 1 gives the
    last one back. `padding="same"` cuts the last instead of the first.
    """
    return [
        layers.Conv2DTranspose(
            filters,
            3,
            2,
            kernel_initializer=kernel_initializer,
            # PyTorch takes the fan from the wrong end of a transposed kernel.
            bias_initializer=_bounded(3 * 3 * filters),
        ),
        layers.Cropping2D(((1, 0), (1, 0))),
    ]


def _bounded(fan):
    limit = 1.0 / math.sqrt(fan)
    return keras.initializers.RandomUniform(-limit, limit)
