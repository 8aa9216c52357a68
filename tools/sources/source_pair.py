"""A source and its --test_source: they share no pictures, and have the same classes."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from lsgan_tf.utils.errors import UserError

from . import file_listing, messages, zip_folder
from .image_sources import Source
from .readers import Entry


def check_apart(source: Path, test_source: Path) -> None:
    """Raises `UserError` if the two share pictures."""
    kinds = [file_listing.kind(path) for path in (source, test_source)]
    if None in kinds:  # the listing reports which is absent
        return
    if source.samefile(test_source):
        raise UserError(f"--test_source={test_source} is the same as --source; pass another")
    train, test = source.resolve(), test_source.resolve()
    nested = train.is_relative_to(test) or test.is_relative_to(train)
    outer = min(train, test)
    # Archives in a folder are not read, unless it is a folder of zips.
    if nested and (kinds == ["folder", "folder"] or zip_folder.find(outer, os.listdir(outer))):
        raise UserError(
            f"of --source={source} and --test_source={test_source} one contains the other, so that "
            "images would be in both splits. Pass two separate folders"
        )


def with_ids_of_train(train: Source, test: Source, named: Mapping[str, str]) -> Source:
    """The test source with the class ids of the train source, found by name.

    Args:
        train: the source of --source.
        test: that of --test_source.
        named: for messages, what each split is given by.

    Raises:
        UserError: only one of them has labels, or the test source has classes of its own.
    """
    if test.class_names == train.class_names:
        return test
    if test.class_names is None or train.class_names is None:
        labelled, other = ("train", "test") if test.class_names is None else ("test", "train")
        raise UserError(
            f"{named[labelled]} has labels, {named[other]} has none. Give the latter a folder per "
            "class (with --labels=folders one is enough) or, in an .npz, `labels`; or choose "
            "--labels=none to leave out the labels of both"
        )
    ids = {name: number for number, name in enumerate(train.class_names)}
    unknown = [name for name in test.class_names if name not in ids]
    if unknown:
        raise UserError(
            f"{named['test']} has classes that {named['train']} lacks: "
            f"{messages.first(unknown, 10)} (it has {messages.first(train.class_names, 10)}). Give "
            "both the same names, or choose --labels=none to leave out the labels of both"
        )
    entries = [Entry(entry.name, ids[test.class_names[entry.label]]) for entry in test.entries]
    return dataclasses.replace(test, entries=entries, class_names=train.class_names)
