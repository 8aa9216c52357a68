"""Ways in which a GNT file can be damaged or hostile, for fuzzing `convert_hwdb`.

A file is handled as its stretches: one per record, which a mutation changes, removes, cuts, adds
to or puts others beside. What must become of the records then follows from the stretches alone,
see `gnt_oracle`.
"""

import random
import struct
from collections.abc import Callable

Stretches = list[bytes]
Mutation = Callable[[random.Random, Stretches], Stretches]

_HEADER_BYTES = 10
_NO_CHARACTERS = (b"\xff\xff", b"\x80\x00", b"\x00\x80", b"\x81\x20", b"\0\0", b"ab", b"\n\0")
_SYMBOLS = ("，", "。", "！", "０", "Ａ", "α", "7", "a", "&")
_TEXT = b"The quick brown fox jumps over the lazy dog. "


def flipped_anywhere(rng: random.Random, records: Stretches) -> Stretches:
    """A few bits of the file."""
    data = b"".join(records)
    return _split(_flipped(rng, data, 0, len(data), rng.randint(1, 16)), records)


def flipped_header(rng: random.Random, records: Stretches) -> Stretches:
    """A few bits of the headers of one or several records."""
    for number in rng.sample(range(len(records)), rng.randint(1, 3)):
        records = _with(
            records, number, _flipped(rng, records[number], 0, _HEADER_BYTES, rng.randint(1, 4))
        )
    return records


def flipped_bitmap(rng: random.Random, records: Stretches) -> Stretches:
    """Bits of one record's pixels."""
    number = rng.randrange(len(records))
    record = records[number]
    flips = rng.randint(1, 64)
    return _with(records, number, _flipped(rng, record, _HEADER_BYTES, len(record), flips))


def truncated_in_header(rng: random.Random, records: Stretches) -> Stretches:
    """The file ends within a record's header."""
    number = rng.randrange(1, len(records))
    return [*records[:number], records[number][: rng.randrange(1, _HEADER_BYTES)]]


def truncated_in_bitmap(rng: random.Random, records: Stretches) -> Stretches:
    """The file ends within a record's pixels."""
    number = rng.randrange(1, len(records))
    record = records[number]
    return [*records[:number], record[: rng.randrange(_HEADER_BYTES, len(record))]]


def truncated_between(rng: random.Random, records: Stretches) -> Stretches:
    """The file ends between records, which nothing tells."""
    return records[: rng.randrange(1, len(records))]


