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
    count, other_count = len(one), len(other)
    both = np.concatenate([one, other]).astype(np.float64)
    # x . y / D + 1 of all pairs in one product, which is symmetric: half of it is computed.
    vectors = np.column_stack([both / np.sqrt(both.shape[1]), np.ones(len(both))])
    kernel = vectors @ vectors.T
    np.fill_diagonal(kernel, 0.0)
    within = _sum_of_cubes(kernel[:count, :count]) / (count * (count - 1))
    within_other = _sum_of_cubes(kernel[count:, count:]) / (other_count * (other_count - 1))
    across = _sum_of_cubes(kernel[:count, count:]) / (count * other_count)
    return float(within + within_other - 2.0 * across)


def _sum_of_cubes(values):
    """Row by row, so that few digits are lost; a power of 3 would take longer by far."""
    return np.einsum("ij,ij,ij->i", values, values, values).sum()
