"""The layers of the networks, as functions that return Keras layers with an original's settings.

There are three originals. They differ in the initial weights, and PyTorch also in how it pads:

- `linear`, `conv`, `deconv`, `logit`: the LSGAN authors' `ops.py`;
- `uniform_linear`, `uniform_conv`, `uniform_deconv`, `uniform_logit`: WGAN-GP's `tflib/ops`, which
  the authors use for the difficult architectures;
- `torch_linear`, `torch_conv`, `torch_deconv`: PyTorch.

"linear" is a fully connected layer, "deconv" a transposed convolution. Last layers, `logit`, `tanh`
and `sigmoid`, compute in full precision under every dtype policy.
"""

import math

import keras
from keras import layers, ops
from keras.initializers import Initializer

from lsgan_tf.networks.convolution import Conv2D, Conv2DTranspose
from lsgan_tf.networks.normalization import BatchNormalization, LayerNormalization
from lsgan_tf.networks.spectral import SpectralConv2D, SpectralDense
from lsgan_tf.utils.errors import check_known
from lsgan_tf.utils.settings import DISCRIMINATOR_NORMS

STDDEV = 0.02
LEAK = 0.2
GLOROT = 2.0
HE = 4.0


# The authors' ops.py. Kernels have a standard deviation of 0.02: normal in linear layers and
# transposed convolutions, normal but truncated at two deviations in convolutions. Biases start at
# zero, and there is one in front of a batch norm too. "same" equals the authors' padding bit for
# bit.


def linear(
    units: int, initializer: Initializer | None = None, spectral: bool = False, **kwargs
) -> layers.Dense:
    """A fully connected layer, [N, inputs] -> [N, units]."""
    # The default is made only where it is used: every initialiser that is made draws a seed.
    initializer = initializer or keras.initializers.RandomNormal(stddev=STDDEV)
    kind = SpectralDense if spectral else layers.Dense
    return kind(units, kernel_initializer=initializer, **kwargs)


def conv(
    filters: int,
    kernel_size: int = 5,
    strides: int = 2,
    initializer: Initializer | None = None,
    spectral: bool = False,
    **kwargs,
) -> Conv2D:
    """A convolution, [N, H, W, C] -> [N, H / strides, W / strides, filters], rounded up."""
    initializer = initializer or keras.initializers.TruncatedNormal(stddev=STDDEV)
    kind = SpectralConv2D if spectral else Conv2D
    return kind(filters, kernel_size, strides, "same", kernel_initializer=initializer, **kwargs)


def deconv(
    filters: int,
    kernel_size: int = 5,
    strides: int = 2,
    initializer: Initializer | None = None,
    **kwargs,
) -> Conv2DTranspose:
    """A transposed convolution, [N, H, W, C] -> [N, H * strides, W * strides, filters]."""
    initializer = initializer or keras.initializers.RandomNormal(stddev=STDDEV)
    return Conv2DTranspose(
        filters, kernel_size, strides, "same", kernel_initializer=initializer, **kwargs
    )


def logit(spectral: bool = False) -> layers.Dense:
    """A discriminator's last layer, [N, inputs] -> one linear logit per image, [N, 1]."""
    return linear(1, spectral=spectral, dtype=keras.config.floatx())


def norm_relu() -> list[layers.Layer]:
    """Batch norm and ReLU: what follows a hidden layer of a generator."""
    return [BatchNormalization(), layers.ReLU()]


def norm_leaky_relu(norm: str = "batch") -> list[layers.Layer]:
    """Normalisation and LeakyReLU: what follows a hidden layer of a discriminator.

    Args:
        norm: "batch" or "layer"; or "spectral" or "none", where nothing normalises the outputs.

    Raises:
        ValueError: if `norm` is none of these.
    """
    check_known(norm, DISCRIMINATOR_NORMS, "norm of a discriminator")
    kind = {"batch": BatchNormalization, "layer": LayerNormalization}.get(norm)
    return [kind(), leaky_relu()] if kind else [leaky_relu()]


def leaky_relu() -> layers.LeakyReLU:
    """LeakyReLU of slope 0.2."""
    return layers.LeakyReLU(negative_slope=LEAK)


def tanh() -> layers.Activation:
    """The last activation of a generator of pixels in (-1, 1)."""
    return layers.Activation("tanh", dtype=keras.config.floatx())


def sigmoid() -> layers.Activation:
    """The last activation of a generator of pixels in (0, 1)."""
    return layers.Activation("sigmoid", dtype=keras.config.floatx())


@keras.saving.register_keras_serializable("lsgan_tf")
class LabelMap(layers.Layer):
    """The linear map Phi(y) of one-hot labels (ICCV 2017, section 3.3), as a table look-up.

    [N] integer labels in 0..num_classes-1 -> [N, units]. Equals a fully connected layer with bias
    on one-hot labels, without the one-hot tensor.

    Args:
        num_classes: number of labels.
        units: length of the mapped label.
        stddev: of the kernel at the start. At the authors' 0.02 a label is fifty times weaker than
            the numbers it is concatenated to, and takes long to be noticed.
    """

    def __init__(
        self, num_classes: int, units: int = 256, stddev: float = STDDEV, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.units = units
        self.stddev = stddev

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=self.stddev)
        self.kernel = self.add_weight(shape=(self.num_classes, self.units), initializer=normal)
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, labels):
        if labels is None:
            raise ValueError(
                f"Labels are missing: the network is conditioned on {self.num_classes} classes. "
                "Train it on batches of (images, labels), and call it as network(inputs, labels) "
                "with integer labels of shape [N]."
            )
        return ops.take(self.kernel, labels, axis=0) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)

    def get_config(self):
        own = {"num_classes": self.num_classes, "units": self.units, "stddev": self.stddev}
        return {**super().get_config(), **own}


