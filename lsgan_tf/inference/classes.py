"""The classes of a conditional run: named by `--labels`, as frequent as in its data, and a real
example of each."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsgan_tf import datasets
from lsgan_tf.datasets import catalog, manifest, order
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError

# Enough for eight examples of each of ten classes among thousands, in seconds.
SEARCHED = 100_000
# What `--labels` may say instead of classes.
ALL, OF_DATA = "all", "data"


def parse_labels(text: str, class_names: tuple[str, ...] | None) -> list[int] | None:
    """Reads class names or ids, separated by commas, as ids; None for an empty text.

    A name has precedence over an id: with classes named "5", "6" and "7", 6 is the second class and
    0 the first. Names of one character may be written without commas. A class may come several
    times. The word `all` gives each class in turn; `data` names none, see `labels_of_data`.

    Args:
        text: the value of `--labels`.
        class_names: names of the classes, in the order of their ids; None without labels.

    Raises:
        UserError: a part is neither a name nor an id, or the generator has no labels.
    """
    if not text:
        return None
    if class_names is None:
        raise UserError("--labels: this run was trained without --conditional; it has no labels.")
    if text == ALL:
        return list(range(len(class_names)))
    return None if text == OF_DATA else _parse(text, class_names)


def hidden_by_word(text: str, class_names: tuple[str, ...] | None) -> list[int]:
    """The ids of classes that `--labels` would name if the text were not one of its words."""
    if text not in (ALL, OF_DATA) or class_names is None:
        return []
    try:
        return _parse(text, class_names)
    except UserError:
        return []


def _parse(text, class_names):
    ids = {name: index for index, name in enumerate(class_names)}
    if text in ids:  # commas and all
        return [ids[text]]
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise UserError(f"--labels={text}: a name or id is missing before or after a comma.")
    return [label for part in parts for label in _label_ids(part, ids)]


def _label_ids(part, ids):
    if part in ids:
        return [ids[part]]
    together = max(map(len, ids)) == 1
    if together and all(character in ids for character in part):
        return [ids[character] for character in part]
    if part.isascii() and part.isdecimal() and len(part) < 10 and int(part) < len(ids):
        return [int(part)]
    absent = dict.fromkeys(character for character in part if character not in ids)
    if together and len(absent) < len(set(part)):
        hint = f" (no class: {', '.join(absent)})"
    else:
        hint = _nearest(part, ids)
    known = ", ".join(list(ids)[:20])
    if len(ids) > 20:
        known += f", ... ({len(ids)} in all, listed in the run's config.json)"
    raise UserError(
        f"--labels: {part!r} is neither a class name nor an id in 0..{len(ids) - 1}{hint}. "
        f"Class names: {known}."
    )


def _nearest(part, names):
    """Similar names, as a part of a message."""
    folded = {name.casefold(): name for name in names}
    near = [folded[key] for key in difflib.get_close_matches(part.casefold(), folded)]
    return f"; close to it: {', '.join(near)}" if near else ""


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


def labels_of_data(run: Run, count: int, seed: int, data_dir: str = "") -> np.ndarray:
    """Labels as frequent as in the data set of a conditional run.

    Label i is that of example i in a random order of the seed, over and over: only so many examples
    are read, and any multiple of their number has exactly the frequencies of the data.

    Args:
        run: the run.
        count: how many labels.
        seed: of the order.
        data_dir: where its data set is; by default, where it was trained from.

    Returns:
        int32 [count], ids of the run's classes.

    Raises:
        UserError: the data set is not there (nothing is rendered or downloaded), is damaged, or has
            a class now that the run does not know.
    """
    config, data = run.read()
    dataset = _opened(config, data_dir or config.data_dir)
    examples = dataset.num_examples
    positions = np.arange(min(count, examples))
    labels = dataset.labels(order.permuted(positions, examples, (seed, 0)))
    if dataset.class_names != data.class_names:
        ids = {name: index for index, name in enumerate(data.class_names)}
        unknown = [name for name in dataset.class_names if name not in ids]
        if unknown:
            raise UserError(
                f"data set {dataset.name} has classes now that this run was not trained on: "
                f"{', '.join(map(repr, unknown[:10]))}."
            )
        labels = np.array([ids[name] for name in dataset.class_names], np.int32)[labels]
    return np.resize(labels, count)


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
