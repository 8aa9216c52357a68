"""Shuffling without a buffer: any part of a random order of 0 .. n-1, computed from its key alone.

A Feistel network permutes the smallest square power of two that holds n; values outside 0 .. n-1
are permuted again until they fall inside (cycle walking), which leaves a permutation of 0 .. n-1.
Only integer arithmetic and NumPy's SeedSequence are involved, whose results NumPy guarantees, so an
order is the same in every version and on every machine.
"""

import numpy as np

_ROUNDS = 8
_MIN_HALF_BITS = 3  # very short halves mix badly


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
