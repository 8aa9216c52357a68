"""The labels and splits of pictures by their folders, and by a label file where there is one."""

import dataclasses
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import label_files, messages

# Those of Hugging Face's image folders.
SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}


@dataclasses.dataclass(frozen=True)
class Labelled:
    """The pictures of each split, sorted by name, with their class ids."""

    entries: Mapping[str, list[tuple[str, int | None]]]
    class_names: tuple[str, ...] | None  # None: no labels


def splits(names: Sequence[str], source: Path, choice: str) -> dict[str, list[str]]:
    """Groups pictures by the split that their topmost folder names.

    Args:
        names: paths within the source.
        source: the source, for messages.
        choice: "auto": if all topmost folders name splits, and one of them train; "none".

    Returns:
        The sorted paths of each split, that of "train" first.
    """
    names = sorted(names)
    shared = _shared_folders(names)
    folders = {_class_of(name, len(shared)) for name in names}
    named = {folder: SPLITS.get((folder or "").lower()) for folder in folders}
    found = set(named.values())
    if choice == "none" or None in found or TRAIN not in found or len(found) < 2:
        return {TRAIN: names}
    parts = {split: [] for split in sorted(found, key=lambda split: (split != TRAIN, split))}
    for name in names:
        parts[named[_class_of(name, len(shared))]].append(name)
    told = ", ".join(f"{folder} ({len(parts[named[folder]])})" for folder in sorted(named))
    messages.warn(
        f"the folders {told} of {source} become the splits {', '.join(parts)}, not classes; choose "
        "--splits=none if they are classes"
    )
    return parts


def label(
    parts: Mapping[str, Sequence[str]],
    source: Path,
    labels: str,
    table: label_files.Table | None = None,
) -> Labelled:
    """Labels pictures by a table, or with their topmost folder below those that all share.

    Args:
        parts: the sorted paths of each split.
        source: the source, for messages.
        labels: "folders"; "none"; or "auto", which is "folders" if there are two or more.
        table: takes the place of the folders.

    Raises:
        UserError: there are pictures beside class folders, no folders though `labels` asks for
            them, pictures that the table lacks, or classes that "train" lacks.
    """
    if table is not None:
        _tell_folders(parts, source, table)
        shared = len(_shared_folders([name for names in parts.values() for name in names]))
        classes = {split: table.look_up(names, shared) for split, names in parts.items()}
    elif labels == "none":
        classes = dict.fromkeys(parts)
    else:
        classes = _by_folders(parts, source, labels)
    if classes[TRAIN] is None:
        return Labelled({split: [(name, None) for name in parts[split]] for split in parts}, None)
    in_order = label_files.in_order if table else sorted  # folders: as any list of files has them
    class_names = tuple(in_order(set(classes[TRAIN])))
    ids = {name: number for number, name in enumerate(class_names)}
    for split, its_classes in classes.items():
        if unknown := sorted(set(its_classes) - set(ids)):
            raise UserError(
                f"the split {split} of {source} has classes that train lacks: "
                f"{messages.first(unknown)} (it has {messages.first(class_names)})"
            )
    return Labelled(
        {
            split: [(name, ids[c]) for name, c in zip(names, classes[split], strict=True)]
            for split, names in parts.items()
        },
        class_names,
    )


def _by_folders(
    parts: Mapping[str, Sequence[str]], source: Path, labels: str
) -> dict[str, list[str] | None]:
    shared = _shared_folders(parts[TRAIN])
    folders = {
        split: [_class_of(name, len(shared)) for name in names] for split, names in parts.items()
    }
    names = [name for split in parts for name in parts[split]]
    classes = [folder for split in parts for folder in folders[split]]
    if None not in classes:
        return _composed(folders, source)
    if any(classes):
        outside = names[classes.index(None)]
        inside = next(name for name, its_class in zip(names, classes, strict=True) if its_class)
        raise UserError(
            f"{source} has images beside class folders ({outside} beside {inside}). Choose "
            "--labels=none to ignore the folders, or move the images into one."
        )
    if labels == "folders" and shared and len(parts) == 1:
        return _composed({TRAIN: [shared[-1]] * len(names)}, source)
    if labels == "folders":
        raise UserError(f"--labels=folders: {source} has no class folders, only images")
    return dict.fromkeys(parts)


def _composed(folders: dict[str, list[str]], source: Path) -> dict[str, list[str]]:
    """The names with accents in one character (NFC), whatever the system that wrote them."""
    spellings: dict[str, set[str]] = {}
    for name in {name for names in folders.values() for name in names}:
        spellings.setdefault(unicodedata.normalize("NFC", name), set()).add(name)
    if twice := [name for name, those in spellings.items() if len(those) > 1]:
        messages.warn(
            f"{messages.counted(twice, 'classes')} of {source} have folders in two spellings, "
            "which are read as one class"
        )
    composed = {spelling: name for name, those in spellings.items() for spelling in those}
    return {split: [composed[name] for name in names] for split, names in folders.items()}


def _tell_folders(
    parts: Mapping[str, Sequence[str]], source: Path, table: label_files.Table
) -> None:
    depth = len(_shared_folders(parts[TRAIN]))
    folders = {_class_of(name, depth) for names in parts.values() for name in names}
    if len(folders) > 1:
        names = label_files.in_order(folder for folder in folders if folder is not None)
        messages.warn(
            f"{table.name} gives the labels of {source}, not its folders "
            f"({messages.first(names)}); choose --labels=folders for these"
        )


def _shared_folders(names: Iterable[str]) -> tuple[str, ...]:
    """The folders that all names start with."""
    parents = [PurePosixPath(name).parent.as_posix() for name in names]
    shared = PurePosixPath(os.path.commonpath(parents))
    return () if shared == PurePosixPath(".") else shared.parts


def _class_of(name: str, depth: int) -> str | None:
    """The topmost folder below `depth` others; None: there is none."""
    parts = PurePosixPath(name).parts[depth:]
    return parts[0] if len(parts) > 1 else None
