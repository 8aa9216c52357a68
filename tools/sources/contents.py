"""The contents of pictures: which are equal or look alike, whatever their names and places."""

import dataclasses
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import BinaryIO, TypeVar

import numpy as np

from lsgan_tf.datasets import picture_content, pictures, process_pool
from lsgan_tf.datasets.likeness import Likenesses
from lsgan_tf.utils import progress

from .image_sources import Source
from .readers import Entry, FileReader, Reader

_PER_TASK = 512
_SIZE = 16  # bytes of a digest that are kept, two halves
_HALVES = np.dtype(">u8")

_Key = TypeVar("_Key", bound=Hashable)


def digest(content: bytes | memoryview) -> bytes:
    """The first 16 bytes of SHA-256."""
    return hashlib.sha256(content).digest()[:_SIZE]


def digest_of_file(file: BinaryIO) -> bytes:
    """The same of all that is read from a file."""
    return hashlib.file_digest(file, "sha256").digest()[:_SIZE]


def as_array(digests: bytes | bytearray) -> np.ndarray:
    """Digests one behind another -> uint64 [N, 2], the most significant half first."""
    return np.frombuffer(bytes(digests), _HALVES).reshape(-1, 2).astype(np.uint64)


def first_equal(digests: np.ndarray) -> dict[int, int]:
    """Finds what equals something before it.

    Args:
        digests: as `as_array` returns them.

    Returns:
        Number of each such row -> number of the first row that it equals, in rising order.
    """
    _, first, group = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    before = first[group.reshape(-1)]
    repeated = np.flatnonzero(before != np.arange(len(before)))
    return dict(zip(repeated.tolist(), before[repeated].tolist(), strict=True))


@dataclasses.dataclass(frozen=True)
class Contents:
    """Of pictures, in their order; 17 bytes each."""

    digests: np.ndarray  # uint64 [N, 2], see `as_array`
    known: np.ndarray  # bool [N]: False where there is no picture by the first bytes

    @staticmethod
    def unknown(count: int) -> "Contents":
        """Those of pictures that are yet to be read."""
        return Contents(np.zeros((count, 2), np.uint64), np.zeros(count, bool))

    @staticmethod
    def of_digests(digests: bytes | bytearray) -> "Contents":
        """Those that have these, one behind another."""
        array = as_array(digests)
        return Contents(array, np.ones(len(array), bool))

    @staticmethod
    def joined(parts: Sequence["Contents"]) -> "Contents":
        """Those of several splits, one after another."""
        return Contents(
            np.concatenate([part.digests for part in parts]),
            np.concatenate([part.known for part in parts]),
        )

    def of(self, chosen: np.ndarray) -> "Contents":
        """Those of the pictures where `chosen`, bool [N], is True."""
        return Contents(self.digests[chosen], self.known[chosen])


def survey(listings: Mapping[_Key, Source], processes: int) -> dict[_Key, Contents]:
    """Reads every picture of each split, or other part, once, in a pool, without decoding it."""
    found, tasks = {}, []
    for key, one in listings.items():
        found[key] = Contents.unknown(len(one.entries))
        for start in range(0, len(one.entries), _PER_TASK):
            arguments = (key, start, one.reader, one.entries[start : start + _PER_TASK])
            tasks.append(process_pool.Task(_digests, arguments))
    total = sum(len(one.entries) for one in listings.values())
    with progress.bar(total=total, unit="image", desc="comparing", leave=False) as bar:
        for key, start, digests, known in process_pool.run(tasks, processes, bar):
            part = slice(start, start + len(known))
            found[key].digests[part], found[key].known[part] = digests, known
    return found


def _digests(
    key: _Key, start: int, reader: Reader, entries: Sequence[Entry]
) -> tuple[_Key, int, np.ndarray, np.ndarray]:
    """In a process of the pool: those of the pictures from number `start` of a part on."""
    digests, known = bytearray(), []
    for _, content in reader.contents(entries):
        process_pool.count()
        readable = _is_usable(reader, content)
        digests += digest(content if readable else b"")
        known.append(readable)
    return key, start, as_array(digests), np.array(known)


def _is_usable(reader: Reader, content: bytes | pictures.BadImage) -> bool:
    if isinstance(content, pictures.BadImage):
        return False
    head = content[: picture_content.HEAD_BYTES]
    return not isinstance(reader, FileReader) or picture_content.is_picture(head, any_format=True)


@dataclasses.dataclass(frozen=True)
class Looks:
    """Of the pictures of one class that decode, in order."""

    pictures: list[tuple[str, int]] = dataclasses.field(default_factory=list)  # split, number in it
    likenesses: Likenesses = dataclasses.field(default_factory=Likenesses)

    def extend(self, others: "Looks") -> None:
        """Adds those of pictures that come after these."""
        self.pictures.extend(others.pictures)
        self.likenesses.extend(others.likenesses)


def look(listings: Mapping[str, Source], processes: int) -> dict[int | None, Looks]:
    """Decodes every picture, in a pool; returns by class what they look like.

    Args:
        listings: of each split, in the order that `Looks` have.
        processes: the largest number of processes.
    """
    tasks = []
    for split, one in listings.items():
        for start in range(0, len(one.entries), _PER_TASK):
            arguments = (split, start, one.reader, one.entries[start : start + _PER_TASK])
            tasks.append(process_pool.Task(_look, (len(tasks), *arguments)))
    total = sum(len(one.entries) for one in listings.values())
    with progress.bar(total=total, unit="image", desc="looking", leave=False) as bar:
        parts = dict(process_pool.run(tasks, processes, bar))
    found: dict[int | None, Looks] = {}
    for number in sorted(parts):  # they come in any order
        for label, looks in parts.pop(number).items():
            found.setdefault(label, Looks()).extend(looks)
    return found


def _look(
    task: int, split: str, start: int, reader: Reader, entries: Sequence[Entry]
) -> tuple[int, dict[int | None, Looks]]:
    found: dict[int | None, Looks] = {}
    for number, (entry, image) in enumerate(reader.read(entries), start):
        process_pool.count()
        if isinstance(image, pictures.BadImage):  # which the conversion reports
            continue
        pixels = np.asarray(pictures.in_srgb(image))
        looks = found.setdefault(entry.label, Looks())
        looks.pictures.append((split, number))
        looks.likenesses.add(pixels.reshape(*pixels.shape[:2], -1))
    return task, found
