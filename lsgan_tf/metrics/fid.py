"""The Frechet distance between features: FID (Heusel et al., NIPS 2017, section 2)."""

import numpy as np


class Moments:
    """The running mean and covariance of vectors; memory depends on their length alone.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1983, "Algorithms for
    computing the sample variance"), which loses no digits where the mean is far from zero.

    Args:
        dimension: length of the vectors.

    Attributes:
        count: vectors seen.
        mean: float64 [dimension].
    """

    def __init__(self, dimension: int):
        self.count = 0
        self.mean = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))

    @classmethod
    def of(cls, features: np.ndarray) -> "Moments":
        """The moments of features [N, dimension]."""
        moments = cls(features.shape[1])
        moments.update(features)
        return moments

    @classmethod
    def restored(cls, count: int, mean: np.ndarray, covariance: np.ndarray) -> "Moments":
        """The moments with these attributes."""
        moments = cls(len(mean))
        moments.count, moments.mean = int(count), np.asarray(mean, np.float64)
        moments._scatter = np.asarray(covariance, np.float64) * (moments.count - 1)
        return moments

    def update(self, features: np.ndarray) -> None:
        """Adds features [N, dimension]."""
        batch = np.asarray(features, np.float64)
        if not len(batch):
            return
        mean = batch.mean(axis=0)
        centred = batch - mean
        shift = mean - self.mean
        count = self.count + len(batch)
        self._scatter += centred.T @ centred
        self._scatter += np.outer(shift, shift) * (self.count * len(batch) / count)
        self.mean = self.mean + shift * (len(batch) / count)
        self.count = count

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, float64 [dimension, dimension].

        Raises:
            ValueError: fewer than two vectors were seen.
        """
        if self.count < 2:
            raise ValueError(f"{self.count} vectors have no covariance; at least 2 are needed.")
        return self._scatter / (self.count - 1)


def frechet_distance(one: Moments, other: Moments) -> float:
    """The squared Frechet distance of two Gaussians with the moments of two sets of features.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2))    (Heusel et al. 2017, equation 6)

    The eigenvalues of C1 C2 are real and not negative. With C = L L^T they are the squares of the
    singular values of L1^T L2, whose sum is therefore the trace of the root: no complex square
    root, and no digits lost where fewer images than features leave most eigenvalues at zero.

    Args:
        one: moments of the features of one set of images.
        other: those of the other set.

    Returns:
        0 or more.

    Raises:
        ValueError: the lengths of the features differ, or a set has fewer than two images.
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
    # Rounding turns a zero eigenvalue into 1e-16, whose root of 1e-8 would show in the distance.
    values[values < values[-1] * len(values) * np.finfo(np.float64).eps] = 0.0
    return vectors * np.sqrt(values)
