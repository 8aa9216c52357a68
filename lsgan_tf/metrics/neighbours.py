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


def precision_recall(real, fake, k=3):
    """Improved precision and recall (Kynkaanniemi et al., NeurIPS 2019, equations 1 and 2).

    Precision is the share of generated images within the ball of a real one, whose radius is the
    distance to its k-th nearest other real image; recall the same with the roles exchanged.

    Args:
      real, fake: features [N, D] and [M, D].

    Raises:
      ValueError: if a set has k images or fewer.
    """
    real, fake = _centred(real, fake)
    real_radii, fake_radii = (radii(features, k) * _SURFACE for features in (real, fake))
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, distances in _blocks(real, fake):
        precise |= (distances <= real_radii[rows, None]).any(axis=0)
        recalled[rows] = (distances <= fake_radii).any(axis=1)
    return PrecisionRecall(float(precise.mean()), float(recalled.mean()))


def density_coverage(real, fake, k=5):
    """Density and coverage (Naeem et al., ICML 2020, equations 3 and 4).

    Density is the mean number of real balls that a generated image lies in, over k; coverage the
    share of real balls that a generated image lies in. Radii are as in `precision_recall`.

    Args:
      real, fake: features [N, D] and [M, D].

    Raises:
      ValueError: if there are k real images or fewer.
    """
    real, fake = _centred(real, fake)
    real_radii = radii(real, k) * _SURFACE
    inside, covered = 0, 0
    for rows, distances in _blocks(real, fake):
        within = distances <= real_radii[rows, None]
        inside += int(within.sum())
        covered += int(within.any(axis=1).sum())
    return DensityCoverage(inside / (k * len(fake)), covered / len(real))


def duplicates(training, fake, quantile=0.01):
    """How many generated images are copies, of training images or of each other.

    Near is what only this share of training images is to its nearest other one. A generated image
    that near to a training image counts as a duplicate, one that near to another generated image
    as a repeat. Real images that were not trained on score about `quantile` in both; the measure
    is this project's.

    Args:
      training, fake: features [N, D] and [M, D].

    Raises:
      ValueError: if a set has fewer than two images.
    """
    training, fake = _centred(training, fake)
    near = np.quantile(radii(training, 1), quantile) * _SURFACE
    nearest = np.full(len(fake), np.inf)
    for _, distances in _blocks(training, fake):
        np.minimum(nearest, distances.min(axis=0), out=nearest)
    return Duplicates(float((nearest <= near).mean()), float((radii(fake, 1) <= near).mean()))


def nearest(training, fake, k):
    """The k nearest training images of each generated one.

    Returns:
      (numbers int64 [M, k], distances float64 [M, k]), nearest first.

    Raises:
      ValueError: if there are fewer than k training images.
    """
    _check_enough(training, k - 1)
    training, fake = _centred(training, fake)
    numbers, distances = np.empty((len(fake), k), np.int64), np.empty((len(fake), k))
    for rows, block in _blocks(fake, training):
        chosen = np.argpartition(block, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(block, chosen, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        numbers[rows] = np.take_along_axis(chosen, order, axis=1)
        distances[rows] = np.take_along_axis(found, order, axis=1)
    return numbers, distances


def radii(features, k):
    """The distance from each of [N, D] to its k-th nearest other one, float64 [N].

    Raises:
      ValueError: if there are k or fewer.
    """
    _check_enough(features, k)
    found = np.empty(len(features))
    for rows, distances in _blocks(features, features):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        found[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return found


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
