"""Reads .xz files with a bound on memory: they declare themselves how much unpacking takes."""

import io
import lzma
from pathlib import Path
from typing import BinaryIO

_MAX_MEMORY = 1 << 27  # bytes; `xz -9` needs half of it
_BLOCK_BYTES = 1 << 16


def open_xz(path: Path) -> BinaryIO:
    """Opens the unpacked file; reading it raises `lzma.LZMAError` or `EOFError` for damage."""
    return io.BufferedReader(_Unpacked(path))


class _Unpacked(io.RawIOBase):
    """Goes forward, or starts again."""

    def __init__(self, path: Path):
        self._packed = open(path, "rb")  # noqa: SIM115
        self._restart()

    def _restart(self) -> None:
        self._packed.seek(0)
        self._unpack, self._place, self._at_end = _unpacker(), 0, False

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._place

    def seek(self, offset, whence=io.SEEK_SET):
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        if offset < self._place:
            self._restart()
        while self._place < offset and self._read(min(offset - self._place, _BLOCK_BYTES)):
            pass
        return self._place

    def readinto(self, buffer):
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self._packed.close()
        super().close()

    def _read(self, most: int) -> bytes:
        data = b""
        while not data and not self._at_end:
            if self._unpack.eof:
                self._next_stream()
            elif self._unpack.needs_input:
                packed = self._packed.read(_BLOCK_BYTES)
                if not packed:
                    raise EOFError("the compressed file ends early")
                data = self._unpack.decompress(packed, most)
            else:
                data = self._unpack.decompress(b"", most)
        self._place += len(data)
        return data

    def _next_stream(self) -> None:
        """Several may follow one another, with zeros between and behind them."""
        packed = self._unpack.unused_data.lstrip(b"\0")
        while not packed and (more := self._packed.read(_BLOCK_BYTES)):
            packed = more.lstrip(b"\0")
        if not packed:
            self._at_end = True
            return
        self._packed.seek(-len(packed), io.SEEK_CUR)
        self._unpack = _unpacker()


def _unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
