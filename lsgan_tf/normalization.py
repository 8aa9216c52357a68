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

    - in training on one replica it runs TensorFlow's fused kernel, where Keras 3 runs a chain of
      elementwise operations;
    - on several replicas it always uses the statistics of the global batch, since otherwise each
      replica keeps moving statistics of its own and one of them is saved;
    - inputs [N, C] and [N, H, W, C] take the same path.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        kwargs.setdefault("synchronized", tf is not None)
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._fits_fused_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
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

    def _fits_fused_kernel(self, inputs):
        if (
            tf is None
            or len(inputs.shape) not in (2, 4)
            or self.axis not in (-1, len(inputs.shape) - 1)
        ):
            return False
        if not (self.scale and self.center) or self.renorm or inputs.dtype == tf.float64:
            return False  # the kernel always scales and shifts, and knows no float64
        replicas = tf.distribute.get_replica_context()
        return replicas is None or replicas.num_replicas_in_sync == 1

    def _update_moving_statistics(self, mean, variance):
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


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
