"""A small classifier of a labelled data set, whose features and posteriors score a GAN.

It is one `.keras` file, with what must be known of it in a JSON file beside:

    DATA_DIR/classifiers/NAME.keras  NAME.json
"""

import contextlib
import dataclasses
import json
import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from lsgan_tf.datasets.dataset import Dataset, Part
from lsgan_tf.metrics import pretrained
from lsgan_tf.metrics.extractor import FeatureNetwork, check_sha256
from lsgan_tf.utils import files, typed_json
from lsgan_tf.utils.errors import UserError

FEATURES = 128  # length of the last hidden layer
_WIDTHS = (32, 64, 128)
_SMALLEST = 8  # sides above this many pixels are halved further
_HELD_OUT = 0.1  # of a set without a test split
_REMEDY = "Train it again: python -m lsgan_tf.train_classifier --dataset=NAME"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the JSON file holds."""

    dataset: str
    fingerprint: str  # of the data it was trained on
    class_names: tuple[str, ...]
    tested_on: str  # for people: which images
    test_accuracy: float
    epochs: int
    seed: int
    sha256: str  # of its weights: equal trainings have equal ones


def build(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """The network: images float32 [N, H, W, C] in 0..255 -> {features [N, 128], logits [N, K]}.

    Pairs of 3x3 convolutions with batch norm, at widths 32, 64 and 128, each pair halving the side,
    the mean over positions, and a hidden layer.
    """
    images = keras.Input(image_shape)
    x = layers.Rescaling(1.0 / 127.5, offset=-1.0)(images)
    side = max(image_shape[:2])
    while side > 8 * _SMALLEST:  # large images are halved before they cost anything
        x, side = layers.AveragePooling2D()(x), side // 2
    for width in _WIDTHS:
        for strides in (1, 2):
            x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
            # Statistics that settle within a hundred steps: small sets have few.
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(FEATURES, activation="relu", name="features")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(images, {"features": x, "logits": logits}, name="classifier")


def train(
    dataset: Dataset,
    test: Dataset | None = None,
    *,
    epochs: int = 5,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> tuple[keras.Model, Facts]:
    """Trains a classifier.

    Args:
        dataset: a labelled `data set`.
        test: its test split; None: a tenth of `dataset`, held out.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: of Adam, falling to zero along a cosine.
        seed: of the weights and the order.

    Returns:
        (model, `Facts` without a checksum).

    Raises:
        UserError: the set has no labels, or too few images.
    """
    if dataset.class_names is None:
        raise UserError(
            f"data set {dataset.name} has no labels to train a classifier on. Convert it from a "
            "folder per class, or score with other --features."
        )
    held_out = 0 if test else max(1, int(dataset.num_examples * _HELD_OUT))
    training = Part(dataset, 0, dataset.num_examples - held_out)
    tested = Part(test) if test else Part(dataset, training.count)
    batch_size = min(batch_size, training.count)
    if batch_size < 1:
        raise UserError(f"data set {dataset.name} has too few images to train a classifier on.")
    keras.utils.set_random_seed(seed)
    model = build(dataset.image_shape, len(dataset.class_names))
    steps = epochs * (training.count // batch_size)
    trained = keras.Model(model.input, model.output["logits"])  # the same layers
    trained.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    try:
        trained.fit(
            _batches(training, dataset.image_shape, batch_size, seed),
            epochs=epochs,
            steps_per_epoch=steps // epochs,
            shuffle=False,
            verbose=2,
        )
    except tf.errors.OpError as error:
        raise dataset.explain(error) or error from None
    where = "the test split" if test else "a held-out tenth of the training split"
    return model, Facts(
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        class_names=tuple(dataset.class_names),
        tested_on=f"{tested.count} images of {where}",
        test_accuracy=_accuracy(model, tested),
        epochs=epochs,
        seed=seed,
        sha256="",
    )


def _batches(part, image_shape, batch_size, seed):
    """All of them in an order of its own in each epoch, for ever."""

    def shuffled():
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(part.count)
            for start in range(0, part.count - batch_size + 1, batch_size):
                yield part.at(order[start : start + batch_size])

    spec = (
        tf.TensorSpec((batch_size, *image_shape), tf.uint8),
        tf.TensorSpec((batch_size,), tf.int32),
    )
    return tf.data.Dataset.from_generator(shuffled, output_signature=spec).prefetch(4)


def _accuracy(model, part, batch_size=256):
    run = tf.function(
        lambda images: model(images, training=False)["logits"],
        reduce_retracing=True,
        autograph=False,
    )
    right = 0
    for images, labels in part.batches(batch_size):
        right += int((run(tf.constant(images)).numpy().argmax(axis=1) == labels).sum())
    return right / part.count


def path(data_dir: Path, dataset: str) -> Path:
    """Where the classifier of a data set is kept."""
    return Path(data_dir) / "classifiers" / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', dataset)}.keras"


def is_one(path: Path) -> bool:
    """Whether a file is a classifier of this module."""
    return path.suffix == ".keras" and path.with_suffix(".json").is_file()


def save(model, facts: Facts, path: Path) -> Facts:
    """Writes both files, each complete or not at all; returns the facts with the checksum.

    Raises:
        UserError: they cannot be written.
    """
    unfinished = path.with_name(f".{path.stem}.unfinished.keras")
    files.make_parent(path)
    try:
        model.save(unfinished)
        data = unfinished.read_bytes()
    except OSError as error:
        raise files.write_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    facts = dataclasses.replace(facts, sha256=pretrained.sha256_of_weights(model))
    files.write_bytes(path, data)
    described = json.dumps(dataclasses.asdict(facts), indent=1, ensure_ascii=False)
    files.write_bytes(path.with_suffix(".json"), described.encode())
    return facts


def load(path: Path, sha256: str = "") -> FeatureNetwork:
    """Loads a classifier as a feature network.

    Raises:
        UserError: there is none, or one of its two files is damaged.
    """
    if not path.exists():
        raise UserError(
            f"there is no classifier at {path}. Train it, minutes on two cores:\n"
            "  python -m lsgan_tf.train_classifier --dataset=NAME"
        )
    described = path.with_suffix(".json")
    try:
        facts = typed_json.load(described, Facts)
    except FileNotFoundError as error:
        raise UserError(f"{described} is missing. {_REMEDY}") from error
    except typed_json.InvalidJson as error:
        raise UserError(f"{error} {_REMEDY}") from error
    try:
        network = pretrained.load_file(path)
    except UserError as error:
        raise UserError(f"{error} {_REMEDY}") from error
    if network.sha256 != facts.sha256:
        raise UserError(f"{path} is not the file that its .json describes. {_REMEDY}")
    check_sha256(str(path), network.sha256, sha256)
    return dataclasses.replace(
        network,
        name=f"classifier of {facts.dataset}",
        class_names=facts.class_names,
        test_accuracy=facts.test_accuracy,
        trained_on=facts.fingerprint,
    )