def concatenate_label(features, label):
    """Appends a mapped label [N, U] to [N, C] or, at every position, to [N, H, W, C]."""
    if len(features.shape) == 4:
        height, width = features.shape[1:3]
        label = ops.tile(label[:, None, None, :], (1, height, width, 1))
    return ops.concatenate([features, ops.cast(label, features.dtype)], axis=-1)


# WGAN-GP's tflib/ops. Kernels are uniform on +-sqrt(3) times their standard deviation, which is
# given or follows from the fans. Biases start at zero. The original tensors are NCHW, these are
# NHWC: between a linear layer and a map this permutes only the random weights.


@keras.saving.register_keras_serializable("lsgan_tf")
class FanUniform(Initializer):
    """Uniform with variance gain / (fan_in + fan_out).

    A fan is the number of weights that meet in one number of the output (fan_in) or of the input
    (fan_out). With strides, the side that has more pixels meets one weight in strides^2.

    Args:
        gain: `GLOROT`, or `HE` for layers next to a ReLU, which cuts off half.
        strides: of the convolution or transposed convolution.
    """

    def __init__(self, gain: float, strides: int = 1) -> None:
        self.gain = gain
        self.strides = strides

    def __call__(self, shape, dtype=None):
        # A kernel's last axis counts its outputs, or if transposed its inputs: in both cases the
        # channels of the side that has fewer pixels.
        *window, channels_of_more_pixels, channels_of_fewer = shape
        fans = math.prod(window) * (channels_of_more_pixels + channels_of_fewer / self.strides**2)
        return fixed_uniform(math.sqrt(self.gain / fans))(shape, dtype)

    def get_config(self):
        return {"gain": self.gain, "strides": self.strides}


def fixed_uniform(stddev: float = STDDEV) -> Initializer:
    """The initialiser of a uniform distribution around zero with this standard deviation."""
    limit = math.sqrt(3.0) * stddev
    return keras.initializers.RandomUniform(-limit, limit)


def uniform_linear(units: int, initializer: Initializer | None = None, **kwargs) -> layers.Dense:
    """`linear` with Glorot weights by default."""
    return linear(units, initializer or FanUniform(GLOROT), **kwargs)


def uniform_conv(
    filters: int,
    kernel_size: int = 5,
    strides: int = 2,
    initializer: Initializer | None = None,
    **kwargs,
) -> Conv2D:
    """`conv` with He weights by default."""
    return conv(filters, kernel_size, strides, initializer or FanUniform(HE, strides), **kwargs)


def uniform_deconv(
    filters: int, kernel_size: int = 5, initializer: Initializer | None = None
) -> Conv2DTranspose:
    """`deconv` with strides of 2 and He weights by default."""
    return deconv(filters, kernel_size, 2, initializer or FanUniform(HE, 2))


def uniform_logit(initializer: Initializer | None = None) -> layers.Dense:
    """A discriminator's last layer, [N, inputs] -> one linear logit per image, [N, 1]."""
    return uniform_linear(1, initializer, dtype=keras.config.floatx())


# PyTorch. Biases start uniform on +-1 / sqrt(fan), and so do the kernels of linear layers; the fan
# is the number of weights that meet in one number of the output.


def torch_linear(inputs: int, units: int, **kwargs) -> layers.Dense:
    """A fully connected layer, [N, inputs] -> [N, units]."""
    return layers.Dense(
        units,
        kernel_initializer=_torch_uniform(inputs),
        bias_initializer=_torch_uniform(inputs),
        **kwargs,
    )


def torch_conv(
    inputs: int, filters: int, strides: int, kernel_initializer: Initializer | str
) -> list[layers.Layer]:
    """A 3x3 convolution, [N, H, W, inputs] -> [N, H / strides, W / strides, filters], as layers.

    Pads by one on each side for all strides, where `padding="same"` with strides of 2 pads at the
    bottom and on the right only.
    """
    return [
        layers.ZeroPadding2D(1),
        Conv2D(
            filters,
            3,
            strides,
            kernel_initializer=kernel_initializer,
            bias_initializer=_torch_uniform(3 * 3 * inputs),
        ),
    ]


def torch_deconv(filters: int, kernel_initializer: Initializer | str) -> list[layers.Layer]:
    """A 3x3 transposed convolution with strides of 2, padding 1 and output padding 1,
    [N, H, W, C] -> [N, 2 H, 2 W, filters], as layers.

    Uncut, it has 2 H + 1 rows. Padding 1 cuts the first and the last row, output padding 1 restores
    the last. `padding="same"` cuts the last instead of the first.
    """
    return [
        Conv2DTranspose(
            filters,
            3,
            2,
            kernel_initializer=kernel_initializer,
            # PyTorch takes the fan from the wrong end of a transposed kernel.
            bias_initializer=_torch_uniform(3 * 3 * filters),
        ),
        layers.Cropping2D(((1, 0), (1, 0))),
    ]


def _torch_uniform(fan):
    limit = 1.0 / math.sqrt(fan)
    return keras.initializers.RandomUniform(-limit, limit)
