"""Untrusted image files in, square pictures of one kind out. No TensorFlow: a pool uses this."""

import contextlib
import dataclasses
import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

import deflate
import numpy as np
from PIL import ExifTags, Image, ImageOps

EXTENSIONS = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
MAX_FILE_BYTES = 1 << 28
MAX_PIXELS = 1 << 26  # 256 MB once decoded with four channels; decoders need up to four times that
MAX_JPEG_SCANS = 100  # usual are ten, and each of them costs a pass over the pixels

_ROWS_PIXELS = 1 << 20  # laid over black at once

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_GREY_MODES = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}

# ITU-T T.81, table B.1.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)

# PNG, second edition, 5.2, 11.2.2 and 9.2.
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {1: 0, 3: 2}  # channels: greyscale, truecolour
_PNG_FILTER_UP = 2


class BadImage(ValueError):
    """This picture cannot be used; the message says why."""


def decode(data: bytes) -> Image.Image:
    """Decodes a whole image file, turned as its EXIF orientation says.

    Returns:
        An image of mode L or RGB. Transparent pixels lie over black; 16 bits become 8.

    Raises:
        BadImage: whatever is wrong with it, its size included.
    """
    with _opened(io.BytesIO(data)) as image:
        if image.format in ("JPEG", "MPO") and _has_more_scans(data, MAX_JPEG_SCANS):
            raise BadImage(f"it has more than {MAX_JPEG_SCANS} scans, which take too long")
        ImageOps.exif_transpose(image, in_place=True)
        image.load()
        return _plain(image)


def size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of what `decode` makes of an image file; reads no more than its header.

    Raises:
        BadImage: whatever is wrong with it, as far as the header tells.
    """
    with _opened(file) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        return image.size[::-1] if orientation in _SIDEWAYS else image.size


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[Image.Image]:
    """An image file that is not too large; all that fails within the block is a `BadImage`."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(f"{image.width}x{image.height} pixels are too many")
            yield image
    except BadImage:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything for damaged files
        raise BadImage(f"it does not decode: {reason(error)}") from error


def _has_more_scans(data: bytes, most: int) -> bool:
    """Whether the JPEG file that `data` begins with has more than `most` scans.

    Every scan costs a pass over the pixels, however few bytes it has: a progressive file of one
    megabyte may hold ten thousand scans (ITU-T T.81, annex B and G), which keep a decoder busy for
    minutes.
    """
    scans, offset = 0, 0
    while match := _JPEG_MARKER.search(data, offset):
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


def is_grey(image: Image.Image) -> bool:
    """Whether it is stored without colour."""
    return image.mode in _GREY_MODES


@dataclasses.dataclass(frozen=True)
class Target:
    """What every picture of a data set becomes."""

    size: int  # side of the square, pixels
    channels: int  # 1 or 3
    crop: str = "none"  # "none": resized straight to the square; "center": its middle square
    encoding: str = "png"  # or "jpeg"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.size, self.size, self.channels

    def encode(self, image: Image.Image) -> bytes:
        """Fits an image of mode L or RGB (antialiased bilinear) and encodes it."""
        if self.channels == 1:
            image = _in_mode(image, "L")
        square = (self.size, self.size)
        if self.crop == "center":
            image = ImageOps.fit(image, square, Image.Resampling.BILINEAR)
        elif image.size != square:
            image = image.resize(square, Image.Resampling.BILINEAR)
        if self.channels == 3:  # only once it is small: colour takes four times the memory
            image = _in_mode(image, "RGB")
        if self.encoding == "png":
            return encode_png(np.asarray(image))
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=95, subsampling=0)
        return buffer.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise BadImage(f"pixels of type {image.mode} have no known range")
    mode = "L" if is_grey(image) else "RGB"
    return _over_black(image, mode) if image.has_transparency_data else _in_mode(image, mode)


def _over_black(image: Image.Image, mode: str) -> Image.Image:
    # A few rows at a time, because this makes three copies of them.
    result = Image.new(mode, image.size)
    step = max(1, _ROWS_PIXELS // image.width)
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height))).convert("RGBA")
        solid = Image.new("RGBA", rows.size, (0, 0, 0, 255))
        result.paste(Image.alpha_composite(solid, rows).convert(mode), (0, top))
    return result


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # a copy


def reason(error: Exception) -> str:
    """What Pillow's exception means."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return "it would take too much memory"
    return str(error) or type(error).__name__


def encode_png(pixels: np.ndarray) -> bytes:
    """Encodes a picture without loss, in a tenth of the time that Pillow takes.

    Every line is stored as its difference from the one above (PNG, second edition, 9.2), which
    suits small pictures nearly as well as a choice per line, and costs one subtraction. The same
    pixels give the same bytes in every process; with ISA-L, which is faster still, they do not.

    Args:
        pixels: uint8 [height, width] or [height, width, channels], of 1 or 3 channels.

    Returns:
        A PNG file.
    """
    height, width, channels = (*pixels.shape, 1)[:3]
    rows = pixels.reshape(height, width * channels)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _PNG_FILTER_UP
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])  # modulo 256, as the filter requires
    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        (
            _PNG_SIGNATURE,
            *_png_chunk(b"IHDR", header),
            *_png_chunk(b"IDAT", deflate.zlib_compress(lines, 1)),
            *_png_chunk(b"IEND", b""),
        )
    )


def _png_chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = deflate.crc32(data, deflate.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)
