"""Mean and covariance of features that are seen batch by batch, in float64."""

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

    def __init__(self, dimension):
        self.count = 0
        self.mean = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))

    @classmethod
    def of(cls, features):
        """The moments of [N, dimension] at once."""
        moments = cls(features.shape[1])
        moments.update(features)
        return moments

    @classmethod
    def restored(cls, count, mean, covariance):
        """What had these attributes."""
        moments = cls(len(mean))
        moments.count, moments.mean = int(count), np.asarray(mean, np.float64)
        moments._scatter = np.asarray(covariance, np.float64) * (moments.count - 1)
        return moments

    def update(self, features):
        """Takes [N, dimension] in."""
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
    def covariance(self):
        """The unbiased covariance, float64 [dimension, dimension].

        Raises:
          ValueError: of fewer than two vectors.
        """
        if self.count < 2:
            raise ValueError(f"{self.count} vectors have no covariance; at least 2 are needed.")
        return self._scatter / (self.count - 1)
