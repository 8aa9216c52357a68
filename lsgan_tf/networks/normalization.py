"""Batch normalisation, as fast as TensorFlow's fused kernel and right on several replicas; layer
normalisation over whole images."""

import keras
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:  # The networks run on any Keras backend; only the fused kernel is TensorFlow's.
    tf = None


@keras.saving.register_keras_serializable("lsgan_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation over the last axis with the LSGAN authors' defaults.

    Decay 0.9, epsilon 1e-5, scale and offset, and a moving variance of the biased estimate, as
    the authors' layers had. Three things differ from the parent class:

    - in training, where one replica has all it needs, it runs TensorFlow's fused kernel, where
      Keras 3 runs a chain of elementwise operations;
    - on several replicas `synchronized`, the default, takes the statistics of the global batch, in
      one exchange instead of Keras' three. Without it each replica normalises by its own part of
      the batch, and `average_over_replicas` must be called before its statistics are saved;
    - inputs [N, C] and [N, H, W, C] take the same path.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        kwargs.setdefault("synchronized", tf is not None)
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._is_plain(inputs)):
            return super().call(inputs, training=training, mask=mask)
        context = tf.distribute.get_replica_context()
        if self.synchronized and context is not None and context.num_replicas_in_sync > 1:
            return self._over_replicas(inputs, context)
        if inputs.dtype == tf.float64:  # which the fused kernel does not know
            return super().call(inputs, training=training, mask=mask)
        return self._fused(inputs)

    def _is_plain(self, inputs):
        """Whether the layer is one that the paths below know: all of this project's are."""
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
        """By the statistics of the global batch; all replicas have equally many images."""
        values = tf.cast(inputs, self.moving_mean.value.dtype)  # in full precision
        axes = list(range(len(inputs.shape) - 1))
        # The variance is a difference of squares: near the mean, it keeps its digits. All replicas
        # have the same moving mean.
        near = tf.stop_gradient(self.moving_mean.value)
        shifted = values - near
        own = tf.stack([tf.reduce_mean(shifted, axes), tf.reduce_mean(tf.square(shifted), axes)])
        mean, square = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, own))
        variance = tf.maximum(square - tf.square(mean), 0.0)
        self._update_moving_statistics(near + mean, variance)
        factor = tf.math.rsqrt(variance + self.epsilon) * self.gamma.value
        outputs = shifted * factor + (self.beta.value - mean * factor)
        return tf.cast(outputs, inputs.dtype)

    def _update_moving_statistics(self, mean, variance):
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


def layers_of(network):
    """All `BatchNormalization` layers of a network."""
    return [each for each in network._flatten_layers() if isinstance(each, BatchNormalization)]


def synchronize(network, synchronized):
    """Sets whether the batch norm of a network is over all replicas or over each one's images."""
    for layer in layers_of(network):
        layer.synchronized = synchronized


def average_over_replicas(network):
    """Gives all replicas the mean of their moving statistics, where each has its own.

    Call it in a replica's context. One exchange; the weights do not depend on it.
    """
    context = tf.distribute.get_replica_context()
    own = [layer for layer in layers_of(network) if not layer.synchronized]
    moving = [each for layer in own for each in (layer.moving_mean, layer.moving_variance)]
    if not moving or context.num_replicas_in_sync == 1:
        return
    # As tensors: workers cannot reduce what still is a variable.
    values = [tf.identity(each.value) for each in moving]
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
    for each, mean in zip(moving, means, strict=True):
        each.assign(mean)


@keras.saving.register_keras_serializable("lsgan_tf")
class LayerNormalization(keras.layers.Layer):
    """Layer normalisation as in the authors' `tflib/ops/layernorm.py`.

    Mean and (biased) variance are those of all numbers of one sample, H, W and C of [N, H, W, C] or
    C of [N, C], while scale and offset belong to a channel. Keras' own layer takes its statistics
    and its scales over the same axes.

    Args:
      epsilon: added to the variance.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        # No autocast: as all of the arithmetic, they take part in full precision.
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
