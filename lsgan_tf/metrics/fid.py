"""The Frechet distance between features: FID (Heusel et al., NIPS 2017, section 2)."""

import numpy as np


def frechet_distance(one, other):
    """The squared Frechet distance of two Gaussians with the moments of two sets of features.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2))    (Heusel et al. 2017, equation 6)

    The eigenvalues of C1 C2 are real and not negative. With C = L L^T they are the squares of the
    singular values of L1^T L2, whose sum is therefore the trace of the root: no complex square
    root, and no digits lost where fewer images than features leave most eigenvalues at zero.

    Args:
      one, other: `moments.Moments`.

    Returns:
      A float, 0 or more.

    Raises:
      ValueError: if the lengths of the features differ, or a set has fewer than two images.
    """
    if len(one.mean) != len(other.mean):
        raise ValueError(f"Features of {len(one.mean)} and of {len(other.mean)} numbers.")
    covariances = one.covariance, other.covariance
    factors = [_factor(covariance) for covariance in covariances]
    root = np.linalg.svd(factors[0].T @ factors[1], compute_uv=False).sum()
    shift = one.mean - other.mean
    distance = shift @ shift + sum(map(np.trace, covariances)) - 2.0 * root
    return max(float(distance), 0.0)  # of equal sets rounding leaves about -1e-13


def _factor(covariance):
    """L with L L^T = covariance, which is symmetric and may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    # What is zero comes out as rounding, 1e-16, whose root of 1e-8 would be seen.
    values[values < values[-1] * len(values) * np.finfo(np.float64).eps] = 0.0
    return vectors * np.sqrt(values)
