"""The layers all of the authors' networks are made of (their `ops.py`), as Keras layers.

Kernels are drawn with standard deviation 0.02, truncated at two deviations for convolutions and
plain normal for transposed convolutions and linear layers; biases start at zero and are present
in front of a batch norm too. `padding="same"` equals the authors' SAME bit for bit.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.normalization import BatchNormalization

STDDEV = 0.02
LEAK = 0.2


def linear(units, **kwargs):
    """A fully connected layer: [N, inputs] -> [N, units]."""
    return layers.Dense(
        units, kernel_initializer=keras.initializers.RandomNormal(stddev=STDDEV), **kwargs
    )


def conv(filters, kernel_size=5, strides=2, **kwargs):
    """A convolution: [N, H, W, C] -> [N, H / strides, W / strides, filters], rounded up."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=STDDEV),
        **kwargs,
    )


def deconv(filters, kernel_size=5, strides=2, **kwargs):
    """A transposed convolution: [N, H, W, C] -> [N, H * strides, W * strides, filters]."""
    return layers.Conv2DTranspose(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=STDDEV),
        **kwargs,
    )


def norm_relu():
    """Batch norm and ReLU: what follows a hidden layer of a generator."""
    return [BatchNormalization(), layers.ReLU()]


def leaky_relu():
    """LeakyReLU of slope 0.2."""
    return layers.LeakyReLU(negative_slope=LEAK)


def norm_leaky_relu():
    """Batch norm and LeakyReLU: what follows a hidden layer of a discriminator."""
    return [BatchNormalization(), leaky_relu()]


def tanh():
    """The generators' last activation, in full precision whatever that of the rest."""
    return layers.Activation("tanh", dtype=keras.config.floatx())


def score():
    """A discriminator's last layer: one linear score per image, in full precision."""
    return linear(1, dtype=keras.config.floatx())


@keras.saving.register_keras_serializable("lsgan_tf")
class LabelMap(layers.Layer):
    """A linear map of one-hot labels, Phi(y) in the ICCV 2017 paper, as a table look-up.

    Equals a fully connected layer with bias on one-hot labels, without ever making those:
    [N] integer labels in 0..num_classes-1 -> [N, units].
    """

    def __init__(self, num_classes, units=256, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.units = units

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=STDDEV)
        self.kernel = self.add_weight(shape=(self.num_classes, self.units), initializer=normal)
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, labels):
        return ops.take(self.kernel, labels, axis=0) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "units": self.units}


def concatenate_label(features, label):
    """Appends a mapped label [N, U] to [N, C] or, at every position, to [N, H, W, C]."""
    if len(features.shape) == 4:
        height, width = features.shape[1:3]
        label = ops.tile(label[:, None, None, :], (1, height, width, 1))
    return ops.concatenate([features, ops.cast(label, features.dtype)], axis=-1)
