"""The geometry of a cat's face: from nine landmarks to an upright square around it.

The steps are those of the PAMI paper's cats (improved_LSGAN, `cats/preprocess_cat_dataset.py`).
Coordinates are pixels as annotations count them: whole numbers are the centres of pixels, the first
is 0, y points down.
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

    centre: Point  # between the eyes; what the picture is turned about
    angle: float  # radians, of the way from the left eye to the right one; clockwise as seen
    box: tuple[int, int, int, int]  # in the turned picture: left, top, right, bottom (exclusive)

    @property
    def shorter_side(self) -> int:
        """Of the box, pixels; 0 if none of it is inside the picture."""
        left, top, right, bottom = self.box
        return max(0, min(right - left, bottom - top))

    def cut(self, image: Image.Image) -> Image.Image:
        """Turns a picture until the eyes are level and cuts out the box; RGB.

        Pixels are interpolated bilinearly, and fade into `BORDER` over the last pixel of the
        picture, as in the authors' warp by OpenCV. Their warp rounds positions to 1/32 pixel; here
        they are exact. What Pillow would do otherwise: cut off the fractions of 8-bit values, which
        darkens, and repeat the outermost pixels; hence floating point, and a frame of one pixel.
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
        """Of the way from the box to the framed picture, as Pillow's affine transform takes them.

        Pillow's first pixel has its centre at 0.5, and the frame moves everything by 1.
        """
        (x, y), cos, sin = self.centre, math.cos(self.angle), math.sin(self.angle)
        right, down = self.box[0] - 0.5 - x, self.box[1] - 0.5 - y
        return (
            cos, -sin, x + right * cos - down * sin + 1.5,
            sin, cos, y + right * sin + down * cos + 1.5,
        )  # fmt: skip


def landmarks(annotation: bytes) -> list[Point]:
    """Reads the text `9 x1 y1 ... x9 y9`.

    Raises:
        BadImage: it is anything else.
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


def face(points: list[Point], size: tuple[int, int]) -> Face:
    """Finds the face.

    The box is a square as wide as the outer bases of the ears are apart, with the middle between
    the eyes at (0.5, 0.4) of it; the edges of the picture cut it off.

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
    one, other = (
        _turned_x(points[base], centre, angle) for base in (_LEFT_EAR_BASE, _RIGHT_EAR_BASE)
    )
    side = abs(one - other)
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
    """The left and the right one; swapped where the annotation has them the wrong way round."""
    left, right, mouth = points[_LEFT_EYE], points[_RIGHT_EYE], points[_MOUTH]
    wrong = left[0] > right[0] and left[1] < right[1] and mouth[0] > right[0]
    return (right, left) if wrong else (left, right)


def _turned_x(point: Point, centre: Point, angle: float) -> float:
    right, down = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + right * math.cos(angle) + down * math.sin(angle)


def _span(start: float, length: float, limit: int) -> tuple[int, int]:
    """The whole pixels of a stretch that lie in 0 .. limit: the first, and the one after the last.

    Both ends are rounded down, after what lies before 0 is cut off.
    """
    return int(max(start, 0)), min(int(max(start + length, 0)), limit)
