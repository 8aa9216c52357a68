"""The Inception score (Salimans et al., NIPS 2016, section 4), of any classifier's posteriors."""

from typing import NamedTuple

import numpy as np

SPLITS = 10


class InceptionScore(NamedTuple):
    """The mean over the splits of a set of images, and the standard deviation between them."""

    mean: float
    std: float


class Posteriors:
    """What the score needs of class posteriors that are seen batch by batch.

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

    def score(self) -> InceptionScore:
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
        return InceptionScore(float(scores.mean()), float(scores.std()))


def inception_score(posteriors: np.ndarray, splits: int = SPLITS) -> InceptionScore:
    """The score of posteriors [N, classes]."""
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
