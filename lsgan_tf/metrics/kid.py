"""The kernel distance between features: KID (Binkowski et al., ICLR 2018)."""

from typing import NamedTuple

import numpy as np


class KernelDistance(NamedTuple):
    """KID: the mean of MMD^2 over subsets, and its standard deviation between them; None: there is
    one pair of subsets, the whole sets."""

    mean: float
    std: float | None


def kernel_distance(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """KID: the mean of `squared_mmd` over random subsets of both sets.

    Args:
        real: features [N, D].
        fake: features [M, D].
        subsets: how many pairs of subsets.
        subset_size: images in each; all of the smaller set where that has fewer. Sets that are
            used whole make one subset, without a deviation.
        seed: of the choice of subsets.

    Raises:
        ValueError: a set has fewer than two images.
    """
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        return KernelDistance(squared_mmd(real, fake), None)
    rng = np.random.default_rng(seed)
    values = [
        squared_mmd(real[_choice(rng, len(real), size)], fake[_choice(rng, len(fake), size)])
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def _choice(rng, count, size):
    return rng.choice(count, size, replace=False)


def squared_mmd(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of [N, D] and [M, D], under
    the kernel k(x, y) = (x . y / D + 1)^3 (Binkowski et al. 2018, section 4).

    The mean of k over pairs of different members of each set, less twice that over pairs across.

    Raises:
        ValueError: a set has fewer than two images.
    """
    if min(len(one), len(other)) < 2:
        raise ValueError(f"{len(one)} and {len(other)} images; at least 2 of each are needed.")
    one, other = (np.asarray(features, np.float64) for features in (one, other))
    return float(_within(one) + _within(other) - 2.0 * _kernel(one, other).mean())


def _within(features):
    """The mean of k over all pairs of different rows."""
    count = len(features)
    values = _kernel(features, features)
    return (values.sum() - np.trace(values)) / (count * (count - 1))


def _kernel(one, other):
    return (one @ other.T / one.shape[1] + 1.0) ** 3
