"""Which examples a step consists of: a pure function of (seed, step). No TensorFlow here."""

import dataclasses
import functools

import numpy as np

from lsgan_tf.datasets import permutation
from lsgan_tf.utils.errors import UserError

_BLOCK = 4096  # examples


@dataclasses.dataclass(frozen=True)
class Stream:
    """The endless order of examples, and how its steps are cut; see `Dataset.batches`."""

    num_examples: int
    seed: int
    step: int
    batch_size: int
    num_slices: int
    slice_offset: int
    slices_per_step: int

    def __post_init__(self):
        if self.batch_size < 1 or self.batch_size % self.num_slices:
            raise UserError(
                f"--batch_size={self.batch_size} cannot be cut into {self.num_slices} equal parts, "
                f"one per replica; take a multiple of {self.num_slices}"
            )
        last = self.slice_offset + self.slices_per_step
        if not 0 <= self.slice_offset < last <= self.num_slices:
            raise ValueError(f"slices {self.slice_offset} to {last} of {self.num_slices}")
        if self.seed < 0:
            raise UserError(f"--seed={self.seed} is negative")

    @property
    def slice_size(self) -> int:
        """Examples in a slice."""
        return self.batch_size // self.num_slices

    def examples(self, number: int) -> np.ndarray:
        """Which examples, int64 [slice_size], are in the `number`-th slice delivered."""
        step, part = divmod(number, self.slices_per_step)
        first = (self.step + step) * self.batch_size
        first += (self.slice_offset + part) * self.slice_size
        positions = np.arange(first, first + self.slice_size)
        epochs, positions = np.divmod(positions, self.num_examples)
        blocks, places = np.divmod(positions, _BLOCK)
        chosen = np.empty_like(positions)
        for epoch, block in set(zip(epochs.tolist(), blocks.tolist(), strict=True)):
            here = (epochs == epoch) & (blocks == block)
            chosen[here] = self._block(epoch, block)[places[here]]
        return chosen

    def _block(self, epoch: int, block: int) -> np.ndarray:
        return _order_block(self.num_examples, self.seed, epoch, block)


@functools.lru_cache(maxsize=16)
def _order_block(num_examples: int, seed: int, epoch: int, block: int) -> np.ndarray:
    """A stretch of an epoch's order: many positions at once cost little more than one."""
    start = block * _BLOCK
    positions = np.arange(start, min(start + _BLOCK, num_examples))
    return permutation.permuted(positions, num_examples, (seed, epoch))
