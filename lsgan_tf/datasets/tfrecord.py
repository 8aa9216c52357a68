"""The TFRecord file layout: framing, checking and finding records, without TensorFlow.

A record is  uint64 length | uint32 masked crc of the length | payload | uint32 masked crc of it,
little endian, crc = CRC-32C.
"""

import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

HEADER_BYTES = 12
OVERHEAD_BYTES = HEADER_BYTES + 4

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


class CorruptRecord(ValueError):
    """The bytes at this place are not a sound record; the message says in which way."""


class Frame(NamedTuple):
    """What a file holds where a record belongs."""

    offset: int
    end: int | None  # where the next record begins; None: this cannot be known
    payload: bytes | None = None  # None: the record is damaged
    damage: str = ""  # what is wrong with it


def masked_crc(data: bytes) -> int:
    """CRC-32C of `data`, rotated and offset as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """One record as it stands in the file."""
    length = _LENGTH.pack(len(payload))
    return b"".join(
        (length, _CRC.pack(masked_crc(length)), payload, _CRC.pack(masked_crc(payload)))
    )


def unframe(record: bytes) -> bytes:
    """The payload of one whole record; raises `CorruptRecord` unless both checksums hold."""
    length = _payload_length(record[:HEADER_BYTES])
    if length + OVERHEAD_BYTES != len(record):
        raise CorruptRecord(f"its length field says {length}, not {len(record) - OVERHEAD_BYTES}")
    payload = record[HEADER_BYTES:-4]
    if _CRC.unpack(record[-4:])[0] != masked_crc(payload):
        raise CorruptRecord("the checksum of its data does not match")
    return payload


def scan(path: Path) -> np.ndarray:
    """Finds the records of a file by walking over their headers; payloads are not read.

    Returns:
        uint64 [records + 1]: the offset of each record, and the file's size.

    Raises:
        CorruptRecord: a header is damaged or the last record is cut short.
    """
    size = os.path.getsize(path)
    offsets = [0]
    with open(path, "rb") as file:
        while offsets[-1] < size:
            try:
                length = _payload_length(os.pread(file.fileno(), HEADER_BYTES, offsets[-1]))
                if length + OVERHEAD_BYTES > size - offsets[-1]:
                    raise CorruptRecord("the file ends inside it")
            except CorruptRecord as error:
                raise CorruptRecord(f"record {len(offsets) - 1} of {path}: {error}") from None
            offsets.append(offsets[-1] + length + OVERHEAD_BYTES)
    return np.array(offsets, np.uint64)


def frames(path: Path, index: Sequence[int] = (), max_bytes: int = sys.maxsize) -> Iterator[Frame]:
    """Reads a whole file, one record in memory at a time, and goes on behind damaged records.

    A record whose length is damaged ends where its length says if another record begins there, or
    else where the index says. Where neither is so, its frame is the last one.

    Args:
        path: a file, not a pipe.
        index: the offset of each record, then the file's size, as far as they are known; they may
            be wrong.
        max_bytes: a longer payload counts as damaged and is not read.

    Raises:
        OSError: the file cannot be read.
    """
    size = os.path.getsize(path)
    offset, number = 0, 0
    with open(path, "rb") as file:
        while offset is not None and offset < size:
            number += 1
            frame = _frame(file.fileno(), offset, size, index[number : number + 1], max_bytes)
            yield frame
            offset = frame.end


def _frame(file: int, offset: int, size: int, indexed_end: Sequence[int], max_bytes: int) -> Frame:
    header = os.pread(file, HEADER_BYTES, offset)
    end = offset + int.from_bytes(header[:8], "little") + OVERHEAD_BYTES
    if size - offset < OVERHEAD_BYTES:
        return Frame(offset, None, damage="the file ends inside it")
    try:
        length = _payload_length(header)
    except CorruptRecord as error:
        for possible_end in (end, *indexed_end):
            if _is_boundary(file, offset, possible_end, size):
                return Frame(offset, possible_end, damage=str(error))
        unknown = "nothing tells where the next record begins: the rest of the file is not checked"
        return Frame(offset, None, damage=f"{error}, and {unknown}")
    if end > size:
        return Frame(offset, None, damage="the file ends inside it")
    if length > max_bytes:
        return Frame(offset, end, damage=f"it has {length} bytes, more than {max_bytes}")
    try:
        return Frame(offset, end, payload=unframe(os.pread(file, end - offset, offset)))
    except CorruptRecord as error:
        return Frame(offset, end, damage=str(error))


def _is_boundary(file: int, offset: int, end: int, size: int) -> bool:
    """Whether the record at `offset` can end at `end`: the file ends there, or a header follows."""
    if not offset + OVERHEAD_BYTES <= end <= size:
        return False
    try:
        return end == size or _payload_length(os.pread(file, HEADER_BYTES, end)) >= 0
    except CorruptRecord:
        return False


def _payload_length(header: bytes) -> int:
    if len(header) < HEADER_BYTES:
        raise CorruptRecord("the file ends inside it")
    length = header[:8]
    if _CRC.unpack(header[8:])[0] != masked_crc(length):
        raise CorruptRecord("the checksum of its length does not match")
    return _LENGTH.unpack(length)[0]
