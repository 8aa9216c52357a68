"""How TensorFlow optimizes graphs."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def optimizer_option(name: str, value: bool) -> Iterator[None]:
    """Sets an option of `tf.config.optimizer` for the graphs that are called within.

    A graph is optimized when it is first called, by the options of the moment, and the options are
    part of its key: what is called outside stays as it is.
    """
    before = tf.config.optimizer.get_experimental_options().get(name)
    tf.config.optimizer.set_experimental_options({name: value})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})
