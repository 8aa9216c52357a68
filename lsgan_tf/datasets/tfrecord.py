"""The TFRecord file layout: framing, checking and finding records, without TensorFlow.

A record is  uint64 length | uint32 masked crc of the length | payload | uint32 masked crc of it,
little endian, crc = CRC-32C.
"""

import os
import struct
from pathlib import Path

import google_crc32c
import numpy as np

HEADER_BYTES = 12
OVERHEAD_BYTES = HEADER_BYTES + 4

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


class CorruptRecord(ValueError):
    """The bytes at this place are not a sound record; the message says in which way."""


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


def _payload_length(header: bytes) -> int:
    if len(header) < HEADER_BYTES:
        raise CorruptRecord("the file ends inside it")
    length = header[:8]
    if _CRC.unpack(header[8:])[0] != masked_crc(length):
        raise CorruptRecord("the checksum of its length does not match")
    return _LENGTH.unpack(length)[0]
