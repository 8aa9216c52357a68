"""Records of the GNT format, sound and damaged ones, files of them, and how to convert them."""

import functools
import struct

from tests.tools import conversions
from tools import convert_hwdb


def record(text="啊", width=3, height=2, *, size=None, tag=None, stated=None, ink=None):
    """The bytes of a record; `size`, `tag` and `stated` (width, height) override what is true."""
    tag = tag or text.encode("gbk").ljust(2, b"\0")
    if ink is None:
        ink = bytes(200 + number % 56 for number in range(width * height))
    size = 10 + width * height if size is None else size
    return struct.pack("<I2sHH", size, tag, *(stated or (width, height))) + ink


def shade(text, grey, width=28, height=28):
    """A record of one grey."""
    return record(text, width, height, ink=bytes([grey]) * (width * height))


def write(path, *records):
    """Writes a file of records; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def write_damaged(folder, files, count=300):
    """Writes w0.gnt .. of `count` small characters each, with two damages; returns the folder."""
    for number in range(files):
        records = [shade("中国啊A"[n % 4], n % 250, 3, 3) for n in range(count)]
        records[100] += b"\xff" * 30
        records[250] = record("爱", 3, 3, size=1)
        write(folder / f"w{number}.gnt", *records)
    return folder


def two_writers(folder):
    """3 and 4 Chinese characters, of which 龥 is not of level 1; three symbols, other files."""
    write(folder / "b" / "w2.GNT", *[shade(t, 20 + n) for n, t in enumerate("中龥!啊中")])
    write(folder / "w1.gnt", *[shade(t, 10 + n) for n, t in enumerate("中A国3啊")])
    (folder / ".hidden.gnt").write_bytes(b"junk")
    (folder / "README").write_text("ignored")
    return folder


def convert(source, target, **options):
    sources = source if isinstance(source, list) else [source]
    return convert_hwdb.convert(sources, target, convert_hwdb.Options(**options))


failure = functools.partial(conversions.failure, convert)
