"""Walks over a TFRecord file that may be damaged anywhere, and says where and how."""

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lsgan_tf.datasets import pictures, tfrecord
from tools.verifying.faults import Faults

MAX_RECORD_BYTES = pictures.MAX_FILE_BYTES  # what is longer is not held in memory
_CHUNK_BYTES = 1 << 20

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


class ShardReader:
    """Reads a shard once, from its begin to its end, and compares it with its index.

    Attributes:
        size: bytes of the file.
        count: records met so far, damaged ones included.
        complete: whether the records reach to the end of the file.
    """

    def __init__(self, path: Path, index: Path, faults: Faults):
        """Opens both files; raises `OSError` if the shard cannot be opened."""
        self._name = path.name
        self._faults = faults
        self._file = _open(path)
        self._index = _Index(index, faults)
        self._digest = hashlib.sha256()
        self._position = 0
        self.size = os.fstat(self._file.fileno()).st_size
        self.count = 0
        self.complete = False

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        self._index.close()

    def payloads(self) -> Iterator[tuple[str, int, bytes]]:
        """Yields (where, number, payload) of each record whose checksums hold.

        A damaged record is a fault, and the next one is looked for where its length says, or, if
        that is what is damaged, where the index says.
        """
        while self._position < self.size:
            offset, number = self._position, self.count
            where = f"{self._name}: record {number} at offset {offset}"
            self._index.compare(number, offset)
            end = self._end(where, offset)
            if end is None:
                return
            self.count += 1
            if self._position == offset + tfrecord.HEADER_BYTES:
                payload = self._payload(where, end)
                if payload is not None:
                    yield where, number, payload
            self._skip_to(end)
        self.complete = True
        self._index.compare(self.count, self.size)
        self._index.compare_end(self.count)

    def sha256(self) -> str:
        """Hex digest of the whole file, of which it reads what is left."""
        self._skip_to(self.size)
        return self._digest.hexdigest()

    def _end(self, where: str, offset: int) -> int | None:
        """Reads a header; returns where its record ends, None if that cannot be known.

        If only the index knows it, nothing of the record but its place is to be trusted, and the
        position is left at its end.
        """
        if self.size - offset < tfrecord.OVERHEAD_BYTES:
            self._faults.add(where, "the file ends inside it")
            return None
        header = self._read(tfrecord.HEADER_BYTES)
        end = _stated_end(header, offset)
        if _crc_holds(header):
            if end > self.size:
                self._faults.add(where, "the file ends inside it")
                return None
            return end
        for end in (_stated_end(header, offset), self._index.entry(self.count + 1)):
            if end is not None and self._is_boundary(end, offset):
                self._faults.add(where, "the checksum of its length does not match")
                self._skip_to(end)
                return end
        self._faults.add(
            where,
            "the checksum of its length does not match, and nothing tells where the next record "
            "begins: the rest of the file is not checked",
        )
        return None

    def _is_boundary(self, end: int, offset: int) -> bool:
        if not offset + tfrecord.OVERHEAD_BYTES <= end <= self.size:
            return False
        header = os.pread(self._file.fileno(), tfrecord.HEADER_BYTES, end)
        return end == self.size or (len(header) == tfrecord.HEADER_BYTES and _crc_holds(header))

    def _payload(self, where: str, end: int) -> bytes | None:
        length = end - self._position - _CRC.size
        if length > MAX_RECORD_BYTES:
            self._faults.add(where, f"it has {length} bytes, more than any image may have")
            return None
        payload = self._read(length)
        if _CRC.unpack(self._read(_CRC.size))[0] != tfrecord.masked_crc(payload):
            self._faults.add(where, "the checksum of its data does not match")
            return None
        return payload

    def _skip_to(self, end: int) -> None:
        while self._position < end:
            self._read(min(_CHUNK_BYTES, end - self._position))

    def _read(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) != length:
            raise OSError("it became shorter while it was read")
        self._digest.update(data)
        self._position += length
        return data


class _Index:
    """The sidecar of a shard: reports the first entry that is wrong."""

    def __init__(self, path: Path, faults: Faults):
        self._where = f"{path.parent.name}/{path.name}"
        self._faults = faults
        self._file = None
        self._at_fault = False
        try:
            self._file = _open(path)
        except FileNotFoundError:
            self._at_fault = True  # it only saves time, see record_files
        except OSError as error:
            self._fault(f"it cannot be read: {error.strerror or error}")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def entry(self, number: int) -> int | None:
        """What it says; None beyond its end."""
        if self._file is None:
            return None
        data = os.pread(self._file.fileno(), _LENGTH.size, _LENGTH.size * number)
        return _LENGTH.unpack(data)[0] if len(data) == _LENGTH.size else None

    def compare(self, number: int, offset: int) -> None:
        if self._at_fault:
            return
        entry = self.entry(number)
        if entry is None:
            self._fault(f"it ends before entry {number}, which would be {offset}")
        elif entry != offset:
            self._fault(f"entry {number} is {entry}, not {offset}")

    def compare_end(self, last: int) -> None:
        """Checks that nothing follows the last entry."""
        if self._at_fault:
            return
        size, expected = os.fstat(self._file.fileno()).st_size, _LENGTH.size * (last + 1)
        if size != expected:
            self._fault(f"it has {size} bytes, not {expected}")

    def _fault(self, what: str) -> None:
        self._faults.add(self._where, what)
        self._at_fault = True


def _stated_end(header: bytes, offset: int) -> int:
    return offset + _LENGTH.unpack_from(header)[0] + tfrecord.OVERHEAD_BYTES


def _crc_holds(header: bytes) -> bool:
    return _CRC.unpack(header[8:])[0] == tfrecord.masked_crc(header[:8])


def _open(path: Path) -> BinaryIO:
    # Opening a pipe would wait for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is not a file")
    return open(path, "rb")  # closed by whoever asked for it
