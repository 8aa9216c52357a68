"""An exponential moving average of a network: of its weights and of its moving statistics."""

import keras
import tensorflow as tf

from lsgan_tf.utils.errors import innermost_cause


def copy(network: keras.Model) -> keras.Model:
    """Returns a second network of the same configuration and weights, which does not train.

    Raises:
        ValueError: the configuration does not suffice to make it again.
    """
    try:
        twin = network.twin(f"{network.name}_ema")
        twin.ensure_built()
        twin.set_weights(network.get_weights())
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            f"The average of ema_decay is a copy of {network.name}, and {type(network).__name__} "
            f"could not be made again: {innermost_cause(error)} Keep the constructor's arguments "
            "as attributes, or write `get_config` and `from_config`; or leave out ema_decay."
        ) from error
    twin.trainable = False
    return twin


def move(average: keras.Model, network: keras.Model, decay: float, step: tf.Tensor) -> None:
    """Moves an average: average <- d * average + (1 - d) * network, for every variable.

    d is min(decay, (1 + step) / (10 + step)), so that an early average is one of what was learned
    so far, not of the initial weights.

    Args:
        average: the network that `copy` made.
        network: the network that trains.
        decay: in [0, 1).
        step: scalar integer, steps done before this one.
    """
    dtypes = {variable.dtype for variable in average.variables}
    pace = {dtype: _compute_pace(decay, step, dtype) for dtype in dtypes}
    for mean, value in zip(average.variables, network.variables, strict=True):
        mean.assign_sub(pace[mean.dtype] * (mean - value))


def _compute_pace(decay, step, dtype):
    """1 - d, at no less than single precision: a half has no digits left this near to one."""
    precision = tf.float64 if dtype == "float64" else tf.float32
    done = tf.cast(step, precision)
    early = (1.0 + done) / (10.0 + done)
    return tf.cast(1.0 - tf.minimum(tf.constant(decay, precision), early), dtype)
