"""Scores of whole distributions: FID and KID of features, the Inception score of posteriors."""

from typing import NamedTuple

import numpy as np

SPLITS = 10  # of the images, in the Inception score


class MeanStd(NamedTuple):
    """A score over several parts of the images: its mean and its standard deviation."""

    mean: float
    std: float


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
    """FID (Heusel et al., NIPS 2017, section 2): the squared Frechet distance of two Gaussians with
    the moments of two sets of features.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2))    (equation 6)

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


def kernel_distance(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> MeanStd:
    """KID (Binkowski et al., ICLR 2018): `squared_mmd` over random subsets of both sets.

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
        return MeanStd(squared_mmd(real, fake), 0.0)
    rng = np.random.default_rng(seed)
    values = [
        squared_mmd(real[_choice(rng, len(real), size)], fake[_choice(rng, len(fake), size)])
        for _ in range(subsets)
    ]
    return MeanStd(float(np.mean(values)), float(np.std(values)))


def _choice(rng, count, size):
    return rng.choice(count, size, replace=False)


def squared_mmd(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of [N, D] and [M, D], under
    the kernel k(x, y) = (x . y / D + 1)^3 (section 4).

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


class Posteriors:
    """What the Inception score (Salimans et al., NIPS 2016, section 4) needs of posteriors that are
    seen batch by batch, those of any classifier.

    Split s of S holds images floor(s N / S) to floor((s + 1) N / S), the last one excluded, as in
    the authors' code.

    Args:
        count: N, how many images there will be.
        classes: number of classes of the classifier.
        splits: equal parts of the images, at most as many as there are images.
    """

    def __init__(self, count: int, classes: int, splits: int = SPLITS):
        self._count = count
        self._splits = min(splits, count)
        self._seen = 0
        self._images = np.zeros(self._splits)
        self._sums = np.zeros((self._splits, classes))
        self._negative_entropies = np.zeros(self._splits)

    def update(self, posteriors: np.ndarray) -> None:
        """Adds posteriors [b, classes], rows that sum to one."""
        posteriors = np.asarray(posteriors, np.float64)
        ends = self._seen + np.arange(1, len(posteriors) + 1)
        split = (ends * self._splits - 1) // self._count
        np.add.at(self._images, split, 1.0)
        np.add.at(self._sums, split, posteriors)
        np.add.at(self._negative_entropies, split, _p_log_p(posteriors).sum(axis=1))
        self._seen += len(posteriors)

    def score(self) -> MeanStd:
        """exp(E[KL(p(y|x) || p(y))]) over each split: its mean and standard deviation.

        E[KL] is the entropy of the mean posterior less the mean entropy of the posteriors.

        Raises:
            ValueError: not all images were seen.
        """
        if self._seen != self._count:
            raise ValueError(f"{self._seen} of {self._count} images were seen.")
        marginals = self._sums / self._images[:, None]
        divergence = self._negative_entropies / self._images - _p_log_p(marginals).sum(axis=1)
        scores = np.exp(divergence)
        return MeanStd(float(scores.mean()), float(scores.std()))


def inception_score(posteriors: np.ndarray, splits: int = SPLITS) -> MeanStd:
    """The Inception score of posteriors [N, classes]."""
    seen = Posteriors(*posteriors.shape, splits)
    seen.update(posteriors)
    return seen.score()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Logits [N, classes] -> posteriors, float64 [N, classes]."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _p_log_p(p):
    """p log p, 0 at 0."""
    return p * np.log(np.where(p > 0.0, p, 1.0))
