"""Scores that compare distances between features with those to nearest neighbours.

All sweep over pairs in blocks, so that memory grows with the number of images and not its square.
Distances are Euclidean. A ball includes its surface: in a set that holds the same image twice,
a radius of zero is a ball all the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_BLOCK = 1 << 23  # distances held at once, 64 MiB
_MOST_ROWS = 1024  # of a block
_GROUP = 32  # distances of which the least is compared first
_ROUNDING = 1e-12  # of a squared distance, relative to the squared lengths it is a difference of
# A distance that equals a radius may come out a rounding larger, and is inside all the same.
_SURFACE = 1.0 + 1e-9


class NeighbourScores(NamedTuple):
    """How generated images lie among real ones; shares in [0, 1] but for the density.

    Precision is the share of generated images within the ball of a real one, whose radius is the
    distance to its k-th nearest other real image; recall the same with the roles exchanged
    (Kynkaanniemi et al., NeurIPS 2019, equations 1 and 2).

    Density is the mean number of real balls that a generated image lies in, over k: 0 or more,
    about 1 for images like the real ones. Coverage is the share of real balls that a generated
    image lies in (Naeem et al., ICML 2020, equations 3 and 4).

    Duplicates are generated images nearer to a real one than a threshold, repeats those that near
    to another generated one. The threshold is a quantile of the real images' distances to their
    nearest other one; real images that were not trained on score about that quantile in both.
    These two are this project's.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    duplicates: float
    repeats: float


def compare(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    precision_k: int = 3,
    coverage_k: int = 5,
    near_quantile: float = 0.01,
) -> NeighbourScores:
    """All these scores, by one sweep within each set and one across.

    Args:
        real: features [N, D]; for duplicates, of the training images.
        fake: features [M, D].
        precision_k: which neighbour's distance is the radius, for precision and recall.
        coverage_k: the same for density and coverage.
        near_quantile: of the threshold of duplicates, in [0, 1].

    Raises:
        ValueError: `real` has no more images than either k, or `fake` than `precision_k`.
    """
    real, fake = _centred(real, fake)
    real_distances = nearest_others(real, max(precision_k, coverage_k))
    fake_distances = nearest_others(fake, precision_k)
    precise_ball, covered_ball = (_ball(real_distances, k) for k in (precision_k, coverage_k))
    recalling_ball = _ball(fake_distances, precision_k)
    smallest, precise = np.full(len(fake), np.inf), np.zeros(len(fake), bool)
    recalled, covered, inside = np.empty(len(real), bool), np.empty(len(real), bool), 0
    for rows, squares in _blocks(real, fake):
        np.minimum(smallest, squares.min(axis=0), out=smallest)
        precise |= (squares <= precise_ball[rows, None]).any(axis=0)
        recalled[rows] = (squares <= recalling_ball).any(axis=1)
        within = squares <= covered_ball[rows, None]
        covered[rows] = within.any(axis=1)
        inside += int(np.count_nonzero(within))
    threshold = np.quantile(real_distances[:, 0], near_quantile) * _SURFACE
    return NeighbourScores(
        precision=float(precise.mean()),
        recall=float(recalled.mean()),
        density=inside / (coverage_k * len(fake)),
        coverage=float(covered.mean()),
        duplicates=float((np.sqrt(smallest) <= threshold).mean()),
        repeats=float((fake_distances[:, 0] <= threshold).mean()),
    )


def nearest(training: np.ndarray, fake: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest training images of each generated one.

    Returns:
        (numbers int64 [M, k], distances float64 [M, k]), nearest first.

    Raises:
        ValueError: there are fewer than k training images.
    """
    _check_enough(training, k - 1)
    training, fake = _centred(training, fake)
    numbers, squares = np.empty((len(fake), k), np.int64), np.empty((len(fake), k))
    for rows, block in _blocks(fake, training):
        numbers[rows], squares[rows] = _least(block, k)
    return numbers, np.sqrt(squares)


def nearest_others(features: np.ndarray, k: int) -> np.ndarray:
    """The distances from each of [N, D] to its k nearest other ones, float64 [N, k], nearest first.

    Raises:
        ValueError: there are k images or fewer.
    """
    _check_enough(features, k)
    squares = np.empty((len(features), k))
    for rows, block in _blocks(features):
        _, squares[rows] = _least(block, k)
    return np.sqrt(squares)


def _check_enough(features, k):
    if len(features) <= k:
        raise ValueError(f"{len(features)} images have no {k} neighbours each; take more.")


def _ball(distances, k):
    """The squared radii of the balls whose surface is the k-th neighbour's, [N]."""
    return (distances[:, k - 1] * _SURFACE) ** 2


def _centred(real, fake):
    """Both moved to the mean of the first: distances stay, and fewer digits cancel in them."""
    real, fake = (np.asarray(features, np.float64) for features in (real, fake))
    centre = real.mean(axis=0)
    return real - centre, fake - centre


def _blocks(ones: np.ndarray, others: np.ndarray | None = None) -> Iterator:
    """Yields (slice of rows, squared distances from these `ones` to all `others`).

    The distances are overwritten by the next block. Without `others` they are those from `ones` to
    each other, and infinity to itself.
    """
    ones = np.asarray(ones, np.float64)
    within, others = others is None, ones if others is None else np.asarray(others, np.float64)
    lengths, other_lengths = ((features**2).sum(axis=1) for features in (ones, others))
    # |x - y|^2 = (-2x, |x|^2, 1) . (y, 1, |y|^2): all of it by the matrix product.
    left = np.column_stack([-2.0 * ones, lengths, np.ones(len(ones))])
    right = np.column_stack([others, np.ones(len(others)), other_lengths]).T
    size = min(len(ones), _MOST_ROWS, max(1, _BLOCK // len(others)))
    held = np.empty((size, len(others)))
    for start in range(0, len(ones), size):
        rows = slice(start, min(start + size, len(ones)))
        squares = np.matmul(left[rows], right, out=held[: rows.stop - start])
        if within:
            squares[np.arange(len(squares)), np.arange(start, rows.stop)] = np.inf
        # Hardly ever: where an image is there twice.
        if squares.min() < _ROUNDING * (lengths[rows].max() + other_lengths.max()):
            squares[squares < _ROUNDING * (lengths[rows, None] + other_lengths)] = 0.0
        yield rows, squares


def _least(values, k):
    """(columns, values) of the k least of each row of [b, N], the least first.

    They are within those k groups whose least values are the least, so that few are looked at
    more than once.
    """
    groups = values.shape[1] // _GROUP
    columns = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    if groups > k:
        grouped = values[:, : groups * _GROUP].reshape(len(values), _GROUP, groups)
        chosen = np.argpartition(grouped.min(axis=1), k - 1, axis=1)[:, :k]
        members = chosen[:, None] + groups * np.arange(_GROUP)[:, None]
        members = members.reshape(len(values), -1)
        columns = np.concatenate([members, columns[:, groups * _GROUP :]], axis=1)
    candidates = np.take_along_axis(values, columns, axis=1)
    least = np.argpartition(candidates, k - 1, axis=1)[:, :k]
    order = np.take_along_axis(candidates, least, axis=1).argsort(axis=1, kind="stable")
    columns = np.take_along_axis(columns, np.take_along_axis(least, order, axis=1), axis=1)
    return columns, np.take_along_axis(values, columns, axis=1)
