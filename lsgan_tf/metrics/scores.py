"""All scores of one set of images against another, by name."""

import dataclasses
from typing import Any

from lsgan_tf.metrics import classes, inception
from lsgan_tf.metrics.fid import frechet_distance
from lsgan_tf.metrics.kid import kernel_distance
from lsgan_tf.metrics.neighbours import density_coverage, duplicates, precision_recall


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


def compare(real, fake, extractor, settings, *, asked=None):
    """The scores of `fake` against `real`, both `measuring.Measured`.

    Args:
        extractor: that measured them.
        settings: `Settings`.
        asked: the labels that the images were conditioned on, ids of the classifier's classes, if
            they were and it is one.

    Returns:
        A list of `Score`. The scores of neighbours are left out where there are too few images.
    """
    found = [
        Score("fid", _defined_on(extractor, "FID"), frechet_distance(real.moments, fake.moments)),
        _kid(real, fake, extractor, settings),
    ]
    if fake.inception_score is not None:
        title = "Inception score" if _is_inception(extractor) else "class score"
        mean, std = fake.inception_score
        found.append(Score("inception_score", title, mean, {"std": std}))
    found += _of_neighbours(real.features, fake.features, settings)
    if extractor.network.class_names is not None:
        found += _of_classes(real.predicted, fake.predicted, extractor, asked)
    return found


def _kid(real, fake, extractor, settings):
    distance = kernel_distance(
        real.features,
        fake.features,
        subsets=settings.kid_subsets,
        subset_size=settings.kid_subset_size,
        seed=settings.seed,
    )
    title = _defined_on(extractor, "KID")
    return Score("kid", title, distance.mean, {"std": distance.std})


def _of_neighbours(real, fake, settings):
    if min(len(real), len(fake)) <= max(settings.precision_k, settings.coverage_k):
        return []
    pairs = (
        precision_recall(real, fake, settings.precision_k),
        density_coverage(real, fake, settings.coverage_k),
        duplicates(real, fake, settings.near_quantile),
    )
    return [Score(name, name, value) for pair in pairs for name, value in pair._asdict().items()]


def _of_classes(real, fake, extractor, asked):
    count = len(extractor.network.class_names)
    histograms = [classes.histogram(predicted, count) for predicted in (real, fake)]
    details = {"of": int((histograms[0] > 0).sum()), "histogram": histograms[1].tolist()}
    found = [Score("classes_covered", "classes", classes.covered(*histograms), details)]
    if asked is not None:
        accuracy = classes.accuracy(fake, asked)
        details = {"of_classifier": extractor.network.test_accuracy}
        found.append(Score("class_accuracy", "class accuracy", accuracy, details))
    return found


def _is_inception(extractor):
    return extractor.network.name == inception.NAME


def _defined_on(extractor, title):
    """A score is only called FID or KID on the features that it is defined on."""
    return title if _is_inception(extractor) else f"{title}-{extractor.dimension}"