def cut_out(rng: random.Random, records: Stretches) -> Stretches:
    """Bytes are missing, from one to several records."""
    data = b"".join(records)
    length = min(rng.choice([rng.randint(1, 20), rng.randint(1, 2000), rng.randint(1, 15000)]),
                 len(data) // 2)  # fmt: skip
    start = rng.randrange(len(data) - length + 1)
    stop = start + length
    result, place = [], 0
    head = None  # of the record in which the gap begins
    for record in records:
        end = place + len(record)
        if end <= start or place >= stop:
            result.append(record)
        else:
            if head is None:
                head = record[: max(0, start - place)]
            if end >= stop:
                result.append(head + record[stop - place :])
        place = end
    return [stretch for stretch in result if stretch]


def inserted(rng: random.Random, records: Stretches) -> Stretches:
    """Bytes of several kinds where none belong, at the ends of the file too."""
    length = rng.choice([1, 2, 9, 10, 11, rng.randint(1, 100), rng.randint(1, 5000)])
    other = records[rng.randrange(len(records))]
    start = rng.randrange(len(other) - 1)
    junk = rng.choice([
        rng.randbytes(length), b"\0" * length, b"\xff" * length, (_TEXT * length)[:length],
        other[start : min(start + length, len(other) - 1)],
    ])  # fmt: skip
    number = rng.randrange(len(records) + 1)
    if number == len(records) or rng.random() < 0.3:
        return [*records[:number], junk, *records[number:]]
    record = records[number]
    place = rng.choice([rng.randrange(1, _HEADER_BYTES), rng.randrange(1, len(record))])
    return _with(records, number, record[:place] + junk + record[place:])


def spliced(rng: random.Random, records: Stretches) -> Stretches:
    """Three sound records within the pixels of another one."""
    number = rng.randrange(len(records))
    record = records[number]
    place = rng.randrange(_HEADER_BYTES, len(record))
    inner = [rng.choice(records) for _ in range(3)]
    parts = [record[:place], *inner, record[place:]]
    return [*records[:number], *parts, *records[number + 1 :]]


def size_zero(rng: random.Random, records: Stretches) -> Stretches:
    """A size field of zero, or smaller than a header."""
    return _with_header(rng, records, size=rng.choice([0, 0, 1, 9]))


def size_beyond(rng: random.Random, records: Stretches) -> Stretches:
    """A size field that leads out of the file, or would overflow a signed number."""
    total = sum(map(len, records))
    sizes = [0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0xFFFFFFF6, total + 1, total + 100_000]
    return _with_header(rng, records, size=rng.choice(sizes))


def sides_zero(rng: random.Random, records: Stretches) -> Stretches:
    """A width or height of zero; the size field may agree with that."""
    zero = rng.choice([{"width": 0}, {"height": 0}, {"width": 0, "height": 0}])
    return _with_header(rng, records, **zero, **rng.choice([{}, {"size": _HEADER_BYTES}]))


def sides_overflow(rng: random.Random, records: Stretches) -> Stretches:
    """More pixels than 32 bits or any picture hold; the size field may agree with that."""
    width, height = rng.choice([(65535, 65535), (65535, 65534), (46341, 46341), (4096, 4096)])
    size = {"size": _HEADER_BYTES + width * height & 0xFFFFFFFF} if rng.random() < 0.5 else {}
    return _with_header(rng, records, width=width, height=height, **size)


def sides_lie(rng: random.Random, records: Stretches) -> Stretches:
    """Numbers that agree with each other, but not with what is there: other height."""
    number = rng.randrange(len(records))
    _, _, width, height = _header(records[number])
    height = rng.choice([max(1, height // 2), height + 1, 2 * height])
    size = _HEADER_BYTES + width * height
    return _with(records, number, _changed(records[number], size=size, height=height))


def tag_no_gbk(rng: random.Random, records: Stretches) -> Stretches:
    """Two bytes that stand for no character."""
    return _with_header(rng, records, tag=rng.choice(_NO_CHARACTERS))


def tag_symbol(rng: random.Random, records: Stretches) -> Stretches:
    """A character that is not Chinese, which is no damage."""
    tag = rng.choice(_SYMBOLS).encode("gbk").ljust(2, b"\0")
    return _with_header(rng, records, tag=tag)


def doubled(rng: random.Random, records: Stretches) -> Stretches:
    """A record twice, which is no damage."""
    number = rng.randrange(len(records))
    return [*records[: number + 1], *records[number:]]


def zeros(rng: random.Random, records: Stretches) -> Stretches:
    """Zeros over a range."""
    return _blotted(rng, records, b"\0")


def ones(rng: random.Random, records: Stretches) -> Stretches:
    """0xFF over a range."""
    return _blotted(rng, records, b"\xff")


def empty(rng: random.Random, records: Stretches) -> Stretches:
    """No bytes at all."""
    return []


# The empty file is last: it is rarer than the others, see `gnt_fuzz`.
MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        flipped_anywhere, flipped_header, flipped_bitmap, truncated_in_header, truncated_in_bitmap,
        truncated_between, cut_out, inserted, spliced, size_zero, size_beyond, sides_zero,
        sides_overflow, sides_lie, tag_no_gbk, tag_symbol, doubled, zeros, ones, empty,
    )
}  # fmt: skip


def no_gnt(rng: random.Random, records: Stretches) -> bytes:
    """A file without a single record that can be read."""
    record = records[0]
    return rng.choice([
        rng.randbytes(rng.randint(1, 50_000)), b"\0" * 5000, b"\xff" * 5000, _TEXT * 100,
        record[:5], record[:-1], _changed(record, size=0), _changed(record, tag=b"\xff\xff"),
    ])  # fmt: skip


def _flipped(rng: random.Random, data: bytes, start: int, stop: int, bits: int) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[rng.randrange(start, stop)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _blotted(rng: random.Random, records: Stretches, ink: bytes) -> Stretches:
    data = b"".join(records)
    most = len(data) // 2
    length = rng.choice([rng.randint(1, 12), rng.randint(1, min(4000, most)), rng.randint(1, most)])
    start = rng.randrange(len(data) - length + 1)
    return _split(data[:start] + ink * length + data[start + length :], records)


def _split(data: bytes, like: Stretches) -> Stretches:
    result, place = [], 0
    for record in like:
        result.append(data[place : place + len(record)])
        place += len(record)
    return result


def _with(records: Stretches, number: int, record: bytes) -> Stretches:
    return [*records[:number], record, *records[number + 1 :]]


def _with_header(rng: random.Random, records: Stretches, **fields) -> Stretches:
    number = rng.randrange(len(records))
    return _with(records, number, _changed(records[number], **fields))


def _header(record: bytes) -> tuple[int, bytes, int, int]:
    return struct.unpack_from("<I2sHH", record)


def _changed(record: bytes, size=None, tag=None, width=None, height=None) -> bytes:
    new = (size, tag, width, height)
    fields = (
        old if value is None else value for old, value in zip(_header(record), new, strict=True)
    )
    return struct.pack("<I2sHH", *fields) + record[_HEADER_BYTES:]
