"""ICC profiles: what brings the colours of a picture to sRGB."""

import functools
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

MAX_BYTES = 1 << 22  # of a profile; those of printers have two million

_CLOSE = 2  # levels of 256: profiles of sRGB differ in their rounding
_STEPS = np.linspace(0, 255, 6).astype(np.uint8)
_COLOURS = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(-1, 6, 3)
_RAMP = np.arange(256, dtype=np.uint8)[None]

Conversion = Callable[[Image.Image], Image.Image]


class UnusableProfile(ValueError):
    """It is damaged, too large, or of other colours than the picture."""


@functools.lru_cache(maxsize=16)
def conversion(profile: bytes, mode: str) -> Conversion | None:
    """What converts the colours of a profile to sRGB.

    Args:
        profile: the content of an ICC profile.
        mode: of the pictures to convert: L, RGB or CMYK.

    Returns:
        A function from an image of this mode to a new one: of mode L if it was L, else RGB. None if
        the profile is sRGB, or as good as that.

    Raises:
        UnusableProfile: that.
    """
    if len(profile) > MAX_BYTES:
        raise UnusableProfile(f"it is larger than {MAX_BYTES} bytes")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        if mode == "L":
            return _of_grey(opened, {"GRAY": "L"}.get(space, space))
        if space != mode:
            raise UnusableProfile(f"it is of {space}, the picture of {mode}")
        transform = _transform(opened, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError) as error:
        raise UnusableProfile(str(error)) from error
    if mode == "RGB" and _is_close(transform(Image.fromarray(_COLOURS)), _COLOURS):
        return None
    return transform


def _of_grey(profile: ImageCms.ImageCmsProfile, space: str) -> Conversion | None:
    """By a table of 256 entries; a profile of RGB does for its greys."""
    ramp = Image.fromarray(_RAMP)
    exact = ImageCms.Flags.NOOPTIMIZE  # otherwise dark greys are interpolated
    table = _transform(profile, space, exact)(ramp.convert(space)).convert("L")
    if _is_close(table, _RAMP):
        return None
    entries = np.asarray(table)[0].tolist()
    return lambda image: image.point(entries)


def _transform(
    profile: ImageCms.ImageCmsProfile, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Conversion:
    srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.PERCEPTUAL
    return ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, flags).apply


def _is_close(image: Image.Image, pixels: np.ndarray) -> bool:
    return np.abs(np.asarray(image).astype(int) - pixels).max() <= _CLOSE
