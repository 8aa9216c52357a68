"""Forward reading of a GNT file: headers, and the search for records behind damage."""

import bisect
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

MAX_PIXELS = 1 << 22  # of a character; usual are a hundred pixels by a hundred
CHAIN = 3  # consecutive records that count as found; random bytes do not form so many

_HEADER = struct.Struct("<I2sHH")
HEADER_BYTES = _HEADER.size
MAX_RECORD_BYTES = HEADER_BYTES + MAX_PIXELS

_READ_BYTES = 1 << 18
_SCAN_BYTES = 1 << 20


class Header(NamedTuple):
    """The first bytes of a record, not checked."""

    size: int
    tag: bytes
    width: int
    height: int

    def agrees(self) -> bool:
        """Whether the numbers are consistent and within the bounds of a character."""
        size = self.size
        return (
            size == HEADER_BYTES + self.width * self.height
            and HEADER_BYTES < size <= MAX_RECORD_BYTES
        )

    def contradiction(self) -> str:
        """What is wrong with a header that does not agree."""
        needed = HEADER_BYTES + self.width * self.height
        if self.size != needed:
            return (
                f"its size field says {self.size} bytes, its width {self.width} and height "
                f"{self.height} make {needed}"
            )
        if needed > MAX_RECORD_BYTES:
            return (
                f"{self.width}x{self.height} pixels are more than the {MAX_PIXELS} of a character"
            )
        return f"it has no pixels (width {self.width}, height {self.height})"


class Window:
    """The part of a stream that is held in memory."""

    def __init__(self, stream: BinaryIO, size: int, start: int):
        stream.seek(start)
        self.size = size
        self._stream = stream
        self._data, self._start = b"", start  # the bytes in memory, their offset in the file
        self._needed = start

    def forget(self, offset: int) -> None:
        """Allows the bytes before `offset` to be dropped."""
        self._needed = offset

    def header(self, offset: int) -> Header | None:
        """The header at `offset`; None if the file ends before it does."""
        if offset + HEADER_BYTES > self.size:
            return None
        self._reach(offset + HEADER_BYTES)
        return Header._make(_HEADER.unpack_from(self._data, offset - self._start))

    def read(self, offset: int, stop: int) -> bytes:
        """The bytes offset .. stop-1 of the file."""
        self._reach(stop)
        return self._data[offset - self._start : stop - self._start]

    def _reach(self, stop: int) -> None:
        end = self._start + len(self._data)
        if stop <= end:
            return
        missing = min(max(stop, end + _READ_BYTES), self.size) - end
        parts = [self._data[self._needed - self._start :]]
        while missing:
            part = self._stream.read(missing)
            if not part:
                raise EOFError(f"it ends {missing} bytes early")
            parts.append(part)
            missing -= len(part)
        self._data, self._start = b"".join(parts), self._needed


class Search:
    """Finds the next chain of records; each part of a file is searched once."""

    def __init__(self, window: Window):
        self._window = window
        self._candidates: list[int] = []  # offsets of headers that agree
        self._searched = 0  # the offset up to which they are known

    def chain(self, start: int, stop: int) -> int | None:
        """The first offset in start .. stop-1 where a chain of records begins, if any.

        A chain is `CHAIN` consecutive records, or fewer up to the end of the file.
        """
        while True:
            first = bisect.bisect_left(self._candidates, start)
            for index in range(first, len(self._candidates)):  # a slice would copy them each time
                candidate = self._candidates[index]
                if candidate >= stop:
                    return None
                if self._is_chain(candidate):
                    return candidate
            start = max(start, self._searched)
            if start >= stop or start + HEADER_BYTES > self._window.size:
                return None
            self._find_candidates(start)

    def forgetful_chain(self, start: int) -> int | None:
        """Like `chain` up to the end of the file; the window forgets what has been searched."""
        while start < self._window.size:
            self._window.forget(start)
            stop = start + _SCAN_BYTES
            chain = self.chain(start, stop)
            if chain is not None:
                return chain
            start = stop
        return None

    def _find_candidates(self, start: int) -> None:
        stop = min(start + _SCAN_BYTES, self._window.size - HEADER_BYTES + 1)
        data = self._window.read(start, stop + HEADER_BYTES - 1)
        # Views of the three fields at each byte offset, aligned or not.
        sizes = np.ndarray(stop - start, "<u4", data, 0, 1)
        widths = np.ndarray(stop - start, "<u2", data, 6, 1)
        heights = np.ndarray(stop - start, "<u2", data, 8, 1)
        possible = np.flatnonzero((sizes > HEADER_BYTES) & (sizes <= MAX_RECORD_BYTES))
        sizes = sizes[possible].astype(np.int64)
        agree = sizes == HEADER_BYTES + widths[possible].astype(np.int64) * heights[possible]
        fit = start + possible + sizes <= self._window.size
        self._candidates = (start + possible[agree & fit]).tolist()
        self._searched = stop

    def _is_chain(self, offset: int) -> bool:
        for number in range(CHAIN):
            header = self._window.header(offset)
            if not header.agrees():
                return False
            offset += header.size
            rest = self._window.size - offset
            if rest < HEADER_BYTES:  # the end of the file, perhaps within one more record
                return rest == 0 or number > 0
        return True
