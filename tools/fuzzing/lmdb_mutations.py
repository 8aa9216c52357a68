"""Ways in which a value of an LMDB of photographs can be damaged or hostile."""

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable

from PIL import Image

Mutation = Callable[[random.Random, bytes], bytes]

_TEXT = b"The quick brown fox jumps over the lazy dog. "
_FORMATS = ("bmp", "gif", "jpeg", "png", "ppm", "tiff")
_HUGE = 65535
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN = b"\xff\xda"


def flipped(rng: random.Random, value: bytes) -> bytes:
    """A few bits."""
    return _flipped(rng, value, len(value))


def flipped_header(rng: random.Random, value: bytes) -> bytes:
    """A few bits of the first bytes."""
    return _flipped(rng, value, 40)


def truncated(rng: random.Random, value: bytes) -> bytes:
    """The end is missing."""
    return value[: rng.choice([rng.randrange(1, 40), rng.randrange(1, len(value))])]


def cut_out(rng: random.Random, value: bytes) -> bytes:
    """Bytes are missing in the middle."""
    start = rng.randrange(len(value))
    return value[:start] + value[start + rng.randint(1, 1000) :]


def zeros_over_range(rng: random.Random, value: bytes) -> bytes:
    """Zeros over a range."""
    start = rng.randrange(len(value))
    length = min(rng.randint(1, 3000), len(value) - start)
    return value[:start] + bytes(length) + value[start + length :]


def other_format(rng: random.Random, value: bytes) -> bytes:
    """The picture in another format, some bits of it changed."""
    with Image.open(io.BytesIO(value)) as image:
        small = image.convert("RGB").resize((64, 48))
    data = _saved(small, rng.choice(_FORMATS))
    return _flipped(rng, data, rng.choice([64, len(data)]))


def other_format_truncated(rng: random.Random, value: bytes) -> bytes:
    """The picture in another format, without its end."""
    with Image.open(io.BytesIO(value)) as image:
        data = _saved(image.convert("RGB").resize((64, 48)), rng.choice(_FORMATS))
    return data[: rng.randrange(1, len(data))]


def empty(rng: random.Random, value: bytes) -> bytes:
    """No bytes."""
    return b""


def garbage(rng: random.Random, value: bytes) -> bytes:
    """Random bytes."""
    return rng.randbytes(rng.randint(1, 20_000))


def text(rng: random.Random, value: bytes) -> bytes:
    """A text."""
    return _TEXT * rng.randint(1, 100)


def zeros(rng: random.Random, value: bytes) -> bytes:
    """Nothing but zeros."""
    return bytes(rng.randint(1, 20_000))


def webp_absurd(rng: random.Random, value: bytes) -> bytes:
    """A WebP whose header claims more pixels than it has, up to the most it can say."""
    place = value.find(b"\x9d\x01\x2a")  # in front of the sides of a lossy picture
    if place >= 0 and rng.random() < 0.5:
        return value[: place + 3] + struct.pack("<HH", 16383, 16383) + value[place + 7 :]
    side = rng.choice([0xFFFFFF, 0xFFFF, 16383])
    flags = rng.choice([0, 2])  # 2: animated
    canvas = struct.pack("<I", flags) + 2 * (side.to_bytes(3, "little"))
    chunks = b"VP8X" + struct.pack("<I", len(canvas)) + canvas + value[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def png_bomb(rng: random.Random, value: bytes) -> bytes:
    """A PNG of four gigapixels with hardly any data."""
    return _png(_HUGE, _HUGE, zlib.compress(bytes(rng.randint(0, 100_000))))


def idat_bomb(rng: random.Random, value: bytes) -> bytes:
    """A small PNG whose data unpack to a hundred megabytes of black."""
    return _png(64, 64, _hundred_megabytes())


def text_bomb(rng: random.Random, value: bytes) -> bytes:
    """A small PNG with a text that unpacks to a hundred megabytes."""
    packed = b"Comment\0\0" + _hundred_megabytes()
    return _png(8, 8, zlib.compress(bytes(8 * 25)), _chunk(rng.choice([b"zTXt", b"iCCP"]), packed))


def tiff_huge(rng: random.Random, value: bytes) -> bytes:
    """A TIFF whose sides, or the number of whose entries, are absurd."""
    side = rng.choice([_HUGE, 0x7FFFFFFF, 0xFFFFFFFF])
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, rng.choice([1, 5, 8])),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, side),
    ]  # fmt: skip
    count = rng.choice([len(entries), 0xFFFF])
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, count) + body + bytes(4)


