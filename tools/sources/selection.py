"""Which pictures of a source are converted: some classes, a number of them."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import messages
from .file_listing import ANY_NAME
from .image_sources import Source
from .readers import Entry


@dataclasses.dataclass(frozen=True)
class Selected:
    """What is left, and how many pictures are not, by the reason."""

    listings: dict[str, Source]
    left_out: dict[str, int]


def select(
    listings: Mapping[str, Source], classes: Sequence[str], max_images: int, balanced: bool
) -> Selected:
    """Leaves out classes, and pictures beyond a number.

    Args:
        listings: of each split, with the classes of "train".
        classes: to keep, in the order of their new ids; none: all.
        max_images: of "train"; 0: all. Which they are is decided by a digest of their names.
        balanced: `max_images` of each class.

    Raises:
        UserError: there are no labels, no such class, or no image is left of a split.
    """
    left_out: dict[str, int] = {}
    selected = dict(listings)
    if classes:
        selected = {split: _of_classes(one, classes) for split, one in listings.items()}
        _count(left_out, "images of other classes", listings, selected)
    if balanced and (selected[TRAIN].class_names is None or not max_images):
        raise UserError("--balanced goes with --max_images, of a source that has labels")
    if max_images:
        before = dict(selected)
        selected[TRAIN] = _first(selected[TRAIN], max_images, balanced)
        _count(left_out, f"images beyond --max_images={max_images}", before, selected)
    for split, one in selected.items():
        if not one.entries:
            raise UserError(f"--classes={','.join(classes)} leaves no image of the split {split}")
    return Selected(selected, left_out)


def tell_empty(source: Source) -> None:
    """Warns of classes without images."""
    found = {entry.label for entry in source.entries}
    names = enumerate(source.class_names or ())
    if empty := [name for number, name in names if number not in found]:
        messages.warn(f"without images are {messages.counted(empty, 'classes')}")


def _count(
    left_out: dict[str, int], what: str, before: Mapping[str, Source], after: Mapping[str, Source]
) -> None:
    count = sum(len(before[split].entries) - len(after[split].entries) for split in before)
    if count:
        left_out[what] = count


def _of_classes(source: Source, classes: Sequence[str]) -> Source:
    names = source.class_names
    if names is None:
        raise UserError("--classes: the source has no labels")
    if unknown := [name for name in classes if name not in names]:
        raise UserError(
            f"--classes: there is no class {messages.first(unknown)}; there are "
            f"{messages.first(names, 20)}"
        )
    if len(set(classes)) < len(classes):
        raise UserError(f"--classes={','.join(classes)} names a class twice")
    ids = {names.index(name): number for number, name in enumerate(classes)}
    entries = [
        dataclasses.replace(entry, label=ids[entry.label])
        for entry in source.entries
        if entry.label in ids
    ]
    return dataclasses.replace(source, entries=entries, class_names=tuple(classes))


def place(name: str) -> bytes:
    """Where a picture stands when some are chosen by their names."""
    return hashlib.sha256(name.encode(*ANY_NAME)).digest()


def _first(source: Source, most: int, balanced: bool) -> Source:
    def place_of(number: int) -> bytes:
        return place(source.entries[number].name)

    groups: dict[int | None, list[int]] = {}
    for number, entry in enumerate(source.entries):
        groups.setdefault(entry.label if balanced else None, []).append(number)
    few = [label for label, group in groups.items() if len(group) < most]
    if balanced and few:
        few = [source.class_names[label] for label in sorted(few)]
        messages.warn(f"fewer than --max_images={most} have {messages.counted(few, 'classes')}")
    chosen = {n for group in groups.values() for n in sorted(group, key=place_of)[:most]}
    entries: list[Entry] = [source.entries[number] for number in sorted(chosen)]
    return dataclasses.replace(source, entries=entries)
