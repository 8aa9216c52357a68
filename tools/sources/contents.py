"""The contents of pictures, as digests: which are equal, whatever their names and places."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from lsgan_tf.datasets import picture_content, pictures, process_pool
from lsgan_tf.utils import progress

from .image_sources import Source
from .readers import Entry, FileReader, Reader

_PER_TASK = 512
_HALVES = np.dtype(">u8")


@dataclasses.dataclass(frozen=True)
class Contents:
    """Of the pictures of a split, in their order; 16 bytes each."""

    digests: np.ndarray  # uint64 [N, 2]: the first 16 bytes of SHA-256, most significant first
    known: np.ndarray  # bool [N]: False where there is no picture by the first bytes

    def of(self, chosen: np.ndarray) -> "Contents":
        """Those of some pictures, by a mask or by their numbers."""
        return Contents(self.digests[chosen], self.known[chosen])


def survey(listings: Mapping[str, Source], processes: int) -> dict[str, Contents]:
    """Reads every picture of each split once, in a pool, without decoding it."""
    found, tasks = {}, []
    for split, one in listings.items():
        count = len(one.entries)
        found[split] = Contents(np.zeros((count, 2), np.uint64), np.zeros(count, bool))
        for start in range(0, count, _PER_TASK):
            arguments = (split, start, one.reader, one.entries[start : start + _PER_TASK])
            tasks.append(process_pool.Task(_digests, arguments))
    total = sum(len(one.entries) for one in listings.values())
    with progress.bar(total=total, unit="image", desc="comparing", leave=False) as bar:
        for split, start, digests, known in process_pool.run(tasks, processes, bar):
            part = slice(start, start + len(known))
            found[split].digests[part], found[split].known[part] = digests, known
    return found


def _digests(
    split: str, start: int, reader: Reader, entries: Sequence[Entry]
) -> tuple[str, int, np.ndarray, np.ndarray]:
    """In a process of the pool: those of the pictures from number `start` of a split on."""
    digests, known = [], []
    for _, content in reader.contents(entries):
        process_pool.count()
        readable = _is_usable(reader, content)
        digests.append(hashlib.sha256(content if readable else b"").digest()[:16])
        known.append(readable)
    halves = np.frombuffer(b"".join(digests), _HALVES).reshape(-1, 2)
    return split, start, halves.astype(np.uint64), np.array(known)


def _is_usable(reader: Reader, content: bytes | pictures.BadImage) -> bool:
    if isinstance(content, pictures.BadImage):
        return False
    head = content[: picture_content.HEAD_BYTES]
    return not isinstance(reader, FileReader) or picture_content.is_picture(head, any_format=True)
