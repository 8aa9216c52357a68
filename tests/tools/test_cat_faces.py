"""Where faces are found and how they are cut out, by hand-computed numbers."""

import math

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets.pictures import BadImage
from tools.sources import cat_faces

SIZE = (300, 280)


def points(left_eye, right_eye, left_ear, right_ear, mouth=(150, 160)):
    """Nine landmarks of which only the outer bases of the ears matter among those of the ears."""
    tip = (150, 150)
    return [left_eye, right_eye, mouth, left_ear, tip, tip, tip, tip, right_ear]


def level(x=150, y=120, side=160):
    """Level eyes with (x, y) in the middle, and ears `side` apart, more of it on the right."""
    ears = (x - side / 2 + 10, y - 60), (x + side / 2 + 10, y - 70)
    return points((x - 20, y), (x + 20, y), *ears)


def face(*landmarks, size=SIZE):
    return cat_faces.locate_face(points(*landmarks), size)


def test_landmarks():
    text = b"9 175 160 239 162 199 199 149 121 137 78 166 93 281 101 312 96 296 133 \n"
    located = cat_faces.parse_landmarks(text)
    assert located == [
        (175, 160), (239, 162), (199, 199), (149, 121), (137, 78), (166, 93), (281, 101),
        (312, 96), (296, 133),
    ]  # fmt: skip
    assert cat_faces.parse_landmarks(text.replace(b" 137 78", b"\r\n-137 -78"))[4] == (-137, -78)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "19 numbers; it has 0"),
        (b"9" + b" 1" * 17, "19 numbers; it has 18"),
        (b"9" + b" 1" * 19, "19 numbers; it has 20"),
        (b"8" + b" 1" * 18, "it has 19, the first is 8"),
        (b"9 1.5" + b" 1" * 17, "has '1.5' where a whole number"),
        (b"9 1_0" + b" 1" * 17, "has '1_0' where a whole number"),
        (b"9 1234567" + b" 1" * 17, "has '1234567' where a whole number"),
        (b"\xff\xd8\xff", r"has '\\xff\\xd8\\xff' where a whole number"),
        (b"1 " * 2049, "longer than 4096 bytes"),
    ],
)
def test_annotations_that_are_none(text, expected):
    with pytest.raises(BadImage, match=expected):
        cat_faces.parse_landmarks(text)


def test_the_square_is_as_wide_as_the_ears_and_lies_around_the_eyes():
    located = cat_faces.locate_face(level(150, 120, 160), SIZE)
    assert (located.centre, located.angle) == ((150, 120), 0)
    # 150 - 80, 120 - 160 * 0.4: the middle between the eyes is at (0.5, 0.4)
    assert located.box == (70, 56, 230, 216)
    assert located.shorter_side == 160


def test_the_width_is_measured_along_the_line_of_the_eyes():
    # The line of the eyes goes 4 to the right for 3 down. Along it, the ears are at
    # 0.8 * -70 + 0.6 * -90 = -110 and 0.8 * 100 + 0.6 * 0 = 80: 190 apart.
    located = face((130, 105), (170, 135), (80, 30), (250, 120))
    assert located.centre == (150, 120) and located.angle == pytest.approx(math.atan2(3, 4))
    assert located.box == (55, 44, 245, 234)
    mirrored = face((130, 105), (170, 135), (250, 120), (80, 30))  # ears the other way round
    assert mirrored.box == located.box


@pytest.mark.parametrize(
    ("left_eye", "right_eye", "mouth_x", "degrees"),
    [
        ((170, 100), (130, 140), 131, -45),  # left eye right of and above the right one: swapped
        ((170, 100), (130, 140), 130, 135),  # the mouth is not right of the right eye: as it is
        ((170, 140), (130, 100), 131, -135),  # the left eye is below the right one: as it is
        ((170, 120), (130, 120), 131, 180),  # and neither when it is level with it
        ((130, 100), (170, 140), 171, 45),  # left is left
        ((150, 120), (150, 120), 150, 0),  # one eye, seen from the side
    ],
)
def test_eyes_that_are_the_wrong_way_round(left_eye, right_eye, mouth_x, degrees):
    located = face(left_eye, right_eye, (80, 80), (220, 80), (mouth_x, 180))
    assert math.degrees(located.angle) == pytest.approx(degrees)
    assert located.centre == (150, 120)


@pytest.mark.parametrize(
    ("landmarks", "box"),
    [
        (level(50, 120), (0, 56, 130, 216)),  # 30 pixels are left of the picture
        (level(260, 120), (180, 56, 300, 216)),
        (level(150, 40), (70, 0, 230, 136)),  # 24 pixels are above it
        (level(150, 200), (70, 136, 230, 280)),
        (level(20, 10), (0, 0, 100, 106)),
        (level(150.5, 120.5), (70, 56, 230, 216)),  # 70.5 .. 230.5, 56.5 .. 216.5
        (level(50.5, 40.5, 122), (0, 0, 111, 113)),  # -10.5 .. 111.5, -8.3 .. 113.7
    ],
)
def test_the_picture_cuts_the_square_off(landmarks, box):
    located = cat_faces.locate_face(landmarks, SIZE)
    assert located.box == box
    left, top, right, bottom = box
    assert located.shorter_side == min(right - left, bottom - top)


