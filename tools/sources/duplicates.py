"""Pictures that are in a source more than once: the first stays.

Splits are looked through in the order test, validation, train, and each in the order of its
pictures. So a picture that is held out and also in "train" leaves "train", and scores of the held
out pictures stay comparable.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from . import contents, messages
from .contents import Contents
from .image_sources import Source
from .readers import Entry

EXACT, NEAR = "exact", "near"  # values of --deduplicate

_KINDS = {True: "equal another, byte for byte", False: "look like another of their class"}
_ORDER = ("test", "validation", "train")


@dataclasses.dataclass(frozen=True)
class Picture:
    """One of a pair."""

    split: str
    entry: Entry

    def of(self, class_names: tuple[str, ...]) -> str:
        """Its name with its class."""
        return f"{self.entry.name} ({class_names[self.entry.label]})"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A picture that goes, and the one before it that it equals or looks like."""

    kept: Picture
    dropped: Picture
    equal: bool  # byte for byte

    @property
    def is_conflict(self) -> bool:
        """Whether they are of different classes."""
        return self.kept.entry.label != self.dropped.entry.label


def equal(listings: Mapping[str, Source], found: Mapping[str, Contents]) -> list[Pair]:
    """Finds the pictures that equal one before them, whatever their classes.

    Args:
        listings: of each split.
        found: their contents.
    """
    splits = _in_order(listings)
    pictures = [Picture(split, entry) for split in splits for entry in listings[split].entries]
    both = Contents.joined([found[split] for split in splits])
    known = np.flatnonzero(both.known)
    return [
        Pair(pictures[known[kept]], pictures[known[dropped]], True)
        for dropped, kept in contents.first_equal(both.digests[known]).items()
    ]


def alike(listings: Mapping[str, Source], processes: int) -> list[Pair]:
    """Finds the pictures that look like one of their class before them."""
    pairs = []
    in_order = {split: listings[split] for split in _in_order(listings)}
    for looks in contents.look(in_order, processes).values():
        pictures = [Picture(split, listings[split].entries[n]) for split, n in looks.pictures]
        for dropped, kept in looks.likenesses.first_alike().items():
            pairs.append(Pair(pictures[kept], pictures[dropped], False))
    return pairs


def _in_order(listings: Mapping[str, Source]) -> list[str]:
    return sorted(listings, key=_ORDER.index)


def count(pairs: list[Pair]) -> dict[str, int]:
    """How many go, by what they are."""
    counts = {what: sum(pair.equal == equal for pair in pairs) for equal, what in _KINDS.items()}
    return {f"images that {what} (--deduplicate)": n for what, n in counts.items() if n}


def tell(pairs: list[Pair], class_names: tuple[str, ...] | None, report: str) -> None:
    """Warns of what goes.

    Args:
        pairs: of pictures.
        class_names: by their number.
        report: where all are listed.
    """
    for equal, what in _KINDS.items():
        told = [f"{p.dropped.entry.name} as {p.kept.entry.name}" for p in pairs if p.equal == equal]
        if told:
            messages.warn(f"left out: {len(told)} images that {what} ({messages.first(told)})")
    if across := sum(pair.kept.split != pair.dropped.split for pair in pairs):
        messages.warn(f"{across} of them leave train, or validation, for a held out split has them")
    if conflicts := [pair for pair in pairs if pair.is_conflict]:
        told = [
            f"{pair.kept.of(class_names)} and {pair.dropped.of(class_names)}" for pair in conflicts
        ]
        messages.warn(
            f"{len(told)} of the equal images have another label than the one that stays: "
            f"{messages.first(told)}; the first of each pair is kept"
        )
    if pairs:
        messages.warn(f"all pairs are listed in {report}")


def which_stay(source: Source, split: str, pairs: list[Pair]) -> np.ndarray:
    """Which pictures of a split stay, bool [N]."""
    dropped = {pair.dropped.entry.name for pair in pairs if pair.dropped.split == split}
    return np.array([entry.name not in dropped for entry in source.entries])
