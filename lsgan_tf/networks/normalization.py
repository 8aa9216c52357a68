"""Batch normalisation with TensorFlow's fused kernel, which can span several replicas; layer
normalisation over whole images; functions that find and set the batch norm of a network."""

import contextlib
import contextvars

import keras
from keras import layers, ops

from lsgan_tf.utils.errors import check_known

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:  # The networks run on any Keras backend: without TensorFlow on Keras' own batch norm.
    tf = None

# How many parts a batch has. Each replica is a thread, and has its own.
_parts = contextvars.ContextVar("parts", default=1)


@contextlib.contextmanager
def in_parts(count: int):
    """Within it `BatchNormalization` takes each of so many equal parts of a batch for a batch of
    its own, in their order."""
    token = _parts.set(count)
    try:
        yield
    finally:
        _parts.reset(token)


@keras.saving.register_keras_serializable("lsgan_tf")
class BatchNormalization(layers.BatchNormalization):
    """Keras' batch normalisation over the last axis with the LSGAN authors' defaults.

    As in the authors' layers, there are a scale and an offset, and the moving variance is that of
    the biased estimate. Three things differ from the parent class:

    - In training on one replica, or unsynchronised, it runs TensorFlow's fused kernel; Keras 3 runs
      a chain of elementwise operations.
    - With `synchronized`, the default, several replicas take the statistics of the global batch in
      one exchange; Keras needs three. Without it each replica normalises by its own part of the
      batch, and `average_over_replicas` must be called before the statistics are saved.
    - Inputs [N, C] and [N, H, W, C] take the same path.

    Args:
        momentum: share of its old value that a moving statistic keeps in one step.
        epsilon: added to the variance.
        **kwargs: of `keras.layers.BatchNormalization`.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs) -> None:
        kwargs.setdefault("synchronized", tf is not None)
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._is_plain(inputs)):
            return super().call(inputs, training=training, mask=mask)
        if _parts.get() == 1:
            return self._normalize(inputs)
        return tf.concat([self._normalize(part) for part in tf.split(inputs, _parts.get())], 0)

    def _normalize(self, inputs):
        """By the statistics of these inputs, which move the moving ones."""
        context = tf.distribute.get_replica_context()
        if self.synchronized and context is not None and context.num_replicas_in_sync > 1:
            return self._over_replicas(inputs, context)
        if inputs.dtype == tf.float64:  # not supported by the fused kernel
            return super().call(inputs, training=True)
        return self._fused(inputs)

    def _is_plain(self, inputs):
        """Whether the paths below support this layer: they support all that the networks use."""
        if (
            tf is None
            or len(inputs.shape) not in (2, 4)
            or self.axis not in (-1, len(inputs.shape) - 1)
        ):
            return False
        return self.scale and self.center and not self.renorm

    def _fused(self, inputs):
        shape = tf.shape(inputs)
        images = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.reduce_prod(shape[:-1]), variance.dtype)
        self._update_moving_statistics(mean, variance * (count - 1) / count)  # undo Bessel
        return tf.reshape(outputs, shape) if images is not inputs else outputs

    def _over_replicas(self, inputs, context):
        """Normalises by the statistics of the global batch.

        The mean over replicas is that of the batch since all replicas have equally many images.
        """
        values = tf.cast(inputs, self.moving_mean.value.dtype)  # in full precision
        axes = list(range(len(inputs.shape) - 1))
        # The variance E[x^2] - E[x]^2 loses its digits where the mean is large. The moving mean is
        # close to the mean and the same on all replicas: subtract it first.
        shift = tf.stop_gradient(self.moving_mean.value)
        shifted = values - shift
        moments = tf.stack(
            [tf.reduce_mean(shifted, axes), tf.reduce_mean(tf.square(shifted), axes)]
        )
        mean, square = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, moments))
        variance = tf.maximum(square - tf.square(mean), 0.0)
        self._update_moving_statistics(shift + mean, variance)
        factor = tf.math.rsqrt(variance + self.epsilon) * self.gamma.value
        outputs = shifted * factor + (self.beta.value - mean * factor)
        return tf.cast(outputs, inputs.dtype)

    def _update_moving_statistics(self, mean, variance):
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


@keras.saving.register_keras_serializable("lsgan_tf")
class LayerNormalization(layers.Layer):
    """Layer normalisation as in the authors' `tflib/ops/layernorm.py`.

    Mean and (biased) variance are over all numbers of one sample: H, W and C of [N, H, W, C], or C
    of [N, C]. There are one scale and one offset for each channel. Keras' own layer takes its
    statistics and its scales over the same axes.

    Args:
        epsilon: added to the variance.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        # No autocast: all of the arithmetic is in full precision.
        channels = (input_shape[-1],)
        self.scale = self.add_weight(
            name="scale", shape=channels, initializer="ones", autocast=False
        )
        self.offset = self.add_weight(
            name="offset", shape=channels, initializer="zeros", autocast=False
        )

    def call(self, inputs):
        inputs = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axes = tuple(range(1, len(inputs.shape)))
        centred = inputs - ops.mean(inputs, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon) * self.scale
        return ops.cast(centred * factor + self.offset, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


NORMALIZATIONS = {
    "layer": LayerNormalization,
    "batch": BatchNormalization,
    "none": layers.Identity,
}


def normalize(kind: str) -> layers.Layer:
    """A new normalisation layer.

    Args:
        kind: "layer", "batch" or "none".

    Raises:
        ValueError: if `kind` is none of these.
    """
    check_known(kind, NORMALIZATIONS, "normalization")
    return NORMALIZATIONS[kind]()


def flatten_layers(network: keras.Model) -> list[layers.Layer]:
    """All layers of a network, those inside other layers too, and the network itself."""
    # Keras' public `layers` stops at the direct ones, and a custom layer such as a residual block
    # has none. The private walk is used here only; a test fails if Keras changes it.
    return list(network._flatten_layers())


def find_batch_norms(network: keras.Model) -> list[BatchNormalization]:
    """All `BatchNormalization` layers of a network."""
    return [layer for layer in flatten_layers(network) if isinstance(layer, BatchNormalization)]


def has_batch_norm(network: keras.Model) -> bool:
    """Whether a network has batch norm, this module's or Keras' own."""
    return any(isinstance(layer, layers.BatchNormalization) for layer in flatten_layers(network))


def synchronize(network: keras.Model, synchronized: bool) -> None:
    """Sets whether each batch norm takes the statistics of the global batch or of its replica's."""
    for layer in find_batch_norms(network):
        layer.synchronized = synchronized


def average_over_replicas(network: keras.Model) -> None:
    """Sets the moving statistics of unsynchronised batch norm to their means over the replicas.

    Call it in a replica's context. It takes one exchange, and does not change the weights.
    """
    context = tf.distribute.get_replica_context()
    unsynchronized = [layer for layer in find_batch_norms(network) if not layer.synchronized]
    statistics = [
        variable
        for layer in unsynchronized
        for variable in (layer.moving_mean, layer.moving_variance)
    ]
    if not statistics or context.num_replicas_in_sync == 1:
        return
    # As tensors: several workers cannot reduce variables.
    values = [tf.identity(variable.value) for variable in statistics]
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
    for variable, mean in zip(statistics, means, strict=True):
        variable.assign(mean)
