"""Layers that keep their weights, as the first ones of D in fine-tuning (Mo et al., "Freeze the
Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020)."""

import keras

from lsgan_tf.networks.layers import LabelMap
from lsgan_tf.networks.normalization import LayerNormalization, flatten_layers

_NORMS = (keras.layers.BatchNormalization, LayerNormalization)


def freeze_first(network: keras.Model, count: int) -> None:
    """Sets `trainable = False` on the first layers of a network.

    Counted are the layers with a kernel, convolutions and linear ones, in the order from the input;
    in a residual block its shortcut comes last. A norm goes with the layer that it follows: frozen
    batch norm normalises by its moving statistics, as Keras has it. The map of the labels is not
    counted and trains.

    Args:
        network: a network whose layers are made in the order in which they are called.
        count: how many, at least 1.

    Raises:
        ValueError: so many are all that there are, or more.
    """
    # Variables are in the order in which the layers were made; Keras' private walk is not.
    owners = {id(v): layer for layer in flatten_layers(network) for v in _own_variables(layer)}
    ordered = dict.fromkeys(owners[id(v)] for v in network.variables if id(v) in owners)
    total = sum(_is_counted(layer) for layer in ordered)
    if count >= total:
        raise ValueError(
            f"{type(network).__name__} has {total} convolutions and linear layers; freeze "
            f"{total - 1} or less."
        )
    for layer in ordered:
        count -= _is_counted(layer)
        if count < 0:
            return
        layer.trainable = False


def find_frozen(network: keras.Model) -> list[int]:
    """The numbers of the layers that do not train, for `freeze`."""
    return [i for i, layer in enumerate(flatten_layers(network)) if not layer.trainable]


def freeze(network: keras.Model, numbers: list[int]) -> None:
    """Freezes the layers of these numbers, of `find_frozen`, and no others."""
    for number, layer in enumerate(flatten_layers(network)):  # outer layers, which set inner, first
        layer.trainable = number not in numbers


def _own_variables(layer):
    return layer.variables if _is_counted(layer) or isinstance(layer, _NORMS) else ()


def _is_counted(layer):
    return hasattr(layer, "kernel") and not isinstance(layer, LabelMap)
