"""A share of the pictures, held out as the split "test": those whose SHA-256 is below it."""

from collections.abc import Iterable

import numpy as np

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from .contents import Contents

TEST = "test"


def check_undivided(splits: Iterable[str], flag: str = "") -> None:
    """Raises `UserError` if there are splits already, which --val_fraction would mix.

    Args:
        splits: that there are.
        flag: what gave them; "": the source has them.
    """
    if others := [split for split in splits if split != TRAIN]:
        whence = f"{flag} gives" if flag else "the source has"
        otherwise = f"leave out {flag}" if flag else "choose --splits=none"
        raise UserError(
            f"--val_fraction: {whence} a split {others[0]} already. Leave out --val_fraction, or "
            f"{otherwise}"
        )


def divide(found: Contents, fraction: float, what: str = "images") -> dict[str, np.ndarray]:
    """Divides pictures, and prints how many are held out.

    Args:
        found: the contents of the pictures, or of what holds several of them.
        fraction: the share that becomes "test", of what SHA-256 can be.
        what: they are, in the plural.

    Returns:
        The numbers of those in each split, in rising order.

    Raises:
        UserError: a split has none.
    """
    below = found.known & (found.digests[:, 0] < np.uint64(fraction * 2.0**64))
    parts = {TRAIN: np.flatnonzero(~below), TEST: np.flatnonzero(below)}
    for split, part in parts.items():
        if not len(part):
            raise UserError(
                f"--val_fraction={fraction:g} of {len(below)} {what} leaves none for the split "
                f"{split}. Choose another share"
            )
    told = f"{len(parts[TEST])} of {len(below)} {what}"
    print(f"held out for the split test: {told} (--val_fraction={fraction:g})", flush=True)
    return parts
