"""What the bytes of a file are, whatever its name says; files freed of their metadata."""

import re
import zlib
from typing import NamedTuple

HEAD_BYTES = 512  # of a file tell what it is

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

# Of ISO base media files: the brands of still pictures, ISO/IEC 23008-12 and AV1 Image File Format.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

# Signatures that other files have as well: texts, and the raw files of cameras, which are TIFF.
_WEAK = re.compile(rb"II\*\0|MM\0\*|BM|P[1-7]\s", re.DOTALL)

_OTHERS = (
    (rb"\s*(<!doctype html|<html|<head|<body)", "it is an HTML page: the download went wrong"),
    (
        rb"version https://git-lfs\.github\.com/",
        "it is a pointer of Git LFS, not the picture: run `git lfs pull`",
    ),
    (rb"\s*(<\?xml.{0,400}?)?<svg", "it is an SVG drawing: convert it to PNG"),
    (rb"%PDF", "it is a PDF: convert it to PNG"),
    (rb"8BPS", "it is a Photoshop file: export it as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "it is JPEG XL: convert it to PNG"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "it is JPEG 2000: convert it to PNG"),
    (rb"PK\x03\x04", "it is a zip"),
    (rb"\0{16}", "it begins with zeros: it is damaged"),
)

# JPEG, ITU-T T.81, table B.1. Kept: JFIF, EXIF, ICC profiles and what Adobe says of the colours.
_KEPT_SEGMENTS = (b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe")
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS, _APP, _COMMENT = range(0xD0, 0xD8), range(0xE0, 0xF0), 0xFE

_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


class BadImage(ValueError):
    """This picture cannot be used; the message says why."""


class Bare(NamedTuple):
    """An image file without metadata."""

    data: bytes
    profile: bytes | None  # the ICC profile, where it is no longer in the file


def is_picture(head: bytes, *, any_format: bool) -> bool:
    """Whether a file is a picture by its first `HEAD_BYTES`.

    Args:
        head: these bytes.
        any_format: accept short signatures, too, which other files may have by chance.
    """
    if head.startswith((_JPEG, _PNG, b"GIF87a", b"GIF89a")):
        return True
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return True
    if _brands(head) & (_AVIF_BRANDS | _HEIF_BRANDS):
        return True
    return any_format and _WEAK.match(head) is not None


def is_heif(head: bytes) -> bool:
    """Whether it is a HEIC picture, which Pillow does not read by itself."""
    brands = _brands(head)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def describe(head: bytes) -> str:
    """What a file is that is no picture of a known format, by its first `HEAD_BYTES`."""
    if not head:
        return "it is empty, 0 bytes"
    if is_heif(head):
        return "it is HEIC, for which pillow-heif is needed: pip install pillow-heif"
    if _brands(head) & _AVIF_BRANDS:
        return "it is AVIF, for which a newer Pillow is needed: pip install -U pillow"
    for signature, what in _OTHERS:
        if re.match(signature, head, re.IGNORECASE | re.DOTALL):
            return what
    return "not an image of a known format"


def _brands(head: bytes) -> set[bytes]:
    """The major and the compatible brands of an ISO base media file."""
    if head[4:8] != b"ftyp":
        return set()
    box = head[8 : min(int.from_bytes(head[:4], "big"), HEAD_BYTES)]
    return {box[place : place + 4] for place in (0, *range(8, len(box), 4))}


def without_metadata(data: bytes, max_profile_bytes: int) -> Bare | None:
    """Frees a PNG or JPEG file of texts, previews and the like, which may be damaged or huge.

    Args:
        data: the file.
        max_profile_bytes: of an ICC profile; a larger one is left out.

    Returns:
        The same picture, its orientation included; None if nothing could be left out.
    """
    bare = None
    if data.startswith(_PNG):
        bare = _bare_png(data, max_profile_bytes)
    elif data.startswith(_JPEG):
        bare = Bare(_bare_jpeg(data), None)
    return bare if bare and len(bare.data) < len(data) else None


def _bare_png(data: bytes, max_profile_bytes: int) -> Bare:
    kept, profile, place = [data[:8]], None, 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big") + 12  # length, type and checksum
        kind = data[place + 4 : place + 8]
        if kind == b"iCCP":
            profile = _unpack_profile(data[place + 8 : place + size - 4], max_profile_bytes)
        elif kind not in _PNG_TEXTS:
            kept.append(data[place : place + size])
        place += size
    return Bare(b"".join(kept), profile)


def _unpack_profile(chunk: bytes, max_bytes: int) -> bytes:
    """The profile of an iCCP chunk; what is no profile if it is damaged or too large."""
    _, _, packed = chunk.partition(b"\0")
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(packed[1:], max_bytes)
    except zlib.error:
        return b"damaged"
    return b"too large" if unpack.unconsumed_tail else profile


def _bare_jpeg(data: bytes) -> bytes:
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        named = data[place + 4 : end].startswith(_KEPT_SEGMENTS)
        if marker == _START_OF_SCAN:
            break
        if named or (marker not in _APP and marker != _COMMENT):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def has_more_scans(data: bytes, most: int) -> bool:
    """Whether the JPEG file that `data` begins with has more than `most` scans.

    Every scan costs a pass over the pixels, however few bytes it has: a progressive file of one
    megabyte may hold ten thousand scans (ITU-T T.81, annex B and G), which keep a decoder busy for
    minutes.
    """
    scans, offset = 0, 0
    while match := _MARKER.search(data, offset):
        marker, offset = data[match.end() - 1], match.end()
        if marker == _END_OF_IMAGE:
            return False
        if marker in (_START_OF_IMAGE, _TEMPORARY) or marker in _RESTARTS:
            continue  # nothing but the marker
        scans += marker == _START_OF_SCAN
        if scans > most:
            return True
        offset += int.from_bytes(data[offset : offset + 2], "big")
    return False
