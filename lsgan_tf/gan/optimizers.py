"""Adam and RMSProp as in TensorFlow 1, which the papers' results were made with.

Keras 3 differs in two numbers that matter: Adam's epsilon (1e-7, not 1e-8) and the start of
RMSProp's mean square (0, not 1). Both classes run TensorFlow's own update kernels, one pass over
memory for each variable instead of Keras' several.
"""

import contextlib
import math
import warnings

import keras
import tensorflow as tf

from lsgan_tf.networks.normalization import flatten_layers
from lsgan_tf.utils.settings import check_learning_rate_schedule


@keras.saving.register_keras_serializable("lsgan_tf")
class RateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """What a learning rate is multiplied by, as a function of the steps done, s.

    warmup(s) * decay(s), where warmup(s) = min(1, s / warmup_steps), and decay(s) is 1 (constant),
    1 - s / decay_steps (linear) or (1 + cos(pi s / decay_steps)) / 2 (cosine); 0 from decay_steps
    on. Keras' `CosineDecay` shifts the decay to the end of the warm-up, and its `PolynomialDecay`
    has no warm-up. An update that a `LossScaleOptimizer` skips does not count as done.

    Args:
        schedule: "constant", "linear" or "cosine".
        warmup_steps: in steps of training; 0 for none.
        decay_steps: in steps of training; 0 for "constant".
        updates_per_step: updates of the optimizer in one step of training: `n_critic` for D.

    Raises:
        ValueError: if these do not go together.
    """

    def __init__(self, schedule, warmup_steps=0, decay_steps=0, updates_per_step=1):
        check_learning_rate_schedule(schedule, warmup_steps, decay_steps)
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.updates_per_step = updates_per_step

    def __call__(self, step):
        """The factor after so many updates of the optimizer, a scalar in 0 .. 1."""
        step = keras.ops.floor_divide(step, self.updates_per_step)
        step = keras.ops.cast(step, keras.config.floatx())
        warmup = keras.ops.minimum(step / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        if self.schedule == "constant":
            return warmup
        decay = keras.ops.maximum(1.0 - step / self.decay_steps, 0.0)
        if self.schedule == "cosine":
            decay = (1.0 - keras.ops.cos(math.pi * decay)) / 2.0  # exactly 0 at the end
        return warmup * decay

    def get_config(self):
        return dict(vars(self))


class _KernelOptimizer:
    """What both optimizers below share. All that is private to Keras' optimizers is used here:
    `_all_reduce_sum_gradients`, `_get_variable_index` and `_iterations`.

    The rate is a variable times a `RateSchedule`. So optimizers with and without a schedule have
    the same variables, and one goes on from the checkpoint of the other; with a schedule in the
    place of the variable, as Keras has it, they would not.
    """

    _takes_sums = False

    def __init__(self, *args, schedule=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.schedule = schedule

    @property
    def learning_rate(self):
        """The rate of the next update. What is assigned to it is the rate before the schedule."""
        rate = super().learning_rate
        # Not `iterations`, which counts fewer where an update takes the gradients of many steps.
        return rate if self.schedule is None else rate * self.schedule(self._iterations)

    @learning_rate.setter
    def learning_rate(self, rate):
        super(_KernelOptimizer, type(self)).learning_rate.fset(self, rate)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {**super().get_config(), "schedule": schedule}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        schedule = keras.saving.deserialize_keras_object(config.get("schedule"), custom_objects)
        return super().from_config({**config, "schedule": schedule}, custom_objects)

    @contextlib.contextmanager
    def taking_sums(self):
        """Within it `apply` takes gradients that are already the sums over all replicas.

        The caller sums them itself, to look at them, and saves a second all-reduce.
        """
        self._takes_sums = True
        try:
            yield
        finally:
            self._takes_sums = False

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Keras' hook, which `apply` calls on each replica."""
        if self._takes_sums:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _find_slot(self, slots, variable):
        """The slot of a variable, in a list that the parent class made by `build`."""
        return slots[self._get_variable_index(variable)]


def _handle(variable):
    """The resource of a variable: under a strategy, of the copy that is being updated."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


@keras.saving.register_keras_serializable("lsgan_tf")
class Adam(_KernelOptimizer, keras.optimizers.Adam):
    """Adam (Kingma & Ba, 2015) with TensorFlow 1's epsilon of 1e-8.

    The defaults are the LSGAN authors': beta_1 0.5, beta_2 0.999. `schedule`: a `RateSchedule`.
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
        step = tf.cast(keras.ops.convert_to_tensor(self.iterations) + 1, dtype)
        # Not by `tf.cast`, which rounds a Python float to float32 first.
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._find_slot(self._momentums, variable)),
            v=_handle(self._find_slot(self._velocities, variable)),
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


@keras.saving.register_keras_serializable("lsgan_tf")
class RMSProp(_KernelOptimizer, keras.optimizers.RMSprop):
    """RMSProp with TensorFlow 1's defaults: decay 0.9, epsilon 1e-10 inside the root, and a mean
    square that starts at one, so that the first steps are small instead of huge. `schedule`: a
    `RateSchedule`.
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
        tf.raw_ops.ResourceApplyRMSProp(
            var=_handle(variable),
            ms=_handle(self._find_slot(self._velocities, variable)),
            mom=_handle(self._find_slot(self._momentums, variable)),
            lr=tf.cast(learning_rate, dtype),
            rho=tf.constant(self.rho, dtype),
            momentum=tf.constant(self.momentum, dtype),
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


def computes_in_half(*networks: keras.Model) -> bool:
    """Whether a layer of the networks computes in float16, where small gradients vanish."""
    layers = (layer for network in networks for layer in flatten_layers(network))
    return any(layer.compute_dtype == "float16" for layer in layers)


def make_pair(of_generator, of_discriminator, *, scaled: bool) -> tuple:
    """The two optimizers of a GAN, from what its `compile` is given; None is `Adam()`.

    Args:
        of_generator, of_discriminator: optimizers, what `keras.optimizers.get` takes, or None.
        scaled: whether they scale the losses: in a `keras.optimizers.LossScaleOptimizer`, where
            they are in none.

    Raises:
        ValueError: if both are one object, or if one is no optimizer or averages weights.
    """
    given = {"generator_optimizer": of_generator, "discriminator_optimizer": of_discriminator}
    pair = [_get(name, optimizer) for name, optimizer in given.items()]
    if pair[0] is pair[1]:
        raise ValueError("The generator and the discriminator need an optimizer each.")
    for optimizer in pair:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if inner.use_ema:
            raise ValueError(
                f"{type(inner).__name__} has use_ema=True, which leaves out the statistics of "
                "batch norm. A GAN averages its generator itself: GAN(..., ema_decay=0.999)."
            )
    scale = keras.optimizers.LossScaleOptimizer
    return tuple(scale(o) if scaled and not _scales(o) else o for o in pair)


def _get(name, given):
    try:
        return Adam() if given is None else keras.optimizers.get(given)
    except (ValueError, TypeError):
        raise ValueError(
            f"{name} is {given!r}; give an optimizer, as lsgan_tf.Adam(2e-4), or the name of one "
            "of Keras', as 'adam'."
        ) from None


def scale_loss(optimizer: keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Scales a loss before its gradients are taken, if the optimizer is a `LossScaleOptimizer` or
    has a `loss_scale_factor`."""
    return optimizer.scale_loss(loss)


def apply_over_replicas(
    optimizer: keras.optimizers.Optimizer, gradients: list, variables: list
) -> tuple[tf.Tensor, tf.Tensor | bool]:
    """Sums the gradients over the replicas and updates the variables.

    Args:
        optimizer: one of this module's, or of Keras', or one in a `keras.optimizers.
            LossScaleOptimizer`, which skips an update whose gradients are not finite.
        gradients: this replica's, of `scale_loss(optimizer, loss)`; None of a variable that the
            loss does not depend on: it stays as it is, with a warning.
        variables: the variables, in the same order.

    Returns:
        (L2 norm of the sum, without the scale, whether the update was made). The norm is 0 if it
        was not.

    Raises:
        ValueError: if all gradients are None.
    """
    gradients, variables = _leave_out_unused(gradients, variables)
    # Embedding look-ups give sparse gradients; here they are made dense, as those of a matrix are.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    context = tf.distribute.get_replica_context()
    alone = context.num_replicas_in_sync == 1  # an all-reduce of one replica takes time, too
    summed = dense if alone else context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    if not _scales(optimizer):
        _apply(optimizer, optimizer, summed, variables)
        norm, factor = _norm(summed), optimizer.loss_scale_factor
        return norm if factor is None else norm / factor, True
    # Of the sum, which is the same everywhere, so that all replicas skip or none.
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in summed])
    norm = _norm(summed)
    norm /= tf.cast(optimizer.dynamic_scale.value, norm.dtype)
    _apply(optimizer, optimizer.inner_optimizer, summed, variables)
    return tf.where(finite, norm, 0.0), finite


