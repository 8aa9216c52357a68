"""Records of the GNT format, sound and damaged ones, and files of them."""

import struct


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
