"""An exponential moving average of a network: of its weights and of its moving statistics."""

import tensorflow as tf


def copy(network):
    """A second network of the same configuration and weights, which does not train."""
    twin = type(network).from_config({**network.get_config(), "name": f"{network.name}_ema"})
    twin.set_weights(network.get_weights())
    twin.trainable = False
    return twin


def move(average, network, decay, step):
    """average <- d * average + (1 - d) * network, for every variable.

    d is min(decay, (1 + step) / (10 + step)), so that an early average is one of what was learned
    so far, not of the initial weights. `step` counts from 0.
    """
    done = tf.cast(step, tf.float32)
    pace = 1.0 - tf.minimum(decay, (1.0 + done) / (10.0 + done))
    for mean, value in zip(average.variables, network.variables, strict=True):
        mean.assign_sub(tf.cast(pace, mean.dtype) * (mean - value))
