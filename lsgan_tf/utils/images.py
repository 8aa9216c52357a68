"""Pictures for people: pixels by the generator's fixed range, never stretched; grids; PNG."""

import io

import numpy as np
from PIL import Image


def to_uint8(images, value_range):
    """Float images in `value_range` -> uint8 in 0..255, rounded; what lies outside is clipped."""
    low, high = value_range
    scaled = (np.asarray(images, np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def grid(images, columns, gap=2):
    """Lays uint8 images [N, H, W, C] out row by row, `gap` mid-grey pixels apart.

    Returns uint8 [rows * (H + gap) + gap, columns * (W + gap) + gap, C].
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


def encode_png(image):
    """One uint8 image [H, W, 1 or 3] -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    _pillow(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_gif(frames, frames_per_second=12):
    """uint8 images [N, H, W, 1 or 3] -> the bytes of an endless animated GIF."""
    first, *others = [_pillow(frame) for frame in frames]
    buffer = io.BytesIO()
    duration = round(1000 / frames_per_second)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
    return buffer.getvalue()


def _pillow(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
