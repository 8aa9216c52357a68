"""Untrusted image files in, square pictures of one kind out. No TensorFlow: a pool uses this."""

import contextlib
import dataclasses
import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import deflate
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, features

from lsgan_tf.datasets import colour_profiles, picture_content, picture_modes
from lsgan_tf.datasets.notes import UNIFORM
from lsgan_tf.datasets.picture_content import BadImage
from lsgan_tf.datasets.picture_modes import Reading, Stored, in_mode, is_grey, is_uniform

__all__ = [
    "EXTENSIONS", "MAX_FILE_BYTES", "MAX_JPEG_SCANS", "MAX_PIXELS", "BadImage", "Reading", "Target",
    "decode", "encode_png", "in_srgb", "is_grey", "notes_of", "reason", "size", "stored_as",
]  # fmt: skip

# A file with another ending is a picture, too, if its content says so.
EXTENSIONS = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
MAX_FILE_BYTES = 1 << 28
MAX_PIXELS = 1 << 26  # 256 MB once decoded with four channels; decoders need up to four times that
MAX_JPEG_SCANS = 100  # usual are ten, and each of them costs a pass over the pixels

_AVIF = ("AVIF",) if "avif" in features.modules and features.check("avif") else ()
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", *_AVIF)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
_CROPS = {
    "none": "squeezed to a square (--crop=none)",
    "center": "cropped to their middle square (--crop=center)",
    "pad": "padded to a square (--crop=pad)",
}
# What `Image.info` holds between decoding and encoding.
_NOTES, _PROFILE, _FITTED, _STORED = "notes", "icc_profile", "fitted", "stored"

# PNG, second edition, 5.2, 11.2.2 and 9.2.
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {1: 0, 3: 2}  # channels: greyscale, truecolour
_PNG_FILTER_UP = 2


class _Undecodable(BadImage):
    """Pillow refuses the file; without its metadata, or up to where it is cut off, it may not."""


def decode(data: bytes, reading: Reading = Reading()) -> Image.Image:  # noqa: B008, it is frozen
    """Decodes a whole image file, turned as its EXIF orientation says.

    Returns:
        An image of mode L or RGB with `notes_of` it. Its colours may still be of an ICC profile:
        `Target.fit` converts them to sRGB.

    Raises:
        BadImage: whatever is wrong with it, its size included.
    """
    try:
        return _decode(data, reading)
    except _Undecodable as error:
        return _decode_otherwise(data, reading, error)


def _decode_otherwise(data: bytes, reading: Reading, error: _Undecodable) -> Image.Image:
    """Decodes a file that failed with `error`; raises `BadImage` if it fails in all ways."""
    if picture_content.is_heif(data[: picture_content.HEAD_BYTES]) and _has_heif():
        return _decode(data, reading, formats=("HEIF",))
    profile = None
    if bare := picture_content.without_metadata(data, colour_profiles.MAX_BYTES):
        data, profile = bare
        try:
            return _decode(data, reading, profile)
        except _Undecodable as other:
            error = other
    if "truncated" not in str(error).lower():
        raise error
    if not reading.accept_truncated:
        raise BadImage(f"{error}; --accept_truncated takes what there is of it")
    with _accepting_truncated_files():
        image = _decode(data, reading, profile)
    if picture_modes.lacks_a_half(image):
        raise BadImage(f"{error}: more than half of the picture is missing")
    image.info[_NOTES] += ("cut off, taken as far as they go (--accept_truncated)",)
    return image


def _decode(
    data: bytes,
    reading: Reading,
    profile: bytes | None = None,
    formats: tuple[str, ...] = _FORMATS,
) -> Image.Image:
    noted: list[str] = []
    image, stored = _load(data, formats, noted)
    with _failing_as_bad_images():
        profile = profile or image.info.get(_PROFILE)
        image, profile = picture_modes.plain(image, stored, profile, reading, noted)
    image.info = {_NOTES: tuple(noted), _STORED: stored} | ({_PROFILE: profile} if profile else {})
    return image


def _load(data: bytes, formats: tuple[str, ...], noted: list[str]) -> tuple[Image.Image, Stored]:
    with _opened(io.BytesIO(data), formats) as image:
        if image.format in ("JPEG", "MPO") and picture_content.has_more_scans(data, MAX_JPEG_SCANS):
            raise BadImage(f"it has more than {MAX_JPEG_SCANS} scans, which take too long")
        stored = Stored.of(image)
        image.load()
        if _has_more_pictures(image, data):
            noted.append("of several pictures or pages, of which the first is taken")
        upright = _upright(image, noted)
        return upright, dataclasses.replace(stored, turned=upright is not image)


def _has_more_pictures(image: Image.Image, data: bytes) -> bool:
    """Whether it is an animation or a document; previews beside a photograph do not count."""
    if image.format not in ("GIF", "TIFF"):
        return image.format != "MPO" and getattr(image, "is_animated", False)
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as again:
        if image.format == "GIF":
            return again.is_animated
        again.seek(1)  # to count all pages of a hostile file takes too long
        return True
    return False


