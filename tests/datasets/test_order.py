"""The random order of examples: a permutation that depends on its key alone."""

import numpy as np
import pytest

from lsgan_tf.datasets.order import Stream, permuted


@pytest.mark.parametrize("n", [1, 2, 3, 10, 64, 65, 1000, 60_000])
def test_every_element_comes_once(n):
    assert sorted(permuted(np.arange(n), n, (7, 3)).tolist()) == list(range(n))


def test_some_positions_give_what_they_have_in_the_whole_order():
    whole = permuted(np.arange(1000), 1000, (1, 2))
    assert np.array_equal(permuted(np.array([999, 0, 500]), 1000, (1, 2)), whole[[999, 0, 500]])


def test_keys_give_different_orders():
    orders = {tuple(permuted(np.arange(100), 100, key)) for key in [(0, 0), (0, 1), (1, 0), (5, 5)]}
    assert len(orders) == 4


def test_an_order_never_changes():
    # Recorded once: a run is resumed in the order in which it was begun, whatever the version.
    assert permuted(np.arange(10), 10, (2017, 0)).tolist() == [6, 8, 3, 0, 7, 5, 1, 2, 4, 9]
    stream = Stream(100, 2017, 0, 10, 1, 0, 1)
    assert np.flatnonzero(stream.mirrored(0)).tolist() == [0, 1, 2, 4, 6, 8]


def test_places_are_uniform():
    n, keys = 7, 700
    counts = np.zeros((n, n))
    for key in range(keys):
        counts[np.arange(n), permuted(np.arange(n), n, (key,))] += 1
    chi_square = ((counts - keys / n) ** 2 / (keys / n)).sum()
    # 36 degrees of freedom: 1 in 10,000 exceeds 77.
    assert chi_square < 77


def test_neighbours_are_not_correlated():
    order = permuted(np.arange(10_000), 10_000, (3, 1))
    correlation = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(correlation) < 0.04  # four standard deviations
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.04
