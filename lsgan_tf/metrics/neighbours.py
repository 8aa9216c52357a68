"""Scores that compare distances between features with those to nearest neighbours.

All sweep over pairs in blocks, so that memory grows with the number of images and not its square.
Distances are Euclidean. A ball includes its surface: in a set that holds the same image twice,
a radius of zero is a ball all the same.
"""

from typing import NamedTuple

import numpy as np

_BLOCK = 256
_ROUNDING = 1e-12  # of a squared distance, relative to the squared lengths it is a difference of
# A distance that equals a radius may come out a rounding larger, and is inside all the same.
_SURFACE = 1.0 + 1e-9


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]: of generated images that look real, and of real images within reach."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density, 0 or more, about 1 for images like the real ones; coverage, a share in [0, 1]."""

    density: float
    coverage: float


class Duplicates(NamedTuple):
    """Shares in [0, 1]: of generated images nearer to a training image than real ones are to each
    other, and of those that near to another generated image; see `duplicates`."""

    duplicates: float
    repeats: float


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al., NeurIPS 2019, equations 1 and 2).

    Precision is the share of generated images within the ball of a real one, whose radius is the
    distance to its k-th nearest other real image; recall the same with the roles exchanged.

    Args:
        real: features [N, D].
        fake: features [M, D].
        k: which neighbour's distance is the radius.

    Raises:
        ValueError: a set has k images or fewer.
    """
    real, fake = _centred(real, fake)
    real_radii, fake_radii = (radii(features, k) * _SURFACE for features in (real, fake))
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, distances in _blocks(real, fake):
        precise |= (distances <= real_radii[rows, None]).any(axis=0)
        recalled[rows] = (distances <= fake_radii).any(axis=1)
    return PrecisionRecall(float(precise.mean()), float(recalled.mean()))


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al., ICML 2020, equations 3 and 4).

    Density is the mean number of real balls that a generated image lies in, over k; coverage the
    share of real balls that a generated image lies in. Radii are as in `precision_recall`.

    Args:
        real: features [N, D].
        fake: features [M, D].
        k: which neighbour's distance is the radius.

    Raises:
        ValueError: there are k real images or fewer.
    """
    real, fake = _centred(real, fake)
    real_radii = radii(real, k) * _SURFACE
    inside, covered = 0, 0
    for rows, distances in _blocks(real, fake):
        within = distances <= real_radii[rows, None]
        inside += int(within.sum())
        covered += int(within.any(axis=1).sum())
    return DensityCoverage(inside / (k * len(fake)), covered / len(real))


def duplicates(training: np.ndarray, fake: np.ndarray, quantile: float = 0.01) -> Duplicates:
    """How many generated images are copies, of training images or of each other.

    The threshold is the `quantile` of the training images' distances to their nearest other one. A
    generated image within it of a training image is a duplicate, one within it of another generated
    image a repeat. Real images that were not trained on score about `quantile` in both. The measure
    is this project's.

    Args:
        training: features [N, D].
        fake: features [M, D].
        quantile: in [0, 1].

    Raises:
        ValueError: a set has fewer than two images.
    """
    training, fake = _centred(training, fake)
    threshold = np.quantile(radii(training, 1), quantile) * _SURFACE
    smallest = np.full(len(fake), np.inf)
    for _, distances in _blocks(training, fake):
        np.minimum(smallest, distances.min(axis=0), out=smallest)
    is_repeat = radii(fake, 1) <= threshold
    return Duplicates(float((smallest <= threshold).mean()), float(is_repeat.mean()))


def nearest(training: np.ndarray, fake: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest training images of each generated one.

    Returns:
        (numbers int64 [M, k], distances float64 [M, k]), nearest first.

    Raises:
        ValueError: there are fewer than k training images.
    """
    _check_enough(training, k - 1)
    training, fake = _centred(training, fake)
    numbers, distances = np.empty((len(fake), k), np.int64), np.empty((len(fake), k))
    for rows, block in _blocks(fake, training):
        chosen = np.argpartition(block, k - 1, axis=1)[:, :k]
        chosen_distances = np.take_along_axis(block, chosen, axis=1)
        order = np.argsort(chosen_distances, axis=1, kind="stable")
        numbers[rows] = np.take_along_axis(chosen, order, axis=1)
        distances[rows] = np.take_along_axis(chosen_distances, order, axis=1)
    return numbers, distances


def radii(features: np.ndarray, k: int) -> np.ndarray:
    """The distance from each of [N, D] to its k-th nearest other one, float64 [N].

    Raises:
        ValueError: there are k images or fewer.
    """
    _check_enough(features, k)
    kth_distances = np.empty(len(features))
    for rows, distances in _blocks(features, features):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        kth_distances[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return kth_distances


def _check_enough(features, k):
    if len(features) <= k:
        raise ValueError(f"{len(features)} images have no {k} neighbours each; take more.")


def _centred(real, fake):
    """Both moved to the mean of the first: distances stay, and fewer digits cancel in them."""
    real, fake = (np.asarray(features, np.float64) for features in (real, fake))
    centre = real.mean(axis=0)
    return real - centre, fake - centre


def _blocks(ones, others):
    """Yields (slice of rows, distances from these `ones` to all `others`)."""
    ones, others = (np.asarray(features, np.float64) for features in (ones, others))
    lengths = (others**2).sum(axis=1)
    for start in range(0, len(ones), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(ones)))
        block = ones[rows]
        sizes = (block**2).sum(axis=1)[:, None] + lengths
        squares = sizes - 2.0 * (block @ others.T)
        squares[squares < _ROUNDING * sizes] = 0.0
        yield rows, np.sqrt(squares, out=squares)
