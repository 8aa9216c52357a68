"""What must become of a damaged GNT file, derived from how it was put together.

A file is a list of stretches: what a damage leaves of each record, or puts beside it. A stretch is
a record if its header agrees with its length. Every record must come out, pixel for pixel; every
other stretch is lost and must be reported. Behind a lost stretch, reading can continue if one of
the numbers in that stretch's header leads to the next record, or at the next chain: three records
in a row, or fewer that end the file. A record between a loss and the next chain may come out or be
lost too. None of this uses the reader under test.
"""

import dataclasses
import functools
import struct
import unicodedata
from collections.abc import Sequence

from PIL import Image

SIDE = 28  # of the converted pictures, pixels

_CHAIN = 3
_HEADER_BYTES = 10


@dataclasses.dataclass(frozen=True)
class Picture:
    """A character that comes out."""

    text: str
    width: int
    height: int
    bitmap: bytes = dataclasses.field(repr=False)
    certain: bool = True  # False: it may be missing

    @functools.cached_property
    def pixels(self) -> bytes:
        """What the data set holds of it: uint8 [SIDE, SIDE]."""
        image = Image.frombytes("L", (self.width, self.height), self.bitmap)
        return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()


@dataclasses.dataclass(frozen=True)
class Loss:
    """A range of the file in which at least one and at most `most` offsets are reported."""

    start: int
    stop: int
    most: int

    def __contains__(self, offset: int) -> bool:
        return self.start <= offset < self.stop


@dataclasses.dataclass(frozen=True)
class Expected:
    """Of one file."""

    pictures: tuple[Picture, ...]  # in the order of the file
    losses: tuple[Loss, ...]
    symbols: tuple[int, int]  # characters that are not Chinese: at least, at most

    def difference(
        self, pictures: Sequence[tuple[str, bytes]], offsets: Sequence[int]
    ) -> str | None:
        """What is wrong with what became of the file; None if nothing is.

        Args:
            pictures: (character, pixels) of the pictures in the data set, in order.
            offsets: the offsets that were reported.
        """
        counts = {0}  # how many of `pictures` the expected ones so far may account for
        for number, picture in enumerate(self.pictures):
            wanted = (picture.text, picture.pixels)
            matched = {count + 1 for count in counts if pictures[count : count + 1] == [wanted]}
            if picture.certain and not matched:
                return f"picture {number} of {len(self.pictures)} is missing: {picture}"
            counts = matched if picture.certain else matched | counts
        if len(pictures) not in counts:
            return f"{len(pictures)} pictures came out, not {sorted(counts)}"
        for loss in self.losses:
            count = sum(offset in loss for offset in offsets)
            if not 1 <= count <= loss.most:
                return f"{count} reports in {loss}"
        for offset in offsets:
            if not any(offset in loss for loss in self.losses):
                return f"offset {offset} is reported, but nothing is lost there"
        return None


@dataclasses.dataclass
class _Stretch:
    data: bytes
    offset: int
    size: int = 0  # what its header says
    pixels: int = 0

    def __post_init__(self):
        if len(self.data) >= _HEADER_BYTES:
            self.size, _, width, height = struct.unpack_from("<I2sHH", self.data)
            self.pixels = width * height

    @property
    def stop(self) -> int:
        return self.offset + len(self.data)

    @property
    def agrees(self) -> bool:
        """Whether its header is one of a record, whatever follows."""
        return self.pixels > 0 and self.size == _HEADER_BYTES + self.pixels

    @property
    def is_record(self) -> bool:
        return self.agrees and self.size == len(self.data)

    @property
    def claims(self) -> set[int]:
        """Where it may end according to its header."""
        return {self.offset + self.size, self.offset + _HEADER_BYTES + self.pixels}

    @property
    def text(self) -> str | None:
        return character(self.data[4:6])

    def picture(self, certain: bool) -> Picture | None:
        """The record that its header describes; None if a data set does not keep it."""
        if self.text is None or not _is_chinese(self.text):
            return None
        _, _, width, height = struct.unpack_from("<I2sHH", self.data)
        bitmap = self.data[_HEADER_BYTES : _HEADER_BYTES + self.pixels]
        return Picture(self.text, width, height, bitmap, certain)


