"""What becomes of pictures by their content: duplicates go, a share is held out as "test"."""

import dataclasses

import numpy as np

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import contents, duplicates, selection, shares
from .contents import Contents
from .image_sources import Source
from .selection import Selected


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a user wants; the flags of these names."""

    deduplicate: str | None = None  # "exact" or "near"
    val_fraction: float = 0.0  # of "train", becomes "test"


def curate(
    selected: Selected, choices: Choices, processes: int
) -> tuple[Selected, list[duplicates.Pair]]:
    """Drops duplicates, then divides the pictures.

    Args:
        selected: the pictures of each split.
        choices: what to do.
        processes: the largest number of processes that read the pictures.

    Returns:
        What is left, and the pairs of which one is dropped.

    Raises:
        UserError: a split is left without pictures.
    """
    listings, pairs = dict(selected.listings), []
    if choices != Choices():
        found = contents.survey(listings, processes)
        if choices.deduplicate:
            pairs = duplicates.equal(listings, found)
            _drop(listings, found, pairs)
        if choices.deduplicate == duplicates.NEAR:
            alike = duplicates.alike(listings, processes)
            _drop(listings, found, alike)
            pairs += alike
        if choices.val_fraction:
            listings |= _divided(listings[TRAIN], found[TRAIN], choices.val_fraction)
    for split, one in listings.items():
        if not one.entries:
            raise UserError(f"--deduplicate leaves no image of the split {split}")
    selection.tell_empty(listings[TRAIN])
    left_out = selected.left_out | duplicates.count(pairs)
    return Selected(listings, left_out), pairs


def _drop(
    listings: dict[str, Source], found: dict[str, Contents], pairs: list[duplicates.Pair]
) -> None:
    for split, one in listings.items():
        stay = duplicates.which_stay(one, split, pairs)
        listings[split], found[split] = _of(one, np.flatnonzero(stay)), found[split].of(stay)


def _divided(source: Source, found: Contents, fraction: float) -> dict[str, Source]:
    parts = shares.divide(found, fraction)
    return {split: _of(source, numbers) for split, numbers in parts.items()}


def _of(source: Source, numbers: np.ndarray) -> Source:
    entries = [source.entries[number] for number in numbers]
    return dataclasses.replace(source, entries=entries)
