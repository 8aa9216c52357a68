"""Scores of a generator against real images, with the protocol beside each number."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsgan_tf.datasets.dataset import Dataset, Numbered, Part
from lsgan_tf.metrics.extractor import BATCH_SIZE, Extractor
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.measurements import Measured, measure, measure_real
from lsgan_tf.metrics.scores import Score, Settings, compare
from lsgan_tf.utils.errors import UserError

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


@dataclasses.dataclass(frozen=True, eq=False)
class RealImages:
    """The real images that scores are taken against, and those whose scores are the floor."""

    reference: Part
    reference_split: str
    test: Part
    test_split: str

    @classmethod
    def of_generators(cls, dataset: Dataset, images: int) -> "RealImages":
        """The reference for generated images: the training split, or so many of its images."""
        part = Part(dataset, 0, min(images, dataset.num_examples))
        return cls(part, "train", part, "train")

    @classmethod
    def of_floor(cls, dataset: Dataset, test: Dataset | None, images: int) -> "RealImages":
        """The test split against the training split; without one, half of the training split
        against the other half, in its fixed random order."""
        if test is not None:
            parts = (dataset, 0, dataset.num_examples), (test, 0, test.num_examples)
            names = "train", "test"
        else:
            half = dataset.num_examples // 2
            parts = (dataset, 0, half), (dataset, half, dataset.num_examples)
            # Of few images the reference is the one of generators, and has its name.
            names = "train" if images <= half else "train, first half", "train, second half"
        cut = [Part(of, start, min(stop, start + images)) for of, start, stop in parts]
        return cls(cut[0], names[0], cut[1], names[1])


class Evaluator:
    """Scores any number of sets of images against real ones, which are measured once.

    Args:
        choice: which features.
        settings: the numbers in the definitions of the scores.
        data: the real images.
        strategy: a strategy whose replicas share the work; None: one device.
        batch_size: images at a time, on each replica.
        stop: asked between batches whether to give up.

    Attributes:
        settings: as given.
        extractor: what turns images into features.

    Raises:
        UserError: the network is not available or does not take the images.
    """

    def __init__(
        self,
        choice: Choice,
        settings: Settings,
        data: RealImages,
        *,
        strategy: tf.distribute.Strategy | None = None,
        batch_size: int = BATCH_SIZE,
        stop: Callable[[], bool] = lambda: False,
    ):
        self.settings = settings
        self._data, self._stop = data, stop
        self._cache = Path(choice.data_dir) / "reference"
        dataset = data.reference.dataset
        with _float32(), strategy.scope() if strategy else contextlib.nullcontext():
            network = choice.load(dataset.name)
        self.extractor = Extractor(
            network,
            dataset.image_shape,
            batch_size=batch_size,
            dtype=choice.features_dtype,
            strategy=strategy,
        )
        if network.trained_on not in (None, dataset.fingerprint):
            print(f"warning: the {network.name} was trained on other data than {dataset.name} is.")
        if self.extractor.repeats_grey:
            print(f"grey images: repeated in three channels for --features={network.name}")

    def measure_reference(self) -> Measured:
        """Measures the real images, or reads what was measured of them before.

        Raises:
            GivenUp: `stop` said so.
            UserError: a record is damaged, or a feature is not finite.
        """
        return self.reference

    @functools.cached_property
    def reference(self) -> Measured:
        """What was measured of the real images; measured at the first use."""
        return measure_real(
            self.extractor,
            self._data.reference,
            split=self._data.reference_split,
            keep=self.settings.neighbours,
            directory=self._cache,
            stop=self._stop,
        )

    def score_test_split(self) -> tuple[list[Score], Measured]:
        """Scores the real images of the test split: what a perfect generator would get.

        Returns:
            (the scores, what was measured of the test split).
        """
        return self.score(self._data.test, f"real images ({self._data.test_split})")

    def score(self, images: Numbered, what: str) -> tuple[list[Score], Measured]:
        """Scores any set of images; its labels, if it has some, are the reference's.

        Args:
            images: the set.
            what: a name for them in messages.

        Returns:
            (the scores, what was measured of the images).

        Raises:
            GivenUp: `stop` said so.
            UserError: there are fewer than two images, or a feature is not finite.
        """
        self.measure_reference()
        keep = self.settings.neighbours
        fake = measure(self.extractor, images, keep=keep, what=what, stop=self._stop)
        self._warn_of_few(fake)
        asked = None if fake.labels is None else self._in_classifier(fake.labels)
        return compare(self.reference, fake, self.extractor, self.settings, asked=asked), fake

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes of the reference; None if it has no labels."""
        return self._data.reference.dataset.class_names

    def classifies(self) -> bool:
        """Whether the network is a classifier of the reference's classes."""
        known = self.extractor.network.class_names
        return None not in (known, self.class_names) and set(known) >= set(self.class_names)

    def reference_images(self, numbers: np.ndarray) -> np.ndarray:
        """Images of the reference, uint8 [b, H, W, C]."""
        return self._data.reference.at(numbers)[0]

    def _warn_of_few(self, fake):
        for name, measured in (("real", self.reference), ("scored", fake)):
            if measured.count <= self.extractor.dimension:
                print(
                    f"warning: {measured.count} {name} images for {self.extractor.dimension} "
                    "features: their covariance is singular, and FID says little. Take more."
                )

    def labels_for(self, class_names: tuple[str, ...], count: int) -> np.ndarray:
        """Labels int [count] to ask a conditional generator for.

        Image i has the label of the reference's image i, so that classes come as often as among
        the real ones.

        Raises:
            UserError: the classes are not those of the reference.
        """
        if self.class_names != tuple(class_names):
            raise UserError(
                f"data set {self._data.reference.dataset.name} has other classes now than the run "
                "was trained with; its labels cannot be drawn from it."
            )
        return self.reference.labels[np.arange(count) % len(self.reference.labels)]

    def _in_classifier(self, labels):
        """Labels as ids of the network's classes, found by name; None if it has not all of them."""
        if not self.classifies():
            return None
        known = {name: index for index, name in enumerate(self.extractor.network.class_names)}
        return np.array([known[name] for name in self.class_names])[labels]

    def protocol(self) -> dict[str, Any]:
        """What the scores depend on, as JSON values."""
        network, part = self.extractor.network, self._data.reference
        settings = dataclasses.asdict(self.settings)
        return {
            "extractor": {
                "name": network.name,
                "sha256": network.sha256,
                "resize": network.resize,
                "dtype": self.extractor.dtype,
                "dimension": self.extractor.dimension,
                "grey_repeated": self.extractor.repeats_grey,
                "test_accuracy": network.test_accuracy,
            },
            "reference": {
                "dataset": part.dataset.name,
                "fingerprint": part.dataset.fingerprint,
                "split": self._data.reference_split,
                "images": part.count,
                "image_shape": list(part.dataset.image_shape),
            },
            # `images` is the `count` of a score, which may be smaller.
            "settings": {name: value for name, value in settings.items() if name != "images"},
        }


@contextlib.contextmanager
def _float32():
    """Keeps the dtype policy of a training run from networks that are loaded within."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def score_lines(
    scores: list[Score],
    protocol: dict[str, Any],
    *,
    step: int | None,
    images: str,
    count: int,
    weights: str | None,
    generator_dtype: str | None = None,
    by: str = "evaluate",
) -> list[dict[str, Any]]:
    """The lines of scores.jsonl: one for each score, with the whole protocol.

    Args:
        scores: the scores of one set of images.
        protocol: what they depend on, see `Evaluator.protocol`.
        step: of the checkpoint; None of real images.
        images: "generated", or which real ones.
        count: how many.
        weights: "raw" or "ema"; None of real images.
        generator_dtype: the dtype policy it ran under; None of real images.
        by: which command.
    """
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    facts = {
        "step": step,
        "images": images,
        "count": count,
        "weights": weights,
        "generator_dtype": generator_dtype,
        "by": by,
    }
    return [
        {
            "score": score.name,
            "title": score.title,
            "value": score.value,
            **score.details,
            **facts,
            **protocol,
            "versions": versions,
            "time": time.time(),
        }
        for score in scores
    ]
