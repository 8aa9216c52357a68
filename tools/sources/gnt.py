"""The .gnt format of the CASIA databases of handwritten characters, damaged files included.

A file holds the characters of one writer, one record after another, little endian:

    uint32  size of the record: 10 + width * height
    2 bytes the character in GBK; ASCII is one byte and a zero
    uint16  width, pixels
    uint16  height, pixels
    uint8   [height, width]: 255 is paper, 0..254 is ink

There is no count and no checksum: what can be trusted is that a record's three numbers agree and
that another record, or the end of the file, follows where they say. Where that is not so, reading
continues at the next place where records follow each other again. The work is linear in the size
of the file and the memory bounded, whatever the bytes are.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import BinaryIO

from tools.sources.gnt_window import HEADER_BYTES, MAX_RECORD_BYTES, Header, Search, Window


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
    """A stretch of the file that yields no character."""

    offset: int
    size: int  # bytes
    why: str


def records(
    stream: BinaryIO, size: int, *, bitmaps: bool, start: int = 0
) -> Iterator[Character | Damage]:
    """Reads a file; its characters and its damages, in order, cover it without a gap.

    Args:
        stream: is read forwards only, after one `seek` to `start`.
        size: of the whole file, bytes.
        bitmaps: False leaves them out. Both ways find the same characters and damages.
        start: offset of a character found earlier: yields what then came from there on.

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
            # The record is cut short, or it is whole and something else lies behind it.
            inside = search.chain(offset + HEADER_BYTES, end)
            if inside is not None:
                yield _cut(offset, header, inside, size)
                offset = inside
            else:
                yield _character(window, offset, header, bitmaps)
                offset = end


@functools.cache
def character(tag: bytes) -> str | None:
    """The character of a record's two bytes; None if they stand for none that can be seen."""
    try:
        text = tag[:1].decode("ascii") if tag[1] == 0 else tag.decode("gbk")
    except UnicodeDecodeError:
        return None
    return text if len(text) == 1 and text.isprintable() and not text.isspace() else None


def _follows(window: Window, offset: int) -> bool:
    """Whether another record is at `offset`, the file ends there, or what is there can be told."""
    header = window.header(offset)
    return header is None or header.agrees() or _end_of_bad(window, offset, header) is not None


def _end_of_bad(window: Window, offset: int, header: Header) -> int | None:
    """Where the record ends whose header contradicts itself: one of its numbers may be right."""
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
    there = end - offset
    return Damage(offset, there, f"the record has {header.size} bytes, but {what} after {there}")


def _character(window: Window, offset: int, header: Header, bitmaps: bool) -> Character | Damage:
    text = character(header.tag)
    if text is None:
        why = f"its two bytes {header.tag.hex(' ').upper()} stand for no visible character"
        return Damage(offset, header.size, why)
    bitmap = None
    if bitmaps:
        bitmap = window.read(offset + HEADER_BYTES, offset + header.size)
    return Character(offset, text, header.width, header.height, bitmap)
