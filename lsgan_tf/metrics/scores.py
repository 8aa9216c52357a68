"""All scores of one set of images against another, by name."""

import dataclasses
from typing import Any

import numpy as np

from lsgan_tf.metrics import inception, neighbours
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.fid import frechet_distance
from lsgan_tf.metrics.kid import kernel_distance
from lsgan_tf.metrics.measurements import Measured

_COVERED = 0.1  # a class is covered from this share of its share among real images on


@dataclasses.dataclass(frozen=True)
class Settings:
    """The numbers in the definitions of the scores, and how many images they are taken over."""

    images: int = 50_000  # generated, and real ones if there are so many
    neighbours: int = 10_000  # of each, in the scores that compare pairs
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    precision_k: int = 3
    coverage_k: int = 5
    near_quantile: float = 0.01
    seed: int = 0  # of latents and subsets


@dataclasses.dataclass(frozen=True)
class Score:
    """A number with its name."""

    name: str  # a key of BETTER
    title: str  # for people; names the features where they are not those it is defined on
    value: float
    details: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON values


def compare(
    real: Measured,
    fake: Measured,
    extractor: Extractor,
    settings: Settings,
    *,
    asked: np.ndarray | None = None,
) -> list[Score]:
    """Scores `fake` against `real`. The scores of neighbours are left out of too few images.

    Args:
        real: what was measured of the real images.
        fake: what was measured of the images to score.
        extractor: the extractor that measured both.
        settings: the numbers in the definitions.
        asked: the labels that the images were conditioned on, ids [N] of the classifier's classes;
            None if they were not, or if the extractor is no classifier.
    """
    fid = frechet_distance(real.moments, fake.moments)
    kid = kernel_distance(
        real.features,
        fake.features,
        subsets=settings.kid_subsets,
        subset_size=settings.kid_subset_size,
        seed=settings.seed,
    )
    spread = {} if kid.std is None else {"std": kid.std}
    scores = [
        Score("fid", _defined_on(extractor, "FID"), fid),
        Score("kid", _defined_on(extractor, "KID"), kid.mean, spread),
    ]
    if fake.inception_score is not None:
        title = "Inception score" if _is_inception(extractor) else "class score"
        mean, std = fake.inception_score
        scores.append(Score("inception_score", title, mean, {"std": std}))
    near = _compare_neighbours(real.features, fake.features, settings)
    scores += [Score(name, name, value) for name, value in (near._asdict() if near else {}).items()]
    if real.labels is not None and fake.labels is not None:
        scores += _compare_within_classes(real, fake, settings)
    if extractor.network.class_names is not None:
        scores += _compare_classes(real.predicted, fake.predicted, extractor, asked)
    return scores


def _compare_neighbours(real, fake, settings):
    """The `NeighbourScores`; None of too few images."""
    if min(len(real), len(fake)) <= max(settings.precision_k, settings.coverage_k):
        return None
    return neighbours.compare(
        real,
        fake,
        precision_k=settings.precision_k,
        coverage_k=settings.coverage_k,
        near_quantile=settings.near_quantile,
    )


def _compare_within_classes(real, fake, settings):
    """Recall and coverage of each class by itself, the mean over classes: a generator that draws
    the same picture for a label has neither, however well it hits the class."""
    values = []
    for label in np.unique(real.labels):
        pair = [one.features[one.labels[: len(one.features)] == label] for one in (real, fake)]
        if near := _compare_neighbours(*pair, settings):
            values.append((near.recall, near.coverage))
    if not values:
        return []
    recall, coverage = np.mean(values, axis=0)
    details = {"classes": len(values)}
    return [
        Score("class_recall", "class recall", float(recall), details),
        Score("class_coverage", "class coverage", float(coverage), details),
    ]


def _compare_classes(real, fake, extractor, asked):
    count = len(extractor.network.class_names)
    histograms = [class_histogram(predicted, count) for predicted in (real, fake)]
    details = {"of": int((histograms[0] > 0).sum()), "histogram": histograms[1].tolist()}
    scores = [Score("classes_covered", "classes", classes_covered(*histograms), details)]
    if asked is not None:
        accuracy = class_accuracy(fake, asked)
        details = {"of_classifier": extractor.network.test_accuracy}
        scores.append(Score("class_accuracy", "class accuracy", accuracy, details))
    return scores


def _is_inception(extractor):
    return extractor.network.name == inception.NAME


def _defined_on(extractor, title):
    """A score is only called FID or KID on the features that it is defined on."""
    return title if _is_inception(extractor) else f"{title}-{extractor.dimension}"


def class_accuracy(predicted: np.ndarray, asked: np.ndarray) -> float:
    """The share of images whose predicted class is the one they were conditioned on.

    Args:
        predicted: class ids [N].
        asked: class ids [N].

    Raises:
        ValueError: there are no images, or the lengths differ.
    """
    predicted, asked = np.asarray(predicted), np.asarray(asked)
    if not len(predicted) or predicted.shape != asked.shape:
        raise ValueError(f"{predicted.shape} predictions for {asked.shape} labels.")
    return float((predicted == asked).mean())


def class_histogram(predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images fall into each class, int64 [classes]."""
    return np.bincount(predicted, minlength=classes)


def classes_covered(real: np.ndarray, fake: np.ndarray) -> int:
    """How many classes the generated images reach.

    A class counts if its share of them is at least a tenth of its share of the real images, so
    that a few images misread by the classifier do not make one. Classes without real images are
    left out.

    Args:
        real: histogram [classes], see `class_histogram`.
        fake: histogram [classes].
    """
    real, fake = (np.asarray(counts, np.float64) for counts in (real, fake))
    shares = real / real.sum(), fake / fake.sum()
    return int(((shares[0] > 0.0) & (shares[1] >= _COVERED * shares[0])).sum())