def _upright(image: Image.Image, noted: list[str]) -> Image.Image:
    turn = _turn(image, noted)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def _turn(image: Image.Image, noted: list[str]) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # Pillow raises nearly anything for damaged EXIF data
        noted.append("with EXIF data that cannot be read, taken as upright")
        return None


def notes_of(image: Image.Image) -> tuple[str, ...]:
    """What was done to an image since it was a file, for the summary."""
    return image.info.get(_NOTES, ())


def stored_as(image: Image.Image) -> Stored | None:
    """What the file said that `decode` made an image of; None: `decode` did not make it."""
    return image.info.get(_STORED)


def in_srgb(image: Image.Image) -> Image.Image:
    """An image with its colours converted to sRGB, if `decode` left that for later."""
    profile = image.info.get(_PROFILE)
    if not profile:
        return image
    converted = colour_profiles.conversion(profile, image.mode)(image)
    converted.info = {_NOTES: notes_of(image)}
    return converted


def size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of what `decode` makes of an image file; reads no more than its header.

    Raises:
        BadImage: whatever is wrong with it, as far as the header tells.
    """
    with _opened(file) as image:
        return image.size[::-1] if _turn(image, []) in _SIDEWAYS else image.size


@contextlib.contextmanager
def _opened(file: BinaryIO, formats: tuple[str, ...] = _FORMATS) -> Iterator[Image.Image]:
    """An image file that is not too large; all that fails within the block is a `BadImage`."""
    with _failing_as_bad_images():
        try:
            opened = Image.open(file, formats=formats)
        except Image.UnidentifiedImageError:
            file.seek(0)
            what = picture_content.describe(file.read(picture_content.HEAD_BYTES))
            raise _Undecodable(f"it does not decode: {what}") from None
        with opened as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(f"{image.width}x{image.height} pixels are too many")
            yield image


@contextlib.contextmanager
def _failing_as_bad_images() -> Iterator[None]:
    try:
        yield
    except BadImage:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything for damaged files
        raise _Undecodable(f"it does not decode: {reason(error)}") from error


@contextlib.contextmanager
def _accepting_truncated_files() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _has_heif() -> bool:
    """Whether the extra `heic` is installed; Pillow then reads such files."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


@dataclasses.dataclass(frozen=True)
class Target:
    """What every picture of a data set becomes."""

    size: int  # side of the square, pixels
    channels: int  # 1 or 3
    # "none": resized straight to the square; "center": its middle square; "pad": all, with margins
    crop: str = "none"
    encoding: str = "png"  # or "jpeg"
    resample: str = "bilinear"  # "lanczos" is sharper, "area" the mean of the pixels beneath
    margins: str = "white"  # the colour of "pad": a name or "#rrggbb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.size, self.size, self.channels

    @property
    def flags(self) -> dict[str, str | int]:
        """What identifies a conversion: what earlier versions lack only where it is used."""
        all_flags = dataclasses.asdict(self)
        defaults = {"resample": "bilinear", "margins": "white"}
        return {name: value for name, value in all_flags.items() if defaults.get(name) != value}

    def encode(self, image: Image.Image) -> bytes:
        """Fits an image of mode L or RGB, unless `fit` has, and encodes it."""
        if _FITTED not in image.info:
            image = self._fitted(image, [])
        if self.encoding == "png":
            return encode_png(np.asarray(image))
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=95, subsampling=0)
        return buffer.getvalue()

    def fit(self, image: Image.Image) -> Image.Image:
        """Makes the square of an image of mode L or RGB, and adds to `notes_of` it."""
        noted = list(notes_of(image))
        image = self._fitted(image, noted)
        if is_uniform(image):
            noted.append(UNIFORM)
        image.info = {_NOTES: tuple(noted), _FITTED: True}
        return image

    def _fitted(self, image: Image.Image, noted: list[str]) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        if mode == "L" and _PROFILE not in image.info:
            image = in_mode(image, mode)
        image = in_srgb(self._resized(image, noted))
        image = in_mode(image, mode)  # only once it is small: colour takes four times the memory
        if image.size == (self.size, self.size):
            return image
        canvas = Image.new(mode, (self.size, self.size), self.margins)
        canvas.paste(image, ((self.size - image.width) // 2, (self.size - image.height) // 2))
        return canvas

    def _resized(self, image: Image.Image, noted: list[str]) -> Image.Image:
        """Antialiased; the square, or what is to be padded to it."""
        square, resample = (self.size, self.size), _FILTERS[self.resample]
        if image.size == square:
            return image
        if image.width != image.height:
            noted.append(_CROPS[self.crop])
        if (max if self.crop == "pad" else min)(image.size) < self.size:
            noted.append(f"enlarged to {self.size} pixels (--min_size leaves such out)")
        if self.crop == "center":
            return ImageOps.fit(image, square, resample)
        if self.crop == "pad":
            return ImageOps.contain(image, square, resample)
        return image.resize(square, resample)


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
