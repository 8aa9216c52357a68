"""What a conversion does to pictures and tells: how many, and the names of the first.

The processes of the pool note it picture by picture; the summary of the data set says it.
"""

import dataclasses
from collections.abc import Iterable, Mapping

NAMED = 3  # pictures of each note

UNIFORM = "of one colour throughout"
EMPTY_CLASSES = "classes of which train has no image"
# Pictures of 16 bits by how many bits the largest of their values needs.
DEPTHS = {bits: f"of 16 bits, whose values need {bits}" for bits in (8, 10, 12, 14, 16)}

_MAX_UNIFORM = 0.03  # of the pictures; more are rarely meant


@dataclasses.dataclass(frozen=True)
class Noted:
    """The pictures, or classes, that one note is about."""

    count: int
    first: tuple[str, ...]  # names of some of them

    def __str__(self) -> str:
        return f"{self.count} ({', '.join(self.first)}{', ...' * (self.count > len(self.first))})"


class Notes(dict[str, Noted]):
    """Note -> the pictures it is about."""

    def add(self, note: str, where: str) -> None:
        """Notes one more picture."""
        self.update_with({note: Noted(1, (where,))})

    def update_with(self, others: Mapping[str, Noted]) -> None:
        """Adds the pictures of others, which come after these."""
        for note, noted in others.items():
            before = self.get(note, Noted(0, ()))
            first = (before.first + noted.first)[:NAMED]
            self[note] = Noted(before.count + noted.count, first)


def merge(parts: Iterable[Mapping[str, Noted]]) -> dict[str, Noted]:
    """The notes of several parts of a data set, in their order."""
    merged = Notes()
    for part in parts:
        merged.update_with(part)
    return dict(merged)


def describe(notes: Mapping[str, Noted], images: int) -> list[str]:
    """The lines of a summary, warnings last.

    Args:
        notes: of the data set.
        images: how many it has.
    """
    lines = [f"{note}: {noted}" for note, noted in sorted(notes.items()) if note != EMPTY_CLASSES]
    if empty := notes.get(EMPTY_CLASSES):
        lines.append(f"warning: {EMPTY_CLASSES}: {empty}")
    uniform = notes.get(UNIFORM)
    if uniform and uniform.count > _MAX_UNIFORM * images:
        lines.append(
            f"warning: {uniform.count} of {images} images are {UNIFORM}. Look at them with "
            "verify_dataset --contact_sheet; --background and --depth may be the cause"
        )
    deep = [bits for bits, note in DEPTHS.items() if note in notes]
    if deep and max(deep) < 16:
        count = sum(notes[DEPTHS[bits]].count for bits in deep)
        lines.append(
            f"warning: no value of the {count} images of 16 bits needs more than {max(deep)}, so "
            f"that they come out dark. Convert them with --depth={max(deep)} to another directory"
        )
    return lines
