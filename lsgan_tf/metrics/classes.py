"""Scores over what a classifier of the data set's own classes makes of generated images."""

import numpy as np

COVERED = 0.1  # of its share among real images makes a class a covered one


def accuracy(predicted, asked):
    """The share of images whose predicted class is the one they were conditioned on.

    Args:
      predicted, asked: class ids [N].

    Raises:
      ValueError: without images, or if the numbers differ.
    """
    predicted, asked = np.asarray(predicted), np.asarray(asked)
    if not len(predicted) or predicted.shape != asked.shape:
        raise ValueError(f"{predicted.shape} predictions for {asked.shape} labels.")
    return float((predicted == asked).mean())


def histogram(predicted, classes):
    """How many images fall into each class, int64 [classes]."""
    return np.bincount(predicted, minlength=classes)


def covered(real, fake):
    """How many classes the generated images reach.

    A class counts if its share of them is at least a tenth of its share of the real images, so
    that a few images misread by the classifier do not make one. Classes without real images are
    left out.

    Args:
      real, fake: histograms [classes], see `histogram`.
    """
    real, fake = (np.asarray(counts, np.float64) for counts in (real, fake))
    shares = real / real.sum(), fake / fake.sum()
    return int(((shares[0] > 0.0) & (shares[1] >= COVERED * shares[0])).sum())
