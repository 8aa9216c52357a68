"""What becomes of pictures by their content: held out for the split "test"."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import contents, selection
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


def curate(selected: Selected, val_fraction: float, processes: int) -> Selected:
    """Divides the pictures that are selected.

    Args:
        selected: the pictures of each split.
        val_fraction: of "train", becomes "test"; 0: none.
        processes: the largest number of processes that read the pictures.

    Raises:
        UserError: a split is left without pictures.
    """
    listings = dict(selected.listings)
    if val_fraction:
        found = contents.survey(listings, processes)
        listings |= _divided(listings[TRAIN], found[TRAIN], val_fraction)
    selection.tell_empty(listings[TRAIN])
    return dataclasses.replace(selected, listings=listings)


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
