"""The GNT format: every kind of damage, and which records survive it."""

import io
import random
import re
import struct
import time
import tracemalloc

import numpy as np
import pytest

from tests.tools.gnt_files import record
from tools.sources import gnt
from tools.sources.gnt import Character, Damage

TEXT = "啊阿埃挨哎唉哀皑癌蔼"  # B0A1, B0A2, ...


def three(second):
    """A sound record, the given bytes at offset 16, and four sound records."""
    return record(TEXT[0]) + second + b"".join(map(record, TEXT[1:5]))


def read(data):
    """What is in a file, after checking that both walks agree and that all of it is covered."""
    items = list(gnt.read_records(io.BytesIO(data), len(data), bitmaps=True))
    brief = list(gnt.read_records(io.BytesIO(data), len(data), bitmaps=False))
    assert [_without_bitmap(item) for item in items] == [_without_bitmap(item) for item in brief]
    assert all(item.bitmap is None for item in brief if isinstance(item, Character))
    offset = 0
    for item in items:
        assert item.offset == offset
        if isinstance(item, Character):
            assert len(item.bitmap) == item.width * item.height
            item = Damage(offset, 10 + len(item.bitmap), "")
        offset += item.size
    assert offset == len(data)
    return items


def _without_bitmap(item):
    return item if isinstance(item, Damage) else (item.offset, item.text, item.width, item.height)


def texts(items):
    return "".join(item.text for item in items if isinstance(item, Character))


def damages(items):
    return [(item.offset, item.size) for item in items if isinstance(item, Damage)]


def only_damage(items):
    (damage,) = (item for item in items if isinstance(item, Damage))
    return damage


def test_sound_records_row_by_row():
    data = record("中", 3, 2, ink=b"\x01\x02\x03\x04\x05\x06") + record("!", 1, 2, ink=b"\xff\x00")
    assert read(data) == [
        Character(0, "中", 3, 2, b"\x01\x02\x03\x04\x05\x06"),
        Character(16, "!", 1, 2, b"\xff\x00"),
    ]


def test_bytes_of_the_format():
    data = bytes.fromhex("0c000000 b0a1 0200 0100 ff7f")
    assert read(data) == [Character(0, "啊", 2, 1, b"\xff\x7f")]


def test_an_empty_file_is_one_damage():
    assert read(b"") == [Damage(0, 0, "the file is empty")]


def contradiction(size, width, height):
    return (
        f"its size field says {size} bytes, its width {width} and height {height} make "
        f"{10 + width * height}"
    )


SIZES = [0, 9, 15, 17, 1000, 0x7FFFFFFF, 0xFFFFFFFF]
SHAPES = [(0, 2), (3, 0), (0, 0), (3, 3), (65535, 65535), (4, 7)]
TAGS = [b"\xff\xff", b"\x80\x80", b"\0\0", b"ab", b"\n\0", b"\xb0\x20"]
JUNK = [b"\0" * 50, b"\xff" * 50, b"GIF89a and more than ten bytes", b"?"]
DAMAGED = [  # at offset 16 of `three`, and the reason, a regular expression
    *[(record("爱", size=size), contradiction(size, 3, 2)) for size in SIZES],
    *[(record("爱", stated=shape), contradiction(16, *shape)) for shape in SHAPES],
    (record("爱", 0, 5), r"it has no pixels \(width 0, height 5\)"),
    *[
        (record(tag=tag), f"its two bytes {tag.hex(' ').upper()} stand for no visible character")
        for tag in TAGS
    ],
    *[(junk, f".*; {len(junk)} bytes up to the next record are lost") for junk in JUNK],
    (record("爱", 9, 9)[:-20], "the record has 91 bytes, but the next one begins after 71"),
    (
        record("爱", 2049, 2048, ink=b"\xff" * (2049 * 2048)),
        ".*2049x2048 pixels are more than the 4194304.*",
    ),
]


@pytest.mark.parametrize(("damaged", "why"), DAMAGED, ids=[why for _, why in DAMAGED])
def test_damage_costs_no_other_record(damaged, why):
    items = read(three(damaged))
    assert texts(items) == TEXT[:5]
    damage = only_damage(items)
    assert (damage.offset, damage.size) == (16, len(damaged))
    assert re.fullmatch(why, damage.why)


def test_the_most_pixels_that_a_character_may_have():
    items = read(three(record("爱", 2048, 2048, ink=b"\xff" * 2048**2)))
    assert texts(items) == TEXT[0] + "爱" + TEXT[1:5]


@pytest.mark.parametrize("at", ["first", "last"])
def test_a_wrong_size_at_either_end(at):
    bad, sound = record("爱", size=5), record(TEXT[0]) + record(TEXT[1])
    data = bad + sound if at == "first" else sound + bad
    items = read(data)
    assert texts(items) == TEXT[:2]
    assert damages(items) == [(0 if at == "first" else 32, 16)]


def test_tags_of_every_kind():
    data = record("7") + record("丂") + record("a") + record("，") + record("龥")
    assert texts(read(data)) == "7丂a，龥"


def test_two_bad_records_in_a_row():
    items = read(three(record("爱", size=0) + record("爱", size=99)))
    assert texts(items) == TEXT[:5]
    assert sum(size for _, size in damages(items)) == 32


def test_junk_at_both_ends():
    sound = b"".join(map(record, TEXT[:4]))
    items = read(b"\xff" * 33 + sound + b"\xff" * 44)
    assert texts(items) == TEXT[:4]
    assert damages(items) == [(0, 33), (97, 44)]
    assert items[-1].why.endswith("none of the last 44 bytes can be read")


