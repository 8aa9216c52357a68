"""Real examples of a run's classes, to show beside the generated ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsgan_tf import datasets
from lsgan_tf.datasets import catalog, manifest
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError

# Enough for eight examples of each of ten classes among thousands, in seconds.
SEARCHED = 100_000


def read_examples(
    run: Run, labels: Sequence[int], data_dir: str = "", *, at_most: int | None = None
) -> np.ndarray:
    """Reads a real example of each class of a conditional run.

    The data set may have been made again since, with other ids: its classes are found by name.

    Args:
        run: the run.
        labels: ids of the run's classes.
        data_dir: where its data set is; by default, where it was trained from.
        at_most: how many examples are searched; mid-grey stands for classes that are not met.
            None: all of the data set.

    Returns:
        uint8 [len(labels), H, W, C].

    Raises:
        UserError: the data set is not there (nothing is rendered or downloaded), is damaged, has
            images of another shape, or has no example of a class.
    """
    config, data = run.read()
    dataset = _opened(config, data_dir or config.data_dir)
    if dataset.image_shape != data.image_shape:
        now, then = ("x".join(map(str, facts.image_shape)) for facts in (dataset, data))
        raise UserError(f"data set {dataset.name} has images of {now} now, this run of {then}.")
    if dataset.class_names != data.class_names:
        labels = _by_name([data.class_names[label] for label in labels], dataset)
    return dataset.examples_of(labels, at_most=at_most)


def _opened(config, data_dir):
    """The data set, if it is ready to be opened."""
    name = config.dataset
    ready = (Path(data_dir) / name / manifest.FILE_NAME).is_file()
    if not ready and (name.startswith("tfds:") or name in catalog.TFDS_FALLBACKS):
        facts = datasets.facts(name, data_dir, image_size=config.image_size)
        ready = facts.num_examples is not None
    if not ready:
        raise UserError(f"data set {name} is not in {data_dir}. --data_dir says where it is.")
    return datasets.load(name, data_dir, image_size=config.image_size)


def _by_name(names, dataset):
    ids = {name: index for index, name in enumerate(dataset.class_names or ())}
    unknown = dict.fromkeys(name for name in names if name not in ids)
    if unknown:
        raise UserError(
            f"data set {dataset.name} has no class {', '.join(map(repr, unknown))} now."
        )
    return [ids[name] for name in names]
