"""What the pictures of a source are like: read once in the processes of the pool, and added up."""

import dataclasses
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, ImageOps

from lsgan_tf.datasets import picture_modes, pictures, process_pool
from lsgan_tf.datasets.likeness import Likenesses
from lsgan_tf.datasets.notes import UNIFORM, Notes
from lsgan_tf.utils import progress

from ..verifying.contact_sheet import MAX_TILE, Gallery
from ..verifying.faults import Faults
from . import contents
from .readers import Entry, Reader

TURNED = "turned as their EXIF orientation says"

_MOST = 256  # pictures that a process reads at a time
_LEAST = 16

Entries = Mapping[str, Sequence[Entry]]  # of each split


@dataclasses.dataclass
class Survey:
    """Counts over all pictures that can be read; those of parts are merged in their order."""

    gallery: Gallery
    formats: Counter[str] = dataclasses.field(default_factory=Counter)
    modes: Counter[str] = dataclasses.field(default_factory=Counter)  # as the files store them
    channels: Counter[int] = dataclasses.field(default_factory=Counter)
    shorter: Counter[int] = dataclasses.field(default_factory=Counter)  # sides, pixels
    squares: int = 0
    classes: Counter[tuple[str, int | None]] = dataclasses.field(default_factory=Counter)
    notes: Notes = dataclasses.field(default_factory=Notes)
    bad: Faults = dataclasses.field(default_factory=Faults)
    # Of each picture that can be read: its place among all, its digest, its likeness.
    places: array = dataclasses.field(default_factory=lambda: array("q"))
    digests: bytearray = dataclasses.field(default_factory=bytearray)
    likenesses: Likenesses = dataclasses.field(default_factory=Likenesses)

    def add(self, place: int, split: str, entry: Entry, image: Image.Image, data: bytes) -> None:
        """Counts one picture; `data` is what equal pictures have in common."""
        stored = pictures.stored_as(image)
        self.formats[stored.format if stored else "array"] += 1
        self.modes[stored.mode if stored else image.mode] += 1
        self.channels[len(image.getbands())] += 1
        self.shorter[min(image.size)] += 1
        self.squares += image.width == image.height
        self.classes[split, entry.label] += 1
        for note in _notes(image):
            self.notes.add(note, entry.name)
        self.places.append(place)
        self.digests += contents.digest(data)
        self.likenesses.add(np.asarray(image).reshape(image.height, image.width, -1))
        self.gallery.offer((0, place), entry.label, image, _tile)

    def merge(self, other: "Survey") -> None:
        """Adds the counts of the pictures that follow, all but their gallery."""
        for field in ("formats", "modes", "channels", "shorter", "classes"):
            getattr(self, field).update(getattr(other, field))
        self.squares += other.squares
        self.notes.update_with(other.notes)
        self.bad.extend(other.bad)
        self.places += other.places
        self.digests += other.digests
        self.likenesses.extend(other.likenesses)

    def duplicates(self) -> tuple[dict[int, int], dict[int, int]]:
        """Place of each picture that equals one before, or else looks like one -> that one's."""
        equal = contents.first_equal(contents.as_array(self.digests))
        alike = {n: m for n, m in self.likenesses.first_alike().items() if n not in equal}
        return self._placed(equal), self._placed(alike)

    def _placed(self, pairs: dict[int, int]) -> dict[int, int]:
        return {self.places[number]: self.places[first] for number, first in pairs.items()}


def _notes(image: Image.Image) -> Iterator[str]:
    yield from pictures.notes_of(image)
    stored = pictures.stored_as(image)
    if stored and stored.turned:
        yield TURNED
    if picture_modes.is_uniform(image):
        yield UNIFORM


def _tile(image: Image.Image) -> Image.Image:
    """All of it in a square: small ones as large as they can be without losing pixels."""
    image = picture_modes.in_mode(pictures.in_srgb(image), "RGB")
    return ImageOps.pad(image, (MAX_TILE, MAX_TILE), Image.Resampling.BILINEAR, "#808080")


def sample(entries: Entries, most: int) -> Entries:
    """Every so many of the pictures, so that `most` are left; 0: all."""
    total = sum(map(len, entries.values()))
    if not most or total <= most:
        return entries
    return {
        split: [its[number * len(its) // count] for number in range(count)]
        for split, its in entries.items()
        if (count := -(-most * len(its) // total))
    }


def survey(
    reader: Reader, entries: Entries, class_names: Sequence[str] | None, processes: int
) -> Survey:
    """Reads all pictures.

    Raises:
        UserError: the source is damaged.
    """
    total = sum(map(len, entries.values()))
    size = min(_MOST, max(_LEAST, total // (4 * processes)))
    tasks, first = [], 0
    for split, its in entries.items():
        for start in range(0, len(its), size):
            part = its[start : start + size]
            gallery = Gallery(class_names, [total])
            arguments = (len(tasks), first, reader, split, part, gallery)
            tasks.append(process_pool.Task(_survey, arguments))
            first += len(part)
    merged, parts = Survey(Gallery(class_names, [total])), {}
    with progress.bar(total=total, unit="image", desc="reading", leave=False) as bar:
        for number, part in process_pool.run(tasks, processes, bar):
            merged.gallery.merge(part.gallery)  # which is large, and has no order
            parts[number] = dataclasses.replace(part, gallery=None)
    for number in sorted(parts):
        merged.merge(parts.pop(number))
    return merged


def _survey(
    number: int,
    first: int,
    reader: Reader,
    split: str,
    entries: Sequence[Entry],
    gallery: Gallery,
) -> tuple[int, Survey]:
    """Surveys some pictures of a split, in a process of the pool; `first` is the first's place."""
    found = Survey(gallery)
    for place, entry in enumerate(entries, first):
        process_pool.count()
        try:
            image, data = _read(reader, entry)
            found.add(place, split, entry, image, data)
        except pictures.BadImage as error:
            found.bad.add(entry.name, str(error))
    return number, found


def _read(reader: Reader, entry: Entry) -> tuple[Image.Image, bytes]:
    ((_, content),) = reader.contents([entry])
    if isinstance(content, pictures.BadImage):
        raise content
    return reader.decode(entry, content), content