def character(tag: bytes) -> str | None:
    """What a record's two bytes stand for: one visible character in GBK or ASCII."""
    encoding, raw = ("ascii", tag[:1]) if tag[1] == 0 else ("gbk", tag)
    text = raw.decode(encoding, "ignore")
    if len(text) != 1 or text.encode(encoding) != raw:
        return None
    return text if unicodedata.category(text)[0] not in "CZ" else None


def _is_chinese(text: str) -> bool:
    return unicodedata.name(text, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))


def expect(stretches: Sequence[bytes]) -> Expected | None:
    """What must become of the file that these stretches make up, one after the other.

    Returns:
        None if that is not determined: a damaged header leads to the start of a later record or to
        the end of the file, and nothing distinguishes the bytes between from a record's own.
    """
    if not stretches:
        return Expected((), (Loss(0, 1, 1),), (0, 0))
    parts, offset = [], 0
    for stretch in stretches:
        for data in _split_off_record(stretch):
            parts.append(_Stretch(data, offset))
            offset += len(data)
    certainties = _certainties(parts)
    if certainties is None:
        return None
    pictures, losses, symbols = [], [], []
    for part, certain in zip(parts, certainties, strict=True):
        whole = Loss(part.offset, part.stop, 1)
        if not certain:  # damage, or part of the loss before it
            losses.append((whole, False))
        elif part.text is None:
            losses.append((Loss(part.offset, part.offset + 1, 1), True))
        # A stretch with bytes behind the record of its header may yield that record.
        if part.is_record or part.agrees and part.size < len(part.data):
            picture = part.picture(certain)
            if picture:
                pictures.append(picture)
            elif part.text is not None:
                symbols.append(certain)
            elif not part.is_record:
                losses.append((whole, False))
    return Expected(tuple(pictures), _joined(losses), (sum(symbols), len(symbols)))


def _split_off_record(data: bytes) -> list[bytes]:
    """Splits a stretch that ends with a whole record.

    There is one if inserted bytes repeat the start of the record: X between the parts A and B of a
    record AB leaves AB whole if X ends with A.
    """
    if _Stretch(data, 0).is_record:
        return [data]
    for start in range(1, len(data) - _HEADER_BYTES):
        size = int.from_bytes(data[start : start + 4], "little")
        if size == len(data) - start and _Stretch(data[start:], 0).is_record:
            return [data[:start], data[start:]]
    return [data]


def _certainties(parts: Sequence[_Stretch]) -> list[bool] | None:
    """For each stretch, whether it is a record that must be found; None if not determined."""
    starts = {part.offset for part in parts} | {parts[-1].stop}
    certain, lost = [], False  # whether reading has lost its place
    for number, part in enumerate(parts):
        if part.is_record:
            lost = lost and not _is_chain(parts, number)
            certain.append(not lost)
            continue
        if part.claims & (starts - {part.stop, part.offset}):
            return None
        next_is_record = number + 1 == len(parts) or parts[number + 1].is_record
        lost = lost or not (not part.agrees and part.stop in part.claims and next_is_record)
        certain.append(False)
    return certain


def _is_chain(parts: Sequence[_Stretch], number: int) -> bool:
    return all(part.is_record for part in parts[number : number + _CHAIN])


def _joined(losses: Sequence[tuple[Loss, bool]]) -> tuple[Loss, ...]:
    """Joins ranges that touch; those that are exact stay alone."""
    result: list[tuple[Loss, bool]] = []
    for loss, exact in losses:
        if result and not exact and not result[-1][1] and loss.start <= result[-1][0].stop:
            last = result.pop()[0]
            loss = Loss(last.start, max(last.stop, loss.stop), last.most + loss.most)
        result.append((loss, exact))
    return tuple(loss for loss, _ in result)
