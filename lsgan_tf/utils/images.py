"""From the generator's values to files: uint8 by its fixed value range, grids, PNG, JPEG, GIF."""

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from lsgan_tf.utils.errors import UserError

GAP = 2  # pixels between the images of a grid and around them
GRID_ROWS = 8
_GRID_COLUMNS = 8
_MOST_CLASS_COLUMNS = 10
_JPEG_SIDE = 65_500  # pixels, of libjpeg


def to_uint8(images: ArrayLike, value_range: tuple[float, float]) -> np.ndarray:
    """Maps `value_range` to 0..255, rounded; values outside are clipped.

    The range is the generator's, never that of the images themselves: contrast is not stretched.

    Args:
        images: floats of any shape.
        value_range: (lowest, highest) value, such as (-1, 1).

    Returns:
        uint8, of the same shape.
    """
    low, high = value_range
    scaled = (np.asarray(images, np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def grid_size(num_classes: int) -> tuple[int, int]:
    """(rows, columns) of the sample grid of a run: one column a class where there are labels."""
    return GRID_ROWS, min(num_classes, _MOST_CLASS_COLUMNS) or _GRID_COLUMNS


def grid(images: ArrayLike, columns: int, gap: int = GAP) -> np.ndarray:
    """Lays images out row by row, on mid-grey.

    Args:
        images: uint8 [N, H, W, C].
        columns: images in a row; N if that is less.
        gap: pixels between the images and around them.

    Returns:
        uint8 [rows * (H + gap) + gap, columns * (W + gap) + gap, C].
    """
    images = np.asarray(images)
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    canvas = np.full(shape, 128, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap) + gap, column * (width + gap) + gap
        canvas[top : top + height, left : left + width] = image
    return canvas


def enlarged(images: np.ndarray, scale: int) -> np.ndarray:
    """Images [..., H, W, C] with each pixel as a square of this side."""
    return images.repeat(scale, axis=-3).repeat(scale, axis=-2) if scale > 1 else images


def encode_png(image: np.ndarray) -> bytes:
    """The bytes of a PNG file of one uint8 image [H, W, 1 or 3]."""
    buffer = io.BytesIO()
    _pillow(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_jpeg(image: np.ndarray) -> bytes:
    """The bytes of a JPEG file, of quality 95, of one uint8 image [H, W, 1 or 3].

    Raises:
        UserError: it is larger than a JPEG can be.
    """
    height, width, _ = image.shape
    if max(height, width) > _JPEG_SIDE:
        raise UserError(
            f"A JPEG has at most {_JPEG_SIDE:,} pixels a side, this picture has {width:,}x"
            f"{height:,}. Write a .png."
        )
    buffer = io.BytesIO()
    _pillow(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def encode_gif(frames: Iterable[np.ndarray], frames_per_second: float = 12) -> bytes:
    """The bytes of a GIF that repeats uint8 images [H, W, 1 or 3] of one size for ever.

    Equal frames that follow each other become one that is shown longer. Until the last is read,
    one byte of each pixel is kept.
    """
    pictures = map(_pillow, frames)
    first = next(pictures)
    buffer = io.BytesIO()
    duration = round(1000 / frames_per_second)
    first.save(buffer, "GIF", save_all=True, append_images=pictures, duration=duration, loop=0)
    return buffer.getvalue()


def _pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
