"""What the tests of several families of networks look at."""

import keras
import numpy as np


def count_parameters(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def shapes_of(network, name):
    """The shapes of all trainable variables of a name, first to last layer."""
    return [tuple(v.shape) for v in network.trainable_variables if v.name == name]


def assert_saved_and_loaded(network, folder, *inputs):
    """Saves a network; what is loaded answers the same, bit for bit. Returns what is loaded."""
    network.save(folder / "n.keras")
    loaded = keras.saving.load_model(folder / "n.keras")
    np.testing.assert_array_equal(loaded(*inputs), network(*inputs))
    return loaded
