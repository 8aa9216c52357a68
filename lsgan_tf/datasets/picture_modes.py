"""Decoded images of every kind become mode L or RGB: 16 bits, transparency, inks, ICC profiles."""

import dataclasses

import numpy as np
from PIL import Image, ImageColor

from lsgan_tf.datasets import colour_profiles, notes
from lsgan_tf.datasets.picture_content import BadImage

_ROWS_PIXELS = 1 << 20  # laid over a background at once

_GREY_MODES = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}
_COLOUR_MODES = {"RGB", "RGBA", "RGBX", "LA", "CMYK"}
_WITHOUT_RANGE = {"I": "32-bit integers", "F": "floating-point numbers"}

_BITS_PER_SAMPLE = 258  # a tag of TIFF


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are read that leave a choice."""

    background: str = (
        "white"  # of transparent pictures; "black", "#rrggbb", or "auto": white or black
    )
    depth: str = "auto"  # bits that values of 16-bit files have: "8" to "16"; "auto": 16
    accept_truncated: bool = False  # what there is of a file that ends early


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a file says of its values, and Pillow no longer once they are loaded."""

    bits: int | None  # of values in 16 bits: as many are used; None: not said
    deep_colour: bool  # 16 bits a channel, of which Pillow keeps the upper 8
    format: str  # of the file: "JPEG"
    mode: str  # of Pillow: "RGBA"
    turned: bool = False  # as its EXIF orientation says

    @staticmethod
    def of(image: Image.Image) -> "Stored":
        """That of an open file which is not loaded yet."""
        arguments = image.tile[0].args if getattr(image, "tile", None) else ()
        words = (arguments,) if isinstance(arguments, str) else tuple(arguments or ())
        bits, deep = None, ";16" in str(words[:1])
        if image.format == "PPM" and len(words) == 2:  # the last is the largest value
            bits = None if words[1] == 65535 else 16  # to which Pillow scales
            deep = words[1] == 65535
        elif image.format == "TIFF":
            (declared, *_) = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))
            bits = declared if 8 < declared < 16 else None
        deep_colour = image.mode in _COLOUR_MODES and deep
        return Stored(bits, deep_colour, image.format or "", image.mode)


def is_grey(image: Image.Image) -> bool:
    """Whether it is stored without colour."""
    return image.mode in _GREY_MODES


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image itself if it has this mode, else a copy that has."""
    return image if image.mode == mode else image.convert(mode)


def plain(
    image: Image.Image, stored: Stored, profile: bytes | None, reading: Reading, noted: list[str]
) -> tuple[Image.Image, bytes | None]:
    """Brings a loaded image to mode L or RGB.

    Args:
        image: of any mode.
        stored: what its file says.
        profile: its ICC profile.
        reading: how.
        noted: what is done to it is added.

    Returns:
        The image, and the profile if its colours still are of it and not of sRGB: to convert them
        costs less once the picture is small.

    Raises:
        BadImage: the range of its values is not known or another than `reading` says.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = _of_eight_bits(image, stored, reading.depth, noted)
    if stored.deep_colour:
        _check_deep_colour(image, reading.depth, noted)
    if image.mode in _WITHOUT_RANGE:
        raise BadImage(
            f"its pixels are {_WITHOUT_RANGE[image.mode]}, whose range is not known. Save it with "
            "8 or 16 bits, scaled so that white is their largest value"
        )
    mode = "L" if is_grey(image) else "RGB"
    convert = _conversion(profile, "CMYK" if image.mode == "CMYK" else mode, noted)
    if image.has_transparency_data:
        return _over_background(image, mode, convert, reading.background, noted), None
    if image.mode == "CMYK" and convert:
        return convert(image), None
    return in_mode(image, mode), profile if convert else None


