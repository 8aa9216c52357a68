"""Strategies for damaged and hostile values of an LMDB of photographs."""

import functools
import io
import random
import struct
import zlib

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tests.stress import hostile

PHOTOGRAPHS = 20

_TEXT = b"The quick brown fox jumps over the lazy dog. " * 99
_FORMATS = ("webp", "bmp", "gif", "jpeg", "png", "ppm", "tiff")
_HUGE = 65535
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN = b"\xff\xda"
_NO_PICTURE = b""


class Value(hostile.Input):
    """A value of an LMDB, and what must become of it.

    Args:
        decoded_as: what Pillow makes of these bytes must come out; if it refuses them, the value
            must be reported. None: it decides about the value itself.
    """

    def __init__(self, damage: str, data: bytes, decoded_as: bytes | None = None):
        super().__init__(damage, data)
        self.decoded_as = data if decoded_as is None else decoded_as


@functools.cache
def photograph(number: int) -> bytes:
    """A WebP of about 256x340 pixels, as LSUN has them."""
    rng = np.random.default_rng(number)
    height, width = 256, int(rng.integers(256, 400))
    if number % 2:
        height, width = width, height
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    pixels = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
    return _encoded(Image.fromarray(pixels), "webp", quality=75)


def sound(number: int) -> Value:
    """A photograph; the numbers begin anew after `PHOTOGRAPHS`."""
    return Value("sound", photograph(number % PHOTOGRAPHS))


@functools.cache
def _small(number: int, kind: str) -> bytes:
    with Image.open(io.BytesIO(photograph(number))) as image:
        return _encoded(image.convert("RGB").resize((64, 48)), kind)


# What the damages change: a photograph, or a small picture in any format.
_photographs = st.builds(photograph, st.integers(0, PHOTOGRAPHS - 1))
_small_pictures = st.builds(_small, st.integers(0, PHOTOGRAPHS - 1), st.sampled_from(_FORMATS))
_pictures = _photographs | _small_pictures


@st.composite
def flipped(draw) -> Value:
    """A few bits are flipped, of the whole value or of its first bytes."""
    changed = bytearray(draw(_pictures))
    stop = min(draw(st.sampled_from([40, 64, len(changed)])), len(changed))
    for bit in draw(st.sets(st.integers(0, 8 * stop - 1), min_size=1, max_size=8)):
        changed[bit // 8] ^= 1 << bit % 8
    return Value("flipped", bytes(changed))


@st.composite
def truncated(draw) -> Value:
    """The end is missing."""
    value = draw(_pictures)
    length = draw(st.integers(1, 40) | st.integers(1, len(value) - 1))
    return Value("truncated", value[:length])


@st.composite
def cut_out(draw) -> Value:
    """Bytes are missing in the middle, or are zeros."""
    value = draw(_pictures)
    start, length = draw(st.integers(0, len(value) - 1)), draw(st.integers(1, 3000))
    rest = value[start + length :]
    zeros = bytes(len(value) - start - len(rest)) if draw(st.booleans()) else b""
    return Value("cut out", value[:start] + zeros + rest)


@st.composite
def animated(draw) -> Value:
    """The picture is the first of several frames."""
    with Image.open(io.BytesIO(draw(_photographs))) as image:
        first = image.convert("RGB").resize((64, 64))
    more = [Image.new("RGB", (64, 64), (number, 9, 99)) for number in range(3)]
    kind = draw(st.sampled_from(["gif", "tiff", "webp", "png"]))
    return Value("animated", _encoded(first, kind, save_all=True, append_images=more))


@st.composite
def followed(draw) -> Value:
    """The value stands there twice, or another picture follows it; the first one counts."""
    value = draw(_photographs)
    return Value("followed", value + draw(st.just(value) | _pictures), value)


@st.composite
def no_picture(draw) -> Value:
    """No bytes, zeros, text or noise."""
    seed, length = draw(st.integers(0, 1 << 32)), draw(st.integers(1, 20_000))
    noise = random.Random(seed).randbytes(length)
    data = draw(st.sampled_from([b"", bytes(length), _TEXT, noise]))
    return Value("no picture", data, _NO_PICTURE)


def absurd_header() -> st.SearchStrategy[Value]:
    """The header claims more pixels than there are, up to the most that it can say."""
    return st.sampled_from(_absurd_headers())


@functools.cache
def _absurd_headers() -> list[Value]:
    webp, jpeg = photograph(0), _small(0, "jpeg")
    webp_sides, jpeg_sides = webp.index(b"\x9d\x01\x2a") + 3, jpeg.index(b"\xff\xc0") + 5
    headers = [
        webp[:webp_sides] + struct.pack("<HH", 16383, 16383) + webp[webp_sides + 4 :],
        jpeg[:jpeg_sides] + struct.pack(">HH", _HUGE, _HUGE) + jpeg[jpeg_sides + 4 :],
        _png(_HUGE, _HUGE, zlib.compress(bytes(100_000))),
        *(b"P6 %d %d 255\n" % (side, side) + bytes(100) for side in (_HUGE, 10**9, 10**30)),
    ]
    for side in (16383, _HUGE, 0xFFFFFF):
        for flags in (0, 2):  # 2: animated
            canvas = struct.pack("<II", 10, flags) + 2 * side.to_bytes(3, "little")
            chunks = b"WEBPVP8X" + canvas + webp[12:]
            headers.append(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    for side in (1, _HUGE):  # of the frame
        screen = struct.pack("<HHBBB", _HUGE, _HUGE, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
        frame = struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"
        headers.append(b"GIF89a" + screen + b"," + frame)
    for side in (_HUGE, 0x7FFFFFFF, 0xFFFFFFFF):
        for compression in (1, 5, 8):
            entries = [
                (256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, compression),
                (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, side),
                (279, 4, 1, side),
            ]  # fmt: skip
            body = b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
            for count in (len(entries), 0xFFFF):
                headers.append(b"II*\0" + struct.pack("<IH", 8, count) + body)
    return [Value("absurd header", data, _NO_PICTURE) for data in headers]


DAMAGES = (followed, flipped, truncated, cut_out, animated, no_picture, absurd_header)
values = st.sampled_from(DAMAGES).flatmap(lambda damage: damage())


def costly() -> list[Value]:
    """Values that cost memory or time, more than they may if a decoder believes them."""
    hundred_megabytes = zlib.compress(bytes(100 << 20), 1)
    text = b"Comment\0\0" + hundred_megabytes
    row_data = zlib.compress(bytes(8 * 9))
    progressive = _encoded(Image.new("L", (8000, 6000), 128), "jpeg", progressive=True)
    first, second, third, *others = progressive.split(_START_OF_SCAN)
    scans = _START_OF_SCAN.join([first, second, *[third] * 8000, *others])
    return [
        Value("data that unpack to 100 MB", _png(64, 64, hundred_megabytes)),
        Value("a text that unpacks to 100 MB", _png(8, 8, row_data, _chunk(b"zTXt", text))),
        Value("a profile that unpacks to 100 MB", _png(8, 8, row_data, _chunk(b"iCCP", text))),
        Value("48 MB, sound", _encoded(Image.new("L", (8000, 6000), 9), "png")),
        Value("192 MB, sound", _encoded(Image.new("RGBA", (8000, 6000), (9, 8, 7, 6)), "png")),
        Value("a JPEG that takes minutes to decode", scans, _NO_PICTURE),
    ]


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _png(width: int, height: int, data: bytes, before: bytes = b"") -> bytes:
    """A grey PNG."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return _PNG_SIGNATURE + header + before + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
