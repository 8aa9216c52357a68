"""The geometry of a cat's face: from nine landmarks to an upright square around it.

The steps are those of the PAMI paper's cats (improved_LSGAN, `cats/preprocess_cat_dataset.py`).
Coordinates are those of the annotations: whole numbers are the centres of pixels, the first is 0,
y points down.
"""

import dataclasses
import math
import re

import numpy as np
from PIL import Image, ImageOps

from lsgan_tf.datasets.pictures import BadImage

MAX_ANNOTATION_BYTES = 4096
BORDER = 128  # grey of what a turned picture does not cover

_LANDMARKS = 9  # left eye, right eye, mouth, three of the left ear, three of the right ear
_LEFT_EYE, _RIGHT_EYE, _MOUTH, _LEFT_EAR_BASE, _RIGHT_EAR_BASE = 0, 1, 2, 3, 8  # the outer bases
_NUMBER = re.compile(rb"-?[0-9]{1,6}")

Point = tuple[float, float]  # x, y


@dataclasses.dataclass(frozen=True)
class Face:
    """How to cut a face out of its picture."""

    centre: Point  # of the rotation: the middle between the eyes
    angle: float  # radians, from the left eye to the right one, clockwise
    box: tuple[int, int, int, int]  # in the turned picture: left, top, right, bottom (exclusive)

    @property
    def shorter_side(self) -> int:
        """Length of the box's shorter side, pixels; 0 if the box is outside the picture."""
        left, top, right, bottom = self.box
        return max(0, min(right - left, bottom - top))

    def cut(self, image: Image.Image) -> Image.Image:
        """Turns a picture until the eyes are level and cuts out the box; RGB.

        Pixels are interpolated bilinearly, and blend with `BORDER` over the last pixel of the
        picture, as in the authors' warp by OpenCV, which rounds positions to 1/32 pixel; here they
        are exact. Pillow truncates interpolated 8-bit values, which darkens, and repeats the
        outermost pixels: hence floating point and a frame of one pixel.
        """
        framed = ImageOps.expand(image.convert("RGB"), 1, (BORDER,) * 3)
        return Image.merge("RGB", [self._cut_channel(channel) for channel in framed.split()])

    def _cut_channel(self, framed: Image.Image) -> Image.Image:
        left, top, right, bottom = self.box
        turned = framed.convert("F").transform(
            (right - left, bottom - top),
            Image.Transform.AFFINE,
            self._coefficients(),
            Image.Resampling.BILINEAR,
            fillcolor=BORDER,
        )
        return Image.fromarray(np.rint(np.asarray(turned)).astype(np.uint8))

    def _coefficients(self) -> tuple[float, ...]:
        """Pillow's coefficients of the affine map from the box to the framed picture.

        The centre of Pillow's first pixel is at 0.5, and the frame moves everything by 1.
        """
        (x, y), cos, sin = self.centre, math.cos(self.angle), math.sin(self.angle)
        right, down = self.box[0] - 0.5 - x, self.box[1] - 0.5 - y
        return (
            cos, -sin, x + right * cos - down * sin + 1.5,
            sin, cos, y + right * sin + down * cos + 1.5,
        )  # fmt: skip


def parse_landmarks(annotation: bytes) -> list[Point]:
    """Parses an annotation, the text `9 x1 y1 ... x9 y9`.

    Raises:
        BadImage: it is not of this form.
    """
    if len(annotation) > MAX_ANNOTATION_BYTES:
        raise BadImage(f"its annotation is longer than {MAX_ANNOTATION_BYTES} bytes")
    words = annotation.split()
    for word in words:
        if not _NUMBER.fullmatch(word):
            shown = repr(word[:20])[1:]  # without the b
            raise BadImage(f"its annotation has {shown} where a whole number should be")
    values = [int(word) for word in words]
    if values[:1] != [_LANDMARKS] or len(values) != 1 + 2 * _LANDMARKS:
        raise BadImage(
            f"its annotation should be {_LANDMARKS} and the x and y of {_LANDMARKS} points, "
            f"{1 + 2 * _LANDMARKS} numbers; it has {len(values)}"
            + (f", the first is {values[0]}" if values else "")
        )
    return list(zip(values[1::2], values[2::2], strict=True))


def locate_face(points: list[Point], size: tuple[int, int]) -> Face:
    """Locates the face.

    The box is a square whose side is the distance of the outer bases of the ears, with the middle
    between the eyes at (0.5, 0.4) of it, clipped to the picture.

    Args:
        points: the landmarks.
        size: width and height of the picture.

    Raises:
        BadImage: a landmark is further outside the picture than half its width or height.
    """
    _check_inside(points, size)
    left_eye, right_eye = _eyes(points)
    centre = ((left_eye[0] + right_eye[0]) / 2, (left_eye[1] + right_eye[1]) / 2)
    angle = math.atan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0])
    left_base, right_base = (
        _turned_x(points[base], centre, angle) for base in (_LEFT_EAR_BASE, _RIGHT_EAR_BASE)
    )
    side = abs(left_base - right_base)
    left, right = _span(centre[0] - side / 2, side, size[0])
    top, bottom = _span(centre[1] - side * 2 / 5, side, size[1])
    return Face(centre, angle, (left, top, right, bottom))


def _check_inside(points: list[Point], size: tuple[int, int]) -> None:
    for number, (x, y) in enumerate(points, 1):
        if abs(2 * x - size[0]) > 2 * size[0] or abs(2 * y - size[1]) > 2 * size[1]:
            raise BadImage(
                f"point {number} of its annotation, ({x}, {y}), is far outside its "
                f"{size[0]}x{size[1]} pixels"
            )


def _eyes(points: list[Point]) -> tuple[Point, Point]:
    """The left and the right eye; exchanged where the annotation confuses the two."""
    left, right, mouth = points[_LEFT_EYE], points[_RIGHT_EYE], points[_MOUTH]
    confused = left[0] > right[0] and left[1] < right[1] and mouth[0] > right[0]
    return (right, left) if confused else (left, right)


def _turned_x(point: Point, centre: Point, angle: float) -> float:
    right, down = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + right * math.cos(angle) + down * math.sin(angle)


def _span(start: float, length: float, limit: int) -> tuple[int, int]:
    """Clips an interval to 0 .. limit: its first pixel, and the one after the last.

    Both ends are rounded down after clipping at 0.
    """
    return int(max(start, 0)), min(int(max(start + length, 0)), limit)
