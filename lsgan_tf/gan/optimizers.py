"""Adam and RMSProp as TensorFlow 1 had them, which is what the papers' results were made with.

Keras 3 differs in two numbers that matter: Adam's epsilon (1e-7, not 1e-8) and the start of
RMSProp's mean square (0, not 1). Both classes run TensorFlow's own update kernels, one pass over
memory for each variable instead of Keras' several.
"""

import contextlib

import keras
import tensorflow as tf


def _handle(variable):
    """The resource of a variable: under a strategy, of the copy that is being updated."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


class TakesSummedGradients:
    """For an optimizer whose caller sums the gradients over the replicas, to look at them, and
    does not want a second all-reduce."""

    _summed = False

    @contextlib.contextmanager
    def taking_sums(self):
        """Within it `apply` takes gradients that are already the sums over all replicas."""
        self._summed = True
        try:
            yield
        finally:
            self._summed = False

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars if self._summed else super()._all_reduce_sum_gradients(grads_and_vars)


@keras.saving.register_keras_serializable("lsgan_tf")
class Adam(TakesSummedGradients, keras.optimizers.Adam):
    """Adam (Kingma & Ba, 2015) with TensorFlow 1's epsilon of 1e-8.

    The defaults are the LSGAN authors': beta_1 0.5, beta_2 0.999.
    """

    def __init__(self, learning_rate=2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8, **kwargs):
        super().__init__(
            learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs
        )

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


@keras.saving.register_keras_serializable("lsgan_tf")
class RMSProp(TakesSummedGradients, keras.optimizers.RMSprop):
    """RMSProp with TensorFlow 1's defaults: decay 0.9, epsilon 1e-10 inside the root, and a mean
    square that starts at one, so that the first steps are small instead of huge.
    """

    def __init__(self, learning_rate=2e-4, rho=0.9, momentum=0.0, epsilon=1e-10, **kwargs):
        super().__init__(
            learning_rate=learning_rate, rho=rho, momentum=momentum, epsilon=epsilon, **kwargs
        )

    def build(self, variables):
        """Creates the slots; the mean squares start at one."""
        if self.built:
            return
        super().build(variables)
        for velocity in self._velocities:
            velocity.assign(keras.ops.ones_like(velocity))
        if not self._momentums:  # Keras leaves the slot out at momentum 0; the kernel wants one
            self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        if self.centered:
            super().update_step(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=_handle(variable),
            ms=_handle(self._velocities[index]),
            mom=_handle(self._momentums[index]),
            lr=tf.cast(learning_rate, dtype),
            rho=tf.cast(self.rho, dtype),
            momentum=tf.cast(self.momentum, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


def scaled(optimizer, loss):
    """The loss as an optimizer wants it for its gradients: scaled up, if it scales losses."""
    return optimizer.scale_loss(loss) if _scales(optimizer) else loss


def apply_over_replicas(optimizer, gradients, variables):
    """Sums each replica's gradients and updates the variables.

    Args:
      optimizer: one of this module's, or of Keras', or one in a `keras.optimizers.
        LossScaleOptimizer`, which skips an update whose gradients are not finite.
      gradients: of `scaled(optimizer, loss)`.
      variables: the variables, in the same order.

    Returns:
      (L2 norm of the sum, whether the update was made). The norm is 0 if it was not.
    """
    # Look-ups give sparse gradients; those of a linear map, which are dense, are treated alike.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    context = tf.distribute.get_replica_context()
    alone = context.num_replicas_in_sync == 1  # an exchange with oneself takes time, too
    summed = dense if alone else context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    if not _scales(optimizer):
        _apply(optimizer, optimizer, summed, variables)
        return tf.linalg.global_norm(summed), True
    # Of the sum, which is the same everywhere, so that all replicas skip or none.
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in summed])
    norm = tf.linalg.global_norm(summed) / optimizer.dynamic_scale.value
    _apply(optimizer, optimizer.inner_optimizer, summed, variables)
    return tf.where(finite, norm, 0.0), finite


def _scales(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _apply(outer, inner, summed, variables):
    """Applies summed gradients by `outer`, which is `inner` or wraps it."""
    if isinstance(inner, TakesSummedGradients):
        with inner.taking_sums():
            outer.apply(summed, variables)
    else:  # Keras' own optimizers sum over the replicas themselves
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        outer.apply([gradient / replicas for gradient in summed], variables)
