"""What must become of a mutated GNT file, told from how it was put together.

A stretch is what a mutation has left of one record, or has put beside it. It is a record if its
header agrees with its length; every such record must come out, pixel for pixel. Any other stretch
is lost, and reported. What follows a lost stretch can be delimited if one of that header's numbers
still leads there, or if it is a chain: three records in a row, or as many as end the file. A sound
record behind a loss that is not so may come out or be lost with it.
"""

import dataclasses
import struct
import unicodedata

_CHAIN = 3
_HEADER_BYTES = 10


@dataclasses.dataclass(frozen=True)
class Picture:
    """A character that comes out."""

    text: str
    width: int
    height: int
    bitmap: bytes
    certain: bool = True  # False: it may be missing


@dataclasses.dataclass(frozen=True)
class Loss:
    """A range of the file in which at least one and at most `most` offsets are reported."""

    start: int
    stop: int
    most: int


@dataclasses.dataclass(frozen=True)
class Expected:
    """Of one file."""

    pictures: tuple[Picture, ...]  # in the order of the file
    losses: tuple[Loss, ...]
    left_out: tuple[int, int]  # how many symbols: at least, at most


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

    def picture(self, certain: bool) -> Picture | None:
        """The record that its header describes; None if it is none that a data set keeps."""
        _, tag, width, height = struct.unpack_from("<I2sHH", self.data)
        text = character(tag)
        if text is None or not _is_chinese(text):
            return None
        bitmap = self.data[_HEADER_BYTES : _HEADER_BYTES + self.pixels]
        return Picture(text, width, height, bitmap, certain)


def character(tag: bytes) -> str | None:
    """What a record's two bytes stand for: one visible character in GBK or ASCII."""
    encoding, raw = ("ascii", tag[:1]) if tag[1] == 0 else ("gbk", tag)
    text = raw.decode(encoding, "ignore")
    if len(text) != 1 or text.encode(encoding) != raw:
        return None
    return text if unicodedata.category(text)[0] not in "CZ" else None


def _is_chinese(text: str) -> bool:
    return unicodedata.name(text, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))


def expect(stretches: list[bytes]) -> Expected | None:
    """What must become of the file that these make up, one after the other.

    Returns:
        None if that cannot be said, for a damaged header leads to the begin of a wrong record or to
        the end of the file: bytes that nothing distinguishes from a record's own are between.
    """
    if not stretches:
        return Expected((), (Loss(0, 1, 1),), (0, 0))
    parts, offset = [], 0
    for stretch in stretches:
        for data in _with_record_apart(stretch):
            parts.append(_Stretch(data, offset))
            offset += len(data)
    certain = _certainties(parts)
    if certain is None:
        return None
    pictures, losses, symbols = [], [], []
    for part, sure in zip(parts, certain, strict=True):
        stop = part.offset + len(part.data)
        if part.is_record:
            _, tag, *_ = struct.unpack_from("<I2s", part.data)
            text = character(tag)
            picture = part.picture(sure)
            if picture:
                pictures.append(picture)
            elif text is not None:
                symbols.append(sure)
            if text is None and sure:
                losses.append((Loss(part.offset, part.offset + 1, 1), True))
            elif not sure:  # it may be part of the loss before it
                losses.append((Loss(part.offset, stop, 1), False))
            continue
        losses.append((Loss(part.offset, stop, 1), False))
        if part.agrees and part.size < len(part.data):
            # It has all its bytes, though perhaps not the right ones.
            picture = part.picture(False)
            if picture:
                pictures.append(picture)
            elif character(part.data[4:6]) is None:
                losses.append((Loss(part.offset, stop, 1), False))
            else:
                symbols.append(False)
    return Expected(tuple(pictures), _joined(losses), (sum(symbols), len(symbols)))


def _with_record_apart(data: bytes) -> list[bytes]:
    """Cuts a stretch that ends with a whole record, as it can if what was added repeats its begin.

    X between A and B of the record AB leaves AB whole if X ends with A.
    """
    if _Stretch(data, 0).is_record:
        return [data]
    for start in range(1, len(data) - _HEADER_BYTES):
        size = int.from_bytes(data[start : start + 4], "little")
        if size == len(data) - start and _Stretch(data[start:], 0).is_record:
            return [data[:start], data[start:]]
    return [data]


def _certainties(parts: list[_Stretch]) -> list[bool] | None:
    """For each stretch, whether it can be delimited."""
    starts = {part.offset for part in parts} | {parts[-1].offset + len(parts[-1].data)}
    certain, lost = [], False  # whether the place is lost at present
    for number, part in enumerate(parts):
        if not part.is_record:
            following = part.offset + len(part.data)
            if part.claims & (starts - {following, part.offset}):
                return None
            next_agrees = number + 1 == len(parts) or parts[number + 1].is_record
            lost = lost or not (not part.agrees and following in part.claims and next_agrees)
            certain.append(False)
            continue
        lost = lost and not _is_chain(parts, number)
        certain.append(not lost)
    return certain


def _is_chain(parts: list[_Stretch], number: int) -> bool:
    return all(part.is_record for part in parts[number : number + _CHAIN])


def _joined(losses: list[tuple[Loss, bool]]) -> tuple[Loss, ...]:
    """Ranges that touch become one, those that are exact stay alone."""
    result: list[tuple[Loss, bool]] = []
    for loss, exact in losses:
        if result and not exact and not result[-1][1] and loss.start <= result[-1][0].stop:
            last = result.pop()[0]
            loss = Loss(last.start, max(last.stop, loss.stop), last.most + loss.most)
        result.append((loss, exact))
    return tuple(loss for loss, _ in result)
