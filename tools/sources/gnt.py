"""The .gnt format of the CASIA databases of handwritten characters, damaged files included.

A file holds the characters of one writer, one record after another, little endian:

    uint32  size of the record: 10 + width * height
    2 bytes the character in GBK; ASCII is one byte and a zero
    uint16  width, pixels
    uint16  height, pixels
    uint8   [height, width]: 255 is paper, 0..254 is ink

There is no count and no checksum. A record is sound if its size, width and height agree and another
record, or the end of the file, follows it. Behind a damaged one, reading continues where sound
records begin again. Time is linear in the size of the file and memory is bounded, whatever the
bytes are.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import BinaryIO

from .gnt_window import HEADER_BYTES, MAX_RECORD_BYTES, Header, Search, Window


@dataclasses.dataclass(frozen=True, slots=True)
class Character:
    """A sound record."""

    offset: int  # of the record in the file
    text: str  # one character
    width: int
    height: int
    bitmap: bytes | None  # uint8 [height, width], row by row; None if not asked for


@dataclasses.dataclass(frozen=True, slots=True)
class Damage:
    """A part of the file that holds no sound record."""

    offset: int
    size: int  # bytes
    why: str


def read_records(
    stream: BinaryIO, size: int, *, bitmaps: bool, start: int = 0
) -> Iterator[Character | Damage]:
    """Reads a file; the characters and damages, in order, cover it without a gap.

    Args:
        stream: the file; it is read forwards only, after one `seek` to `start`.
        size: of the whole file, bytes.
        bitmaps: whether to read them; the same characters and damages are found without.
        start: offset of a character that an earlier pass yielded, or 0.

    Yields:
        What that pass yielded from `start` on.

    Raises:
        EOFError: the stream ends before `size`.
    """
    if not size:
        yield Damage(0, 0, "the file is empty")
    window = Window(stream, size, start)
    search = Search(window)
    offset = start
    while offset < size:
        window.forget(offset)
        header = window.header(offset)
        if header is None:
            why = f"the file ends after {size - offset} of a record's first {HEADER_BYTES} bytes"
            yield Damage(offset, size - offset, why)
            return
        end = offset + header.size
        if not header.agrees():
            damage = _bad_header(window, search, offset, header)
            yield damage
            offset += damage.size
        elif end > size:
            following = search.forgetful_chain(offset + HEADER_BYTES)
            yield _cut(offset, header, following, size)
            offset = size if following is None else following
        elif _follows(window, end):
            yield _character(window, offset, header, bitmaps)
            offset = end
        else:
            # Either the record is cut short, or it is whole and followed by other bytes.
            inside = search.chain(offset + HEADER_BYTES, end)
            if inside is not None:
                yield _cut(offset, header, inside, size)
                offset = inside
            else:
                yield _character(window, offset, header, bitmaps)
                offset = end


@functools.cache
def decode_character(tag: bytes) -> str | None:
    """The character of a record's two bytes; None if they stand for no visible one."""
    try:
        text = tag[:1].decode("ascii") if tag[1] == 0 else tag.decode("gbk")
    except UnicodeDecodeError:
        return None
    return text if len(text) == 1 and text.isprintable() and not text.isspace() else None


def _follows(window: Window, offset: int) -> bool:
    """Whether a sound record or the file's end is at `offset`, or a bad one whose end is known."""
    header = window.header(offset)
    return header is None or header.agrees() or _end_of_bad(window, offset, header) is not None


def _end_of_bad(window: Window, offset: int, header: Header) -> int | None:
    """Where a record with a contradictory header ends, if its size or its pixels tell."""
    by_pixels = HEADER_BYTES + header.width * header.height
    for length in sorted((by_pixels, header.size)):
        end = offset + length
        if not HEADER_BYTES <= length <= MAX_RECORD_BYTES or end > window.size:
            continue
        following = window.header(end)
        if end == window.size or following is not None and following.agrees():
            return end
    return None


def _bad_header(window: Window, search: Search, offset: int, header: Header) -> Damage:
    why = header.contradiction()
    end = _end_of_bad(window, offset, header)
    if end is not None:
        return Damage(offset, end - offset, why)
    following = search.forgetful_chain(offset + 1)
    if following is None:
        lost = window.size - offset
        return Damage(offset, lost, f"{why}; none of the last {lost} bytes can be read")
    lost = following - offset
    return Damage(offset, lost, f"{why}; {lost} bytes up to the next record are lost")


def _cut(offset: int, header: Header, following: int | None, size: int) -> Damage:
    end, what = (size, "the file ends") if following is None else (following, "the next one begins")
    length = end - offset
    return Damage(offset, length, f"the record has {header.size} bytes, but {what} after {length}")


def _character(window: Window, offset: int, header: Header, bitmaps: bool) -> Character | Damage:
    text = decode_character(header.tag)
    if text is None:
        why = f"its two bytes {header.tag.hex(' ').upper()} stand for no visible character"
        return Damage(offset, header.size, why)
    bitmap = None
    if bitmaps:
        bitmap = window.read(offset + HEADER_BYTES, offset + header.size)
    return Character(offset, text, header.width, header.height, bitmap)
