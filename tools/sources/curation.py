"""What becomes of pictures by their content: duplicates go, a share is held out as "test"."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import contents, duplicates, selection
from .contents import Contents
from .image_sources import Source
from .selection import Selected

_TEST = "test"


def check_undivided(listings: Mapping[str, Source], flag: str) -> None:
    """Raises `UserError` if there are splits already, which --val_fraction would mix.

    Args:
        listings: of each split.
        flag: what gave the splits; "": the source has them.
    """
    if others := [split for split in listings if split != TRAIN]:
        whence = f"{flag} gives" if flag else "the source has"
        otherwise = f"leave out {flag}" if flag else "choose --splits=none"
        raise UserError(
            f"--val_fraction: {whence} a split {others[0]} already. Leave out --val_fraction, or "
            f"{otherwise}"
        )


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
        listings[split], found[split] = _of(one, stay), found[split].of(stay)


def _divided(source: Source, found: Contents, fraction: float) -> dict[str, Source]:
    """Test: a SHA-256 below this share of all; `sha256sum` shows the same of a file."""
    held_out = found.known & (found.digests[:, 0] < np.uint64(fraction * 2.0**64))
    parts = {TRAIN: _of(source, ~held_out), _TEST: _of(source, held_out)}
    for split, part in parts.items():
        if not part.entries:
            raise UserError(
                f"--val_fraction={fraction:g} of {len(source.entries)} images leaves none for the "
                f"split {split}. Choose another share, or give a --test_source"
            )
    told = f"{len(parts[_TEST].entries)} of {len(source.entries)} images"
    print(f"held out for the split test: {told} (--val_fraction={fraction:g})", flush=True)
    return parts


def _of(source: Source, chosen: np.ndarray) -> Source:
    entries = [source.entries[number] for number in np.flatnonzero(chosen)]
    return dataclasses.replace(source, entries=entries)
