"""Transparency, 16 bits, inks and ICC profiles: the colours that come out, and what is told."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from lsgan_tf.datasets import notes, pictures
from lsgan_tf.datasets.pictures import Reading
from tests.datasets import icc

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def encoded(image, kind="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fitted(data, size=8, channels=3, reading=Reading(), **target):  # noqa: B008
    """The square's pixels, and the notes."""
    square = pictures.Target(size, channels, **target).fit(pictures.decode(data, reading))
    return np.asarray(square), pictures.notes_of(square)


def line_art(ink=0):
    """A black (or white) line on a transparent ground."""
    image = Image.new("RGBA", (8, 8), (ink, ink, ink, 0))
    image.paste((ink, ink, ink, 255), (0, 3, 8, 5))
    return encoded(image)


@pytest.mark.parametrize(
    ("background", "ink", "ground", "told"),
    [
        ("white", 0, (255, 255, 255), "white"),
        ("black", 255, (0, 0, 0), "black"),
        ("#ff8000", 0, (255, 128, 0), "#ff8000"),
        ("auto", 0, (255, 255, 255), "white"),
        ("auto", 255, (0, 0, 0), "black"),
    ],
)
def test_line_art_on_a_transparent_ground(background, ink, ground, told):
    pixels, noted = fitted(line_art(ink), reading=Reading(background))
    assert pixels[0, 0].tolist() == list(ground) and pixels[4, 4].tolist() == [ink] * 3
    assert noted == (f"transparent, laid over {told} (--background)",)


def test_without_a_flag_the_ground_is_white():
    assert fitted(line_art())[0].mean() == 255 * 6 / 8


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_is_no_transparency(mode):
    image = Image.fromarray(RAMP).convert(mode)
    pixels, noted = fitted(encoded(image), 256, reading=Reading("#ff0000"), crop="none")
    assert noted == ("squeezed to a square (--crop=none)",) or "enlarged" in noted[-1]
    assert np.array_equal(pixels[0, :, 0], RAMP[0])
    assert pictures.decode(encoded(image)).mode == ("L" if mode == "LA" else "RGB")


def test_a_grey_picture_over_a_colour_is_in_colour():
    image = Image.new("LA", (8, 8), (0, 0))
    assert pictures.decode(encoded(image), Reading("#00ff00")).getpixel((0, 0)) == (0, 255, 0)
    assert pictures.decode(encoded(image), Reading("#808080")).getpixel((0, 0)) == 128


def test_a_picture_of_one_colour_is_told():
    assert fitted(encoded(Image.new("RGBA", (8, 8))))[1][-1] == notes.UNIFORM
    assert notes.UNIFORM not in fitted(line_art())[1]


def deep(bits, kind="png"):
    """Grey values that fill so many bits of 16."""
    return encoded(Image.fromarray(RAMP.astype(np.uint16) << (bits - 8)), kind)


@pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_so_many_bits_of_sixteen_by_the_flag(bits, kind):
    pixels = np.asarray(pictures.decode(deep(bits, kind), Reading(depth=str(bits))))
    assert np.array_equal(pixels, RAMP)


def test_values_that_need_fewer_bits_are_told_and_the_warning_names_the_flag():
    noted = notes.Notes()
    for number, data in enumerate((deep(12), deep(10), deep(12, "ppm"))):
        for note in pictures.notes_of(pictures.decode(data)):
            noted.add(note, f"{number}.png")
    lines = notes.describe(noted, 3)
    assert "of 16 bits, whose values need 12: 2 (0.png, 2.png)" in lines
    assert "the 3 images of 16 bits needs more than 12" in lines[-1]
    assert "Convert them with --depth=12" in lines[-1]
    noted.add(*pictures.notes_of(pictures.decode(deep(16))), "3.png")
    assert not [line for line in notes.describe(noted, 4) if "warning" in line]


def test_values_beyond_the_depth_are_not_clipped():
    with pytest.raises(pictures.BadImage, match="reach 65280, more than 12 bits hold: see --depth"):
        pictures.decode(deep(16), Reading(depth="12"))


