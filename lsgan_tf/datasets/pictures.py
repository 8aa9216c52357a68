"""Hostile image files in, square pixels of one kind out. Pillow only: used by worker processes."""

import dataclasses
import io
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from lsgan_tf.datasets import jpeg_scans, png

EXTENSIONS = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
MAX_FILE_BYTES = 1 << 28
MAX_PIXELS = 1 << 26  # 256 MB once decoded with four channels; decoders need up to four times that
MAX_JPEG_SCANS = 100  # usual are ten, and each of them costs a pass over the pixels

_ROWS_PIXELS = 1 << 20  # so many are laid over black at once

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_GREY_MODES = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}


class BadImage(ValueError):
    """This picture cannot be used; the message says why."""


def decode(data: bytes) -> Image.Image:
    """Decodes a whole image file, turned as its EXIF orientation says.

    Returns:
        An image of mode L or RGB. Transparent pixels lie over black; 16 bits become 8.

    Raises:
        BadImage: whatever is wrong with it, its size included.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_pixels(image)
            if image.format in ("JPEG", "MPO") and jpeg_scans.exceed(data, MAX_JPEG_SCANS):
                raise BadImage(f"it has more than {MAX_JPEG_SCANS} scans, which take too long")
            ImageOps.exif_transpose(image, in_place=True)
            image.load()
            return _plain(image)
    except BadImage:
        raise
    except Exception as error:  # damaged files raise nearly anything in Pillow's plugins
        raise BadImage(f"it does not decode: {reason(error)}") from error


def size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of what `decode` makes of an image file; reads no more than its header.

    Raises:
        BadImage: whatever is wrong with it, as far as the header tells.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_pixels(image)
            orientation = image.getexif().get(ExifTags.Base.Orientation)
            return image.size[::-1] if orientation in _SIDEWAYS else image.size
    except BadImage:
        raise
    except Exception as error:  # as in `decode`
        raise BadImage(f"it does not decode: {reason(error)}") from error


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"{image.width}x{image.height} pixels are too many")


def is_grey(image: Image.Image) -> bool:
    """Whether it is stored without colour."""
    return image.mode in _GREY_MODES


@dataclasses.dataclass(frozen=True)
class Target:
    """What every picture of a data set is brought to."""

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
        if self.channels == 3:  # not before it is small: colour takes four times the memory
            image = _in_mode(image, "RGB")
        if self.encoding == "png":
            return png.encode(np.asarray(image))
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
    # A few rows at a time, for there are three copies of them in between.
    result = Image.new(mode, image.size)
    step = max(1, _ROWS_PIXELS // image.width)
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height))).convert("RGBA")
        solid = Image.new("RGBA", rows.size, (0, 0, 0, 255))
        result.paste(Image.alpha_composite(solid, rows).convert(mode), (0, top))
    return result


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy it


def reason(error: Exception) -> str:
    """What Pillow's exception means."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return "it would take too much memory"
    return str(error) or type(error).__name__