def test_missing_bytes_near_the_end_when_the_size_leads_beyond_it():
    data = record(TEXT[0]) + record("爱", 30, 30)[:-500] + record(TEXT[1]) + record(TEXT[2])
    items = read(data)
    assert texts(items) == TEXT[:3]
    expected = "the record has 910 bytes, but the next one begins after 410"
    assert only_damage(items) == Damage(16, 410, expected)


@pytest.mark.parametrize("there", [1, 9, 10, 11, 15])
def test_a_file_that_ends_within_a_record(there):
    items = read(record(TEXT[0]) + record(TEXT[1])[:there])
    assert texts(items) == TEXT[0]
    why = f"the record has 16 bytes, but the file ends after {there}"
    if there < 10:
        why = f"the file ends after {there} of a record's first 10 bytes"
    assert only_damage(items) == Damage(16, there, why)


def test_junk_then_records_then_a_cut_record():
    items = read(b"\xff" * 40 + record(TEXT[0]) + record(TEXT[1]) + record(TEXT[2])[:12])
    assert texts(items) == TEXT[:2]
    assert damages(items) == [(0, 40), (72, 12)]


def test_a_file_that_is_no_gnt():
    data = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
    items = read(data)
    assert damages(items) == [(0, len(data))]


def test_reading_may_start_at_any_character():
    data = three(record("爱", 9, 9)[:-20]) + b"\xff" * 99 + three(record("爱", size=3))
    items = read(data)
    for number, item in enumerate(items):
        if isinstance(item, Character):
            stream = io.BytesIO(data)
            later = list(gnt.read_records(stream, len(data), bitmaps=True, start=item.offset))
            assert later == items[number:]


def test_a_stream_that_ends_early():
    data = three(b"")
    with pytest.raises(EOFError):
        list(gnt.read_records(io.BytesIO(data), len(data) + 1, bitmaps=True))


def handwriting(count, rng):
    """`count` records with strokes on paper, and their offsets."""
    parts, offsets = [], []
    for number in range(count):
        width, height = rng.randint(10, 60), rng.randint(10, 60)
        ink = np.full(width * height, 255, np.uint8)
        strokes = np.random.default_rng(number).integers(0, 255, width * height // 4, np.uint8)
        ink[width : width + len(strokes)] = strokes
        offsets.append(sum(map(len, parts)))
        parts.append(record(TEXT[number % 10], width, height, ink=ink.tobytes()))
    return b"".join(parts), offsets


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_a_file_its_other_records_survive(seed):
    rng = random.Random(seed)
    data, offsets = handwriting(24, rng)
    whole = [(item.text, item.bitmap) for item in read(data)]
    for _ in range(60):
        hit = rng.randrange(len(offsets) - 5)
        place = offsets[hit] + rng.choice([rng.randrange(10), rng.randrange(400)])
        hit = max(number for number, offset in enumerate(offsets) if offset <= place)
        length = rng.choice([1, 2, 4, 30])
        junk = rng.choice([rng.randbytes(length), b"\0" * length, b"\xff" * length])
        kind = rng.choice(["change", "insert", "delete"])
        tail = data[place + (length if kind != "insert" else 0) :]
        changed = data[:place] + (b"" if kind == "delete" else junk) + tail
        survivors = {
            (item.text, item.bitmap) for item in read(changed) if isinstance(item, Character)
        }
        # The record that was hit may be lost, and the next if the change reaches into it.
        assert survivors.issuperset(whole[:hit] + whole[hit + 2 :])


@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_is_cut_anywhere_keeps_what_came_before(seed):
    rng = random.Random(seed)
    data, offsets = handwriting(12, rng)
    for _ in range(40):
        length = rng.randrange(len(data))
        complete = sum(offset <= length for offset in [*offsets[1:], len(data)])
        items = read(data[:length])
        assert texts(items) == "".join(TEXT[number % 10] for number in range(complete))


@pytest.mark.parametrize("length", [1, 10, 11, 40, 1000, 5000])
def test_noise_never_fails(length):
    rng = random.Random(length)
    for values in (256, 3):
        for _ in range(30):
            read(bytes(rng.randrange(values) for _ in range(length)))


_FAR = struct.pack("<I2sHH", 10 + (1 << 22), b"\xb0\xa1", 2048, 2048)
HOSTILE = {
    "zeros": b"\0" * 4_000_000,
    "white": b"\xff" * 4_000_000,
    # Chains of three that lead nowhere: the search succeeds, and is needed again, for ever.
    "short chains": (b"".join(record(t, 1, 1) for t in TEXT[:3]) + b"\xff\xff\xff") * 6_000,
    # Headers that agree everywhere, and never a chain.
    "no chains": (record("啊", 1, 1) + b"\xff" * 2) * 20_000,
    # Each claims a megabyte, of which half of the data has enough for many, too.
    "far ahead": struct.pack("<I2sHH", 10 + (1 << 20), b"\xb0\xa1", 1024, 1024) * 400_000,
    # A sound chain, then a header that claims four megabytes: these must not be copied each time.
    "far and near": (b"".join(record(t, 1, 1) for t in TEXT[:3]) + _FAR + b"\xff") * 8_000
    + (b"\xff" * 5_000_000),
    "bad sizes": record("啊", 1, 1, size=77) * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear_and_memory_bounded(name):
    data = HOSTILE[name]

    def seconds(data):
        begin = time.process_time()
        for _ in gnt.read_records(io.BytesIO(data), len(data), bitmaps=True):
            pass
        return time.process_time() - begin

    half, whole = seconds(data[: len(data) // 2]), seconds(data)
    assert whole < 3 * half + 0.3
    assert whole < 2e-6 * len(data) + 0.5
    tracemalloc.start()
    try:
        seconds(data[:1_500_000])
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()