def gif_huge(rng: random.Random, value: bytes) -> bytes:
    """A GIF of four gigapixels, with a frame of one or of as many."""
    side = rng.choice([1, _HUGE])
    screen = b"GIF89a" + struct.pack("<HHBBB", _HUGE, _HUGE, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"
    return screen + frame


def jpeg_huge(rng: random.Random, value: bytes) -> bytes:
    """A JPEG whose header claims four gigapixels."""
    data = _saved(Image.new("RGB", (16, 16)), "jpeg")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", _HUGE, _HUGE) + data[place + 4 :]


def ppm_huge(rng: random.Random, value: bytes) -> bytes:
    """A PPM whose header claims more than there is."""
    side = rng.choice([_HUGE, 10**9, 10**30])
    return b"P6 %d %d 255\n" % (side, side) + bytes(100)


def animated(rng: random.Random, value: bytes) -> bytes:
    """The picture as the first of several frames."""
    with Image.open(io.BytesIO(value)) as image:
        first = image.convert("RGB").resize((64, 64))
    more = [Image.new("RGB", (64, 64), (number, 9, 99)) for number in range(3)]
    kind = rng.choice(["gif", "tiff", "webp", "png"])
    return _saved(first, kind, save_all=True, append_images=more)


def doubled(rng: random.Random, value: bytes) -> bytes:
    """The value twice; the first of them counts."""
    return value + value


def with_another(rng: random.Random, value: bytes) -> bytes:
    """Another picture behind it, which does not count."""
    kind = rng.choice([*_FORMATS, "webp"])
    return value + _saved(Image.new("RGB", (32, 32), (rng.randrange(256), 0, 0)), kind)


def large(rng: random.Random, value: bytes) -> bytes:
    """A large picture that is quite all right: it takes 48 MB once decoded."""
    return _saved(Image.new("L", (8000, 6000), rng.randrange(256)), "png", compress_level=1)


def large_transparent(rng: random.Random, value: bytes) -> bytes:
    """A large picture with transparency: it takes 96 MB once decoded."""
    colour = tuple(rng.randbytes(4))
    return _saved(Image.new("RGBA", (6000, 4000), colour), "png", compress_level=1)


def many_scans(rng: random.Random, value: bytes) -> bytes:
    """A progressive JPEG of a megabyte that would be gone over for minutes."""
    first, second, third, *others = _progressive().split(_START_OF_SCAN)
    return _START_OF_SCAN.join([first, second, *[third] * 8000, *others])


# What no decoder may make a picture of.
HOPELESS = (
    empty, garbage, text, zeros, webp_absurd, png_bomb, tiff_huge, gif_huge, jpeg_huge, ppm_huge,
    many_scans,
)  # fmt: skip
# What is as good as before.
HARMLESS = (doubled, with_another)
# What Pillow decides about; the pictures are small, so that it may be asked.
UNDECIDED = (
    flipped, flipped_header, truncated, cut_out, zeros_over_range, other_format,
    other_format_truncated, idat_bomb, text_bomb, animated, large,
    large_transparent,
)  # fmt: skip
COSTLY = (idat_bomb, text_bomb, large, large_transparent, many_scans)  # in time

MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation for mutation in (*UNDECIDED, *HARMLESS, *HOPELESS)
}


def _flipped(rng: random.Random, data: bytes, stop: int) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(min(stop, len(data)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def _progressive() -> bytes:
    return _saved(Image.new("L", (8000, 6000), 128), "jpeg", progressive=True)


@functools.cache
def _hundred_megabytes() -> bytes:
    return zlib.compress(bytes(100 << 20), 1)


def _png(width: int, height: int, data: bytes, before: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if width == 8 else 0, 0, 0, 0)
    return b"".join(
        (_SIGNATURE, _chunk(b"IHDR", header), before, _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
