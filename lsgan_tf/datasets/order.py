"""The order of examples: which ones a step consists of, as a pure function of (seed, step).

Shuffling needs no buffer: any stretch of a random order of 0 .. n-1 is computed from its key alone.
A Feistel network permutes the smallest square power of two that holds n; values outside 0 .. n-1
are permuted again until they fall inside (cycle walking), which leaves a permutation of 0 .. n-1.
Only integer arithmetic and NumPy's SeedSequence are involved, whose results NumPy guarantees, so an
order is the same in every version and on every machine. No TensorFlow here.
"""

import dataclasses
import functools

import numpy as np

from lsgan_tf.utils.errors import UserError

_BLOCK = 4096  # examples
_ROUNDS = 8
_MIN_HALF_BITS = 3  # very short halves mix badly
_OF_MIRRORS = 1  # spawn key: draws that are independent of the order
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's step from one state to the next


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
        epochs, positions = np.divmod(self._positions(number), self.num_examples)
        blocks, places = np.divmod(positions, _BLOCK)
        examples = np.empty_like(positions)
        for epoch, block in set(zip(epochs.tolist(), blocks.tolist(), strict=True)):
            inside = (epochs == epoch) & (blocks == block)
            order = _order_block(self.num_examples, self.seed, epoch, block)
            examples[inside] = order[places[inside]]
        return examples

    def mirrored(self, number: int) -> np.ndarray:
        """Which of these are flipped, bool [slice_size]: a fair coin for each position, of its own.

        The coin of a position is the top bit of SplitMix64, so each epoch flips other examples.
        """
        seed = np.random.SeedSequence(self.seed, spawn_key=(_OF_MIRRORS,))
        positions = self._positions(number).astype(np.uint64)
        draws = _mixed(seed.generate_state(1, np.uint64) + positions * _GOLDEN_GAMMA)
        return draws >> np.uint64(63) == 1

    def _positions(self, number):
        """The positions in the endless stream, int64 [slice_size], of a slice delivered."""
        step, slice_number = divmod(number, self.slices_per_step)
        first = (self.step + step) * self.batch_size
        first += (self.slice_offset + slice_number) * self.slice_size
        return np.arange(first, first + self.slice_size)


@functools.lru_cache(maxsize=16)
def _order_block(num_examples: int, seed: int, epoch: int, block: int) -> np.ndarray:
    """A stretch of an epoch's order: many positions at once cost little more than one."""
    start = block * _BLOCK
    positions = np.arange(start, min(start + _BLOCK, num_examples))
    return permuted(positions, num_examples, (seed, epoch))


def permuted(positions: np.ndarray, n: int, key: tuple[int, ...]) -> np.ndarray:
    """The elements at `positions` of the random order of 0 .. n-1 that belongs to `key`.

    Args:
        positions: int64 [k], each in 0 .. n-1.
        n: how many elements are shuffled.
        key: non-negative integers, e.g. (seed, epoch).

    Returns:
        int64 [k]. Distinct positions give distinct elements.
    """
    half_bits = np.uint64(max(_MIN_HALF_BITS, -(-(n - 1).bit_length() // 2)))
    round_keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64)
    elements = _feistel(positions.astype(np.uint64), half_bits, round_keys)
    while (outside := np.flatnonzero(elements >= n)).size:
        elements[outside] = _feistel(elements[outside], half_bits, round_keys)
    return elements.astype(np.int64)


def _feistel(values: np.ndarray, half_bits: np.uint64, round_keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & mask
    for round_key in round_keys:
        left, right = right, left ^ (_mixed(right ^ round_key) & mask)
    return left << half_bits | right


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64: every bit of the result depends on every bit of x."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