def _leave_out_unused(gradients, variables):
    """Leaves out the pairs without a gradient, as Keras' optimizers do, and names them."""
    unused = [v.path for g, v in zip(gradients, variables, strict=True) if g is None]
    if not unused:
        return gradients, variables
    message = f"Gradients do not exist for variables {unused} when minimizing the loss"
    if len(unused) == len(variables):
        raise ValueError(f"{message}: none of a network's outputs reaches it.")
    warnings.warn(f"{message}: they stay as they are.", stacklevel=1)
    used = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
    return [list(part) for part in zip(*used, strict=True)]


def _norm(gradients):
    """L2 norm of all, in float32, or in float64 if one of them is."""
    exact = any(gradient.dtype == tf.float64 for gradient in gradients)
    dtype = tf.float64 if exact else tf.float32
    return tf.linalg.global_norm([tf.cast(gradient, dtype) for gradient in gradients])


def _scales(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _apply(outer, inner, summed, variables):
    """Applies summed gradients by `outer`, which is `inner` or wraps it."""
    if isinstance(inner, _KernelOptimizer):
        with inner.taking_sums():
            outer.apply(summed, variables)
    else:  # Keras' own optimizers sum over the replicas themselves
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        outer.apply([gradient / replicas for gradient in summed], variables)