def _of_eight_bits(image: Image.Image, stored: Stored, depth: str, noted: list[str]) -> Image.Image:
    values = np.asarray(image)  # Pillow's own conversion clips at 255
    largest = int(values.max())
    bits = stored.bits or (16 if depth == "auto" else int(depth))
    if largest >> bits:
        raise BadImage(f"its values reach {largest}, more than {bits} bits hold: see --depth")
    if stored.bits is None and depth == "auto":
        noted.append(notes.DEPTHS[_needed(largest)])
    else:
        noted.append(f"of 16 bits, of which {bits} are used, brought to 8")
    return Image.fromarray((values.astype(np.uint16) >> (bits - 8)).astype(np.uint8))


def _check_deep_colour(image: Image.Image, depth: str, noted: list[str]) -> None:
    if depth not in ("auto", "16"):
        raise BadImage(
            f"it has 16 bits a colour, of which the upper 8 are read: too few for --depth={depth}. "
            "Save it with 8 bits"
        )
    if depth == "auto":
        bands = zip(image.getbands(), _extrema(image), strict=True)
        largest = max(high for band, (_, high) in bands if band != "A")
        noted.append(notes.DEPTHS[_needed(max(0, (largest << 8) - 1))])  # it may be rounded up


def _needed(largest: int) -> int:
    return next(bits for bits in notes.DEPTHS if largest >> bits == 0)


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """The smallest and the largest value of each channel."""
    extrema = image.getextrema()
    return extrema if isinstance(extrema[0], tuple) else (extrema,)


def is_uniform(image: Image.Image) -> bool:
    """Whether all its pixels are equal."""
    if image.getpixel((0, 0)) != image.getpixel((image.width // 2, image.height // 3)):
        return False  # so most are told in no time
    return all(low == high for low, high in _extrema(image))


def lacks_a_half(image: Image.Image) -> bool:
    """Whether one half of it is of one colour, as where a file ends early."""
    middle = image.width // 2, image.height // 2
    left, upper = (0, 0, middle[0], image.height), (0, 0, image.width, middle[1])
    right, lower = (middle[0], 0, *image.size), (0, middle[1], *image.size)
    halves = (left, right, upper, lower)  # it may have been turned
    return min(middle) > 0 and any(is_uniform(image.crop(half)) for half in halves)


def _conversion(
    profile: bytes | None, mode: str, noted: list[str]
) -> colour_profiles.Conversion | None:
    if not profile:
        return None
    try:
        convert = colour_profiles.conversion(profile, mode)
    except colour_profiles.UnusableProfile:
        noted.append("with a colour profile that cannot be used, taken as sRGB")
        return None
    if convert:
        noted.append("converted to sRGB from the colours of their profile")
    return convert


def _over_background(
    image: Image.Image,
    mode: str,
    convert: colour_profiles.Conversion | None,
    background: str,
    noted: list[str],
) -> Image.Image:
    name, colour = _colour(image, background)
    if len(set(colour)) > 1:
        mode = "RGB"
    result = Image.new(mode, image.size)
    transparent = False
    # A few rows at a time, because this makes three copies of them.
    step = max(1, _ROWS_PIXELS // image.width)
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height))).convert("RGBA")
        alpha = rows.getchannel("A")
        if convert:
            rows = convert(rows.convert("L" if is_grey(image) else "RGB")).convert("RGBA")
            rows.putalpha(alpha)
        if alpha.getextrema()[0] < 255:
            transparent = True
            rows = Image.alpha_composite(Image.new("RGBA", rows.size, (*colour, 255)), rows)
        result.paste(rows.convert(mode), (0, top))
    if not transparent:
        return in_mode(result, "L" if is_grey(image) else "RGB")
    noted.append(f"transparent, laid over {name} (--background)")
    return result


def _colour(image: Image.Image, background: str) -> tuple[str, tuple[int, int, int]]:
    """The background's name and colour; "auto": what differs more from the visible pixels."""
    if background == "auto":
        small = image.resize((64, 64), Image.Resampling.NEAREST).convert("RGBA")
        weights = np.asarray(small.getchannel("A"), np.float64)
        bright = (np.asarray(small.convert("L")) * weights).sum() > 127.5 * weights.sum()
        background = "black" if bright else "white"
    return background, ImageColor.getrgb(background)
