"""Strategies for damaged and hostile GNT files.

A file is handled as a list of stretches, one for each record, which a damage changes, removes, cuts
or puts others beside. `gnt_oracle` derives from the stretches what must become of the records.
"""

import random
import struct

import numpy as np
from hypothesis import strategies as st

from tests.stress import gnt_oracle, hostile

Records = list[bytes]

_HEADER = struct.Struct("<I2sHH")  # size of the record, GBK character, width, height
_NO_CHARACTERS = (b"\xff\xff", b"\x80\x00", b"\x00\x80", b"\x81\x20", b"\0\0", b"ab", b"\n\0")
_SYMBOLS = tuple(symbol.encode("gbk").ljust(2, b"\0") for symbol in "，。！０Ａα7a&")
_SIZES = (0, 1, 9, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0xFFFFFFF6)
_SIDES = ((65535, 65535), (65535, 65534), (46341, 46341), (4096, 4096), (0, 0))
_TEXT = b"The quick brown fox jumps over the lazy dog. " * 120


def record(tag: bytes, width: int, height: int, bitmap: bytes, size: int | None = None) -> bytes:
    """The bytes of a record; `size`: what its size field says if not the truth."""
    size = _HEADER.size + width * height if size is None else size
    return _HEADER.pack(size, tag, width, height) + bitmap


def _sound_records() -> Records:
    """Different characters: rectangles of noise on white paper."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(60):
        width, height = rng.integers(13, 100, 2).tolist()
        paper = np.full((height, width), 255, np.uint8)
        for _ in range(4):
            top, left = rng.integers(1, height - 5), rng.integers(1, width - 5)
            stroke = paper[top : top + rng.integers(4, 30), left : left + rng.integers(4, 30)]
            stroke[:] = rng.integers(0, 255, stroke.shape)
        tag = bytes([0xB0, 0xA1 + number])  # a character of level 1 of GB 2312
        records.append(record(tag, width, height, paper.tobytes()))
    return records


RECORDS = _sound_records()


class HostileFile(hostile.Input):
    """A GNT file, and what must become of it."""

    def __init__(self, damage: str, stretches: list[bytes]):
        super().__init__(damage, b"".join(stretches))
        self.expected = gnt_oracle.expect(stretches)

    @property
    def can_be_converted(self) -> bool:
        """Whether it is determined what must come out, and something must.

        A file of which nothing can be read ends the conversion, unless it is empty.
        """
        return self.expected is not None and (
            not self.data or any(picture.certain for picture in self.expected.pictures)
        )


def files(least: int, most: int) -> st.SearchStrategy[HostileFile]:
    """Files of so many records, at least and at most, before the damage."""
    return _files(least, most).filter(lambda file: file.can_be_converted)


@st.composite
def _files(draw, least: int, most: int) -> HostileFile:
    first, count = draw(_up_to(len(RECORDS) - 1)), draw(st.integers(least, most))
    stretches = [RECORDS[(first + number) % len(RECORDS)] for number in range(count)]
    damage = draw(st.sampled_from(DAMAGES))
    damage(draw, stretches)
    return HostileFile(damage.__name__, stretches)


@st.composite
def unreadable(draw) -> bytes:
    """A file without a record that can be read."""
    sound = draw(st.sampled_from(RECORDS))
    kinds = [bytes(5000), b"\xff" * 5000, _TEXT, sound[:5], sound[:-1]]
    kinds += [_with_fields(sound, size=0), _with_fields(sound, tag=b"\xff\xff")]
    return draw(st.binary(min_size=1, max_size=200) | _noise(50_000) | st.sampled_from(kinds))


# The damages; each changes a list of records in place.


def doubled(draw, records: Records) -> None:
    """A record stands there twice, which is no damage."""
    number = draw(_up_to(len(records) - 1))
    records.insert(number, records[number])


def flipped_anywhere(draw, records: Records) -> None:
    """A few bits of the file are flipped."""
    data = b"".join(records)
    _replace_all(records, _flipped(draw, data, 0, len(data), 16))


def flipped_headers(draw, records: Records) -> None:
    """A few bits of the headers of one or several records are flipped."""
    for number in draw(st.sets(_up_to(len(records) - 1), min_size=1, max_size=3)):
        records[number] = _flipped(draw, records[number], 0, _HEADER.size, 4)


def flipped_bitmap(draw, records: Records) -> None:
    """Bits of one record's pixels are flipped, which nothing tells."""
    number = draw(_up_to(len(records) - 1))
    sound = records[number]
    records[number] = _flipped(draw, sound, _HEADER.size, len(sound), 16)


def truncated(draw, records: Records) -> None:
    """The file ends within a record's header or pixels, or between two records."""
    number = draw(st.integers(1, len(records) - 1))
    length = draw(_up_to(_HEADER.size) | _up_to(len(records[number]) - 1))
    records[number:] = [records[number][:length]] if length else []


