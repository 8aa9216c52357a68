"""Numbered sets of images; among them a stretch of a data set's fixed random order."""

import abc
import dataclasses
from collections.abc import Iterator

import numpy as np

from lsgan_tf.datasets.dataset import Dataset


class Numbered(abc.ABC):
    """Images 0 .. `count` - 1, to be had by number."""

    count: int

    @abc.abstractmethod
    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images of these numbers, uint8 [b, H, W, C], and labels, int32 [b] or None."""

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """All of them in turn, `size` at a time; the last batch may be smaller."""
        for first in range(0, self.count, size):
            yield self.at(np.arange(first, min(first + size, self.count)))


@dataclasses.dataclass(frozen=True)
class Part(Numbered):
    """The images at positions `start` to `stop` of `Dataset.in_order`; to its end by default."""

    dataset: Dataset
    start: int = 0
    stop: int | None = None

    def __post_init__(self):
        if self.stop is None:
            object.__setattr__(self, "stop", self.dataset.num_examples)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.stop - self.start

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """These of 0 .. count - 1: uint8 images [b, H, W, C], int32 labels [b] or None.

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        return self.dataset.examples(self.dataset.in_order(self.start + np.asarray(numbers)))