def test_a_square_beside_the_picture_is_empty():
    assert cat_faces.locate_face(level(-40, 120, 40), SIZE).shorter_side == 0
    assert cat_faces.locate_face(level(400, 120, 40), SIZE).shorter_side == 0
    assert cat_faces.locate_face(level(150, -50, 40), SIZE).shorter_side == 0


@pytest.mark.parametrize("point", [(-150, 0), (450, 0), (0, -140), (0, 420)])
def test_points_may_be_outside_by_half_of_the_picture(point):
    assert face((130, 120), (170, 120), point, (220, 80)).centre == (150, 120)
    further = tuple(coordinate + (coordinate > 0) - (coordinate < 0) for coordinate in point)
    with pytest.raises(
        BadImage, match=r"point 4 of its annotation, \(.*\), is far outside its 300"
    ):
        face((130, 120), (170, 120), further, (220, 80))


@pytest.mark.parametrize(
    ("landmarks", "ends"),
    [
        # Level: nothing moves but the origin, to (70, 56).
        (points((130, 120), (170, 120), (70, 60), (230, 60), (150, 150)),
         [(60, 64), (100, 64), (80, 94)]),
        # 4 right, 3 down: the eyes are 25 from their middle, the mouth is 40 below it.
        (points((130, 105), (170, 135), (80, 30), (250, 120), (126, 152)),
         [(70, 76), (120, 76), (95, 116)]),
        # 4 right, 3 up, and the eyes the wrong way round.
        (points((170, 105), (130, 135), (50, 120), (220, 30), (174, 152)),
         [(120, 76), (70, 76), (95, 116)]),
        # A quarter turn clockwise: down becomes right, left becomes down.
        (points((150, 100), (150, 140), (110, 40), (110, 200), (110, 120)),
         [(60, 64), (100, 64), (80, 104)]),
    ],
)  # fmt: skip
def test_where_eyes_and_mouth_end_up(landmarks, ends):
    image = Image.new("RGB", SIZE)
    for (x, y), colour in zip(landmarks, ("#f00", "#0f0", "#00f"), strict=False):
        image.paste(colour, (x - 2, y - 2, x + 3, y + 3))
    cut = np.asarray(cat_faces.locate_face(landmarks, SIZE).cut(image)).astype(float)
    for channel, (x, y) in enumerate(ends):
        weights = cut[..., channel]
        assert weights[y, x] == 255
        assert np.average(np.arange(weights.shape[1]), weights=weights.sum(0)) == pytest.approx(
            x, abs=0.02
        )
        assert np.average(np.arange(weights.shape[0]), weights=weights.sum(1)) == pytest.approx(
            y, abs=0.02
        )


def warped(pixels, located):
    """What `Face.cut` should be, pixel by pixel."""
    left, top, right, bottom = located.box
    cos, sin = math.cos(located.angle), math.sin(located.angle)

    def at(x, y):
        inside = 0 <= y < pixels.shape[0] and 0 <= x < pixels.shape[1]
        return pixels[y, x].astype(float) if inside else np.full(3, 128.0)

    def between(x, y):
        column, row = math.floor(x), math.floor(y)
        u, v = x - column, y - row
        upper = (1 - u) * at(column, row) + u * at(column + 1, row)
        lower = (1 - u) * at(column, row + 1) + u * at(column + 1, row + 1)
        return (1 - v) * upper + v * lower

    def source(x, y):
        x, y = x - located.centre[0], y - located.centre[1]
        return located.centre[0] + x * cos - y * sin, located.centre[1] + x * sin + y * cos

    return np.array(
        [[between(*source(x, y)) for x in range(left, right)] for y in range(top, bottom)]
    )


@pytest.mark.parametrize("degrees", [0, 1, -17.3, 45, 90, 137, 180])
@pytest.mark.parametrize("centre", [(11, 9), (2.5, 15.5)])
def test_every_pixel_is_interpolated_exactly_and_the_border_is_grey(degrees, centre):
    pixels = np.random.default_rng(0).integers(0, 256, (18, 24, 3), np.uint8)
    located = cat_faces.Face(centre, math.radians(degrees), (0, 1, 24, 17))
    cut = np.asarray(located.cut(Image.fromarray(pixels)))
    difference = cut - warped(pixels, located)
    assert np.abs(difference).max() < 0.501 and abs(difference.mean()) < 0.05  # nor darkened


def test_a_picture_that_is_not_turned_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 24, 3), np.uint8)
    cut = cat_faces.Face((11, 9), 0.0, (3, 2, 20, 18)).cut(Image.fromarray(pixels))
    assert np.array_equal(cut, pixels[2:18, 3:20])


def test_a_grey_picture_becomes_rgb():
    cut = cat_faces.Face((5, 5), 0.5, (0, 0, 10, 10)).cut(Image.new("L", (10, 10), 60))
    assert cut.mode == "RGB" and cut.getpixel((5, 5)) == (60, 60, 60)
