"""Scores real images with known distortions, to show which scores react to which.

    python -m tools.score_distortions --dataset=fashion_mnist --features=classifier --images=2000

Scores the test split against the training split, which gives the best values to expect, then
distorted versions of it: blurred, noisy, without three classes, a hundred images repeated, one
image repeated; and the training images themselves, which stand for a generator that memorises.
Prints a table in Markdown. A score that must get worse is marked with + if it does, with ! if not.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import flags
from PIL import Image, ImageFilter

from lsgan_tf.datasets.dataset import Numbered
from lsgan_tf.utils import command_line
from lsgan_tf.utils.score_directions import BETTER

_BLUR = 1.0  # pixels, of a Gaussian
_NOISE = 25.0  # standard deviation, grey levels
_DROPPED = 3  # classes
_DISTINCT = 100  # images that are repeated
# The scores that must get worse where images are distorted, classes missing, few images repeated.
_BAD = (
    *("fid", "kid", "inception_score", "precision", "recall", "density", "coverage"),
    "class_accuracy",
)
_FEW_CLASSES = ("fid", "kid", "inception_score", "recall", "coverage", "classes_covered")
_REPEATED = ("fid", "kid", "recall", "coverage", "repeats")
_COLLAPSED = (*_REPEATED, "inception_score", "classes_covered")


class Version(NamedTuple):
    """A distorted version of a split: which images, how distorted, which scores must get worse."""

    name: str
    numbers: Callable[["Labelled"], np.ndarray]
    spoil: Callable[[np.ndarray], np.ndarray]
    worse: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A `Part` and all its labels."""

    part: Numbered
    labels: np.ndarray | None


class Chosen(Numbered):
    """Chosen images of a part, distorted, for `Evaluator.images`."""

    def __init__(
        self, part: Numbered, numbers: np.ndarray, spoil: Callable[[np.ndarray], np.ndarray]
    ):
        self.count = len(numbers)
        self._part, self._numbers, self._spoil = part, numbers, spoil

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images and labels at these places among the chosen ones."""
        images, labels = self._part.at(self._numbers[numbers])
        return self._spoil(images), labels


def _all(labelled):
    return np.arange(labelled.part.count)


def _first(count, labelled):
    return np.arange(labelled.part.count) % count


def _without_classes(labelled):
    return np.flatnonzero(labelled.labels >= _DROPPED)


def _same(images):
    return images


def _blurred(images):
    return _map(lambda image: image.filter(ImageFilter.GaussianBlur(_BLUR)), images)


def _noisy(images):
    rng = np.random.default_rng(int(images.astype(np.int64).sum()))  # the same for the same images
    return np.rint(images + rng.normal(0.0, _NOISE, images.shape)).clip(0, 255).astype(np.uint8)


def _map(function, images):
    """Applies a function of a Pillow image to uint8 [N, H, W, 1 or 3]."""
    pillow = [
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image) for image in images
    ]
    return np.stack([np.asarray(function(image)) for image in pillow]).reshape(images.shape)


VERSIONS = (
    Version("blurred", _all, _blurred, _BAD),
    Version("noisy", _all, _noisy, _BAD),
    Version("without three classes", _without_classes, _same, _FEW_CLASSES),
    Version("100 images repeated", functools.partial(_first, _DISTINCT), _same, _REPEATED),
    Version("one image repeated", functools.partial(_first, 1), _same, _COLLAPSED),
)
_MEMORISED = ("duplicates",)


def table(evaluator, data):
    """Scores all versions.

    Args:
        evaluator: a `metrics.evaluator.Evaluator`.
        data: its `RealImages`.

    Returns:
        The lines of a table in Markdown, a row per version.
    """
    floor, fake = evaluator.score_test_split()
    rows = [("real: " + data.test_split, floor, ())]
    labelled = Labelled(data.test, fake.labels)
    for version in VERSIONS:
        if version.numbers is _without_classes and labelled.labels is None:
            continue
        chosen = Chosen(data.test, version.numbers(labelled), version.spoil)
        rows.append((version.name, evaluator.score(chosen, version.name)[0], version.worse))
    memorised, _ = evaluator.score(data.reference, "training images")
    rows.append(("the training images", memorised, _MEMORISED))
    titles = [score.title for score in floor]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    return lines + [_row(name, scores, worse, floor) for name, scores, worse in rows]


def _row(name, scores, worse, floor):
    cells = [
        _cell(score, score.name in worse, best) for score, best in zip(scores, floor, strict=True)
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(score, must_be_worse, floor):
    mark = ""
    if must_be_worse:
        mark = " +" if (score.value - floor.value) * BETTER[score.name] < 0.0 else " !"
    return f"{score.value:.4g}{mark}"


def main() -> None:
    values = flags.FLAGS
    command_line.start_tensorflow()
    from lsgan_tf import datasets
    from lsgan_tf.metrics import evaluator
    from lsgan_tf.metrics.features import Choice
    from lsgan_tf.metrics.scores import Settings

    choice = Choice(values.features, features_dtype=values.features_dtype, data_dir=values.data_dir)
    data = evaluator.Data.of_floor(
        datasets.load(values.dataset, values.data_dir),
        datasets.test_split(values.dataset, values.data_dir),
        values.images,
    )
    evaluator = evaluator.Evaluator(choice, Settings(images=values.images), data)
    print(
        f"{values.dataset}: {data.test.count} images of {data.test_split} against "
        f"{data.reference.count} of {data.reference_split}, features of "
        f"{evaluator.extractor.network.name}, {values.features_dtype}\n"
    )
    print("\n".join(table(evaluator, data)))


if __name__ == "__main__":
    flags.DEFINE_string("dataset", None, "a data set, as of train", required=True)
    flags.DEFINE_string("data_dir", "data", "where it is")
    flags.DEFINE_string("features", "classifier", "as of lsgan_tf.evaluate")
    flags.DEFINE_enum("features_dtype", "float32", ["float32", "bfloat16"], "as of evaluate")
    flags.DEFINE_integer("images", 10_000, "of each kind, if there are so many", 2)
    command_line.run(main)
