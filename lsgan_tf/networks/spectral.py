"""Spectral normalisation (Miyato et al., ICLR 2018): layers whose kernel has a norm of one.

A kernel is divided by its largest singular value, that of the matrix [inputs, outputs] that it is:
[height * width * channels, filters] of a convolution. A power iteration finds the value: a layer
keeps a vector u of one number an output, and |W u| tends to it while u tends to the singular
vector. The gradient goes through W in |W u|, and takes u for a constant.

Keras' own `SpectralNormalization` iterates whenever the layer is called in training, and writes the
divided kernel back, so that the optimizer moves another kernel than in the paper.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks import normalization
from lsgan_tf.networks.convolution import Conv2D

_TINY = 1e-12  # of a kernel of zeros


class SpectralLayer:
    """What both layers below share: `u`, and the kernel over its norm."""

    def build(self, input_shape):
        super().build(input_shape)
        self.u = self.add_weight(
            name="u",
            shape=(self.kernel.shape[-1],),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",  # all of them compute the same
        )

    def add_weight(self, *args, **kwargs):
        # The norm is taken, and the kernel divided, in full precision.
        if kwargs.get("name") == "kernel":
            kwargs["autocast"] = False
        return super().add_weight(*args, **kwargs)

    def save_own_variables(self, store):
        # Keras' two layers store and load a kernel and a bias, and no more.
        layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        layers.Layer.load_own_variables(self, store)

    def iterate(self) -> None:
        """Takes one step of the power iteration: u <- W^T W u, of length one."""
        matrix = self._matrix()
        u = ops.matmul(ops.matmul(matrix, self.u), matrix)
        length = ops.norm(u)
        # A kernel of zeros has no direction: keep the one there is.
        self.u.assign(ops.where(length > _TINY, u / ops.maximum(length, _TINY), self.u))

    def norm(self):
        """The estimate of the kernel's largest singular value, a scalar; never above it."""
        u = self.u / ops.maximum(ops.norm(self.u), _TINY)
        # Not by `ops.norm`, whose gradient at zero is NaN.
        squares = ops.sum(ops.square(ops.matmul(self._matrix(), u)))
        return ops.sqrt(ops.maximum(squares, _TINY**2))

    def normalized_kernel(self):
        """The kernel over its norm, in the precision that the layer computes in."""
        return ops.cast(self.kernel / self.norm(), self.compute_dtype)

    def _matrix(self):
        return ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))


@keras.saving.register_keras_serializable("lsgan_tf")
class SpectralConv2D(SpectralLayer, Conv2D):
    """A convolution under spectral normalisation."""

    def used_kernel(self):
        return self.normalized_kernel()


@keras.saving.register_keras_serializable("lsgan_tf")
class SpectralDense(SpectralLayer, layers.Dense):
    """A fully connected layer under spectral normalisation."""

    def call(self, inputs, training=None):
        outputs = ops.matmul(inputs, self.normalized_kernel())
        return self.activation(outputs + self.bias if self.use_bias else outputs)


def find(network: keras.Model) -> list[SpectralLayer]:
    """All layers of a network that are under spectral normalisation."""
    layers_of = normalization.flatten_layers(network)
    return [layer for layer in layers_of if isinstance(layer, SpectralLayer)]


def iterate(network: keras.Model) -> None:
    """Takes one step of the power iteration in each layer that trains. Call it once a training
    step."""
    for layer in find(network):
        if layer.trainable:  # else its kernel stays, and so does the norm to divide it by
            layer.iterate()


def check(network: keras.Model) -> None:
    """Checks that a network is not under spectral and batch normalisation.

    Raises:
        ValueError: if it has layers of both. Batch norm divides by the deviation of a batch, and
            undoes the bound on the slope that spectral normalisation gives.
    """
    if find(network) and normalization.has_batch_norm(network):
        raise ValueError(
            f"{type(network).__name__} has spectral and batch normalisation. Batch norm scales "
            "each channel anew and undoes the bound on D's slope: take one of the two."
        )