def cut_out(draw, records: Records) -> None:
    """Bytes are missing, of one record or of several."""
    start, stop = draw(_ranges(records, 15_000))
    before, gap, behind, place = [], b"", [], 0
    for sound in records:
        end = place + len(sound)
        if end <= start:
            before.append(sound)
        elif place >= stop:
            behind.append(sound)
        else:
            gap += sound[: max(0, start - place)] + sound[stop - place :]
        place = end
    records[:] = [stretch for stretch in (*before, gap, *behind) if stretch]


def inserted(draw, records: Records) -> None:
    """Bytes stand where none belong: within a record, between records or at either end."""
    other, length = draw(st.sampled_from(records)), draw(st.integers(1, 5000))
    start = draw(_up_to(len(other) - 2))
    part_of_record = other[start : min(start + length, len(other) - 1)]
    constants = [bytes(length), b"\xff" * length, _TEXT[:length], part_of_record]
    junk = draw(st.binary(min_size=1, max_size=20) | _noise(5000) | st.sampled_from(constants))
    number = draw(_up_to(len(records)))
    if number == len(records) or draw(st.booleans()):
        records.insert(number, junk)
        return
    sound = records[number]
    place = draw(st.integers(1, _HEADER.size - 1) | st.integers(1, len(sound) - 1))
    records[number] = sound[:place] + junk + sound[place:]


def spliced(draw, records: Records) -> None:
    """Three sound records stand within the pixels of another one."""
    number = draw(_up_to(len(records) - 1))
    outer = records[number]
    place = draw(st.integers(_HEADER.size, len(outer) - 1))
    inner = draw(st.lists(st.sampled_from(records), min_size=3, max_size=3))
    records[number : number + 1] = [outer[:place], *inner, outer[place:]]


def wrong_size(draw, records: Records) -> None:
    """A size field is less than a header, leads out of the file, or overflows a signed number."""
    total = sum(map(len, records))
    number = draw(_up_to(len(records) - 1))
    size = draw(st.sampled_from([*_SIZES, total + 1, total + 100_000]))
    records[number] = _with_fields(records[number], size=size)


def wrong_sides(draw, records: Records) -> None:
    """Width and height are zero, absurd or false; the size field may agree with them."""
    number = draw(_up_to(len(records) - 1))
    _, _, width, height = _HEADER.unpack_from(records[number])
    false = [(0, height), (width, 0), (width, max(1, height // 2)), (width, height + 1)]
    width, height = draw(st.sampled_from([*_SIDES, *false, (width, 2 * height)]))
    size = {"size": _HEADER.size + width * height & 0xFFFFFFFF} if draw(st.booleans()) else {}
    records[number] = _with_fields(records[number], width=width, height=height, **size)


def other_tag(draw, records: Records) -> None:
    """The two bytes of a character stand for none, or for a symbol, which is no damage."""
    number = draw(_up_to(len(records) - 1))
    tag = draw(st.sampled_from(_NO_CHARACTERS) | st.sampled_from(_SYMBOLS))
    records[number] = _with_fields(records[number], tag=tag)


def overwritten(draw, records: Records) -> None:
    """Zeros or ones cover a range, which may be several records."""
    start, stop = draw(_ranges(records, 4000))
    data = b"".join(records)
    cover = draw(st.sampled_from([b"\0", b"\xff"])) * (stop - start)
    _replace_all(records, data[:start] + cover + data[stop:])


def empty(draw, records: Records) -> None:
    """The file has no bytes."""
    records.clear()


DAMAGES = (
    doubled, flipped_anywhere, flipped_headers, flipped_bitmap, truncated, cut_out, inserted,
    spliced, wrong_size, wrong_sides, other_tag, overwritten, empty,
)  # fmt: skip


def _up_to(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


@st.composite
def _ranges(draw, records: Records, usual: int) -> tuple[int, int]:
    """(start, stop) of some bytes of the file, at most half of it; mostly up to `usual`."""
    total = sum(map(len, records))
    most = total // 2
    lengths = (st.integers(1, limit) for limit in (20, min(usual, most), most))
    length = draw(st.one_of(*lengths))
    start = draw(_up_to(total - length))
    return start, start + length


def _noise(most: int) -> st.SearchStrategy[bytes]:
    """Up to so many random bytes, from a seed: hypothesis limits what one example may draw."""
    return st.builds(
        lambda seed, length: random.Random(seed).randbytes(length),
        _up_to(1 << 32),
        st.integers(1, most),
    )


def _flipped(draw, data: bytes, start: int, stop: int, most: int) -> bytes:
    """With up to so many bits of the bytes start .. stop-1 flipped."""
    changed = bytearray(data)
    for bit in draw(st.sets(st.integers(8 * start, 8 * stop - 1), min_size=1, max_size=most)):
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _replace_all(records: Records, data: bytes) -> None:
    """Makes `data`, which is as long as they are, the contents of all records."""
    place = 0
    for number, old in enumerate(records):
        records[number] = data[place : place + len(old)]
        place += len(old)


def _with_fields(sound: bytes, **fields) -> bytes:
    header = dict(zip(("size", "tag", "width", "height"), _HEADER.unpack_from(sound), strict=True))
    return _HEADER.pack(*(header | fields).values()) + sound[_HEADER.size :]