def test_a_pgm_says_its_largest_value():
    values = (RAMP.astype(int) * 4095 // 255).astype(">u2")
    data = b"P5\n256 4\n4095\n" + values.tobytes()
    pixels = np.asarray(pictures.decode(data))
    assert pixels.max() == 255 and np.abs(pixels.astype(int) - RAMP).max() <= 1
    plain = b"P2 2 1 4095 " + b"0 4095"
    assert np.asarray(pictures.decode(plain)).tolist() == [[0, 255]]


@pytest.mark.parametrize(("mode", "what"), [("I", "32-bit integers"), ("F", "floating-point")])
def test_values_of_unknown_range_are_refused_with_the_remedy(mode, what):
    with pytest.raises(pictures.BadImage, match=f"{what}.*Save it with 8 or 16 bits"):
        pictures.decode(encoded(Image.new(mode, (4, 4), 7), "tiff"))


def sixteen_bit_colour(bits):
    """A PPM, because Pillow writes no other."""
    values = np.repeat((RAMP.astype(">u2") << (bits - 8))[..., None], 3, axis=2)
    return b"P6\n256 4\n65535\n" + values.astype(">u2").tobytes()


def test_colour_of_sixteen_bits():
    image = pictures.decode(sixteen_bit_colour(16))
    assert np.abs(np.asarray(image)[..., 0].astype(int) - RAMP).max() <= 1
    assert pictures.notes_of(image) == ("of 16 bits, whose values need 16",)
    told = pictures.notes_of(pictures.decode(sixteen_bit_colour(12)))
    assert told == ("of 16 bits, whose values need 12",)
    with pytest.raises(pictures.BadImage, match="too few for --depth=12. Save it with 8 bits"):
        pictures.decode(sixteen_bit_colour(12), Reading(depth="12"))


def adobe_as_srgb(colour):
    """What the definitions of both spaces say, within their common gamut."""
    to_xyz = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322],
                       [0.01947, 0.06087, 0.74457]])  # fmt: skip
    from_srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061],
                          [0.01392, 0.09708, 0.71410]])  # fmt: skip
    linear = np.linalg.inv(from_srgb) @ to_xyz @ (np.array(colour) / 255) ** (563 / 256)
    return 255 * np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("colour", [(120, 100, 90), (100, 128, 110), (60, 50, 70)])
def test_adobe_rgb_becomes_srgb(kind, colour):
    lossless = {"lossless": True} if kind == "webp" else {}
    image = Image.new("RGB", (16, 16), colour)
    pixels, noted = fitted(encoded(image, kind, icc_profile=icc.adobe_rgb(), **lossless))
    assert np.abs(pixels[3, 3] - adobe_as_srgb(colour)).max() <= 1.6
    assert noted[0] == "converted to sRGB from the colours of their profile"
    plain = fitted(encoded(image, kind, **lossless))[0]
    assert np.abs(plain[3, 3].astype(int) - pixels[3, 3]).max() >= 3


def test_srgb_is_left_as_it_is():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, noted = fitted(encoded(image, icc_profile=profile))
    assert np.array_equal(pixels, np.asarray(image)) and noted == ()


def test_transparent_pictures_and_margins_with_a_profile_keep_the_background():
    image = Image.new("RGBA", (8, 4), (120, 100, 90, 0))
    image.paste((100, 128, 110, 255), (0, 0, 8, 2))
    data = encoded(image, icc_profile=icc.adobe_rgb())
    grey = {"crop": "pad", "margins": "#808080", "reading": Reading("#808080")}
    pixels, _ = fitted(data, **grey)
    assert pixels[0, 0].tolist() == pixels[5, 0].tolist() == [128] * 3
    assert np.abs(pixels[2, 3] - adobe_as_srgb((100, 128, 110))).max() <= 1.6


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_profiles_of_grey(mode):
    image = (
        Image.fromarray(RAMP.astype(np.uint16) << 8) if mode == "I;16" else Image.fromarray(RAMP)
    )
    image = image if mode == "I;16" else image.convert(mode)
    pixels, noted = fitted(encoded(image, icc_profile=icc.grey(1.0)), 256, 1, crop="none")
    linear = np.arange(256) / 255
    expected = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(pixels[0] - 255 * expected).max() <= 1.5
    assert "converted to sRGB from the colours of their profile" in noted


def test_inks_with_and_without_a_profile():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert np.abs(fitted(encoded(cyan, "jpeg"))[0][0, 0].astype(int) - (0, 255, 255)).max() <= 3
    pixels = fitted(encoded(cyan, "jpeg", icc_profile=icc.grey_inks()))[0]
    light = ((0.75 * 100 + 16) / 116) ** 3  # L* = 75
    expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(pixels[0, 0] - expected).max() <= 3


@pytest.mark.parametrize(
    "profile", [b"nonsense", icc.adobe_rgb()[:200], icc.grey(1.0), icc.adobe_rgb(5_000_000)]
)
def test_a_profile_that_cannot_be_used_is_told(profile):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    pixels, noted = fitted(encoded(image, icc_profile=profile))
    assert np.array_equal(pixels, np.asarray(image))
    assert noted == ("with a colour profile that cannot be used, taken as sRGB",)


def test_damaged_profiles_never_cost_a_picture():
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (8, 8), (10, 20, 30))
    for sound in (icc.adobe_rgb(), icc.grey_inks()):
        for _ in range(15):
            profile = bytearray(sound)
            for place in rng.integers(0, len(profile), 4):
                profile[place] = rng.integers(256)
            mode = "RGB" if sound[16:20] == b"RGB " else "CMYK"
            data = encoded(image.convert(mode), "jpeg", icc_profile=bytes(profile))
            assert fitted(data)[0].shape == (8, 8, 3)
