"""What a family of networks registers: its pairs, by name."""

from collections.abc import Callable
from typing import NamedTuple

from lsgan_tf.networks.base import Discriminator, Generator


class Pair(NamedTuple):
    """A registered pair: how to make it, and what it takes.

    `make(image_shape, num_classes)` returns the two networks, or raises ValueError if it cannot
    make images of that shape.
    """

    make: Callable[..., tuple[Generator, Discriminator]]
    image_shape: tuple[int, ...] | None  # None: decided by the data
    what: str
    conditional: bool = False  # whether it can be conditioned on labels
    needs_labels: bool = False  # whether it cannot do without them
