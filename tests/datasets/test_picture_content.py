"""Metadata never costs a picture; what is no picture is said by name; cut-off files on request."""

import io
import sys
import types

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from lsgan_tf.datasets import picture_content, pictures
from lsgan_tf.datasets.pictures import Reading
from tests.datasets import icc
from tests.datasets.test_picture_modes import adobe_as_srgb, encoded, fitted

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize("words", [1, 80])
def test_png_with_very_much_text(words):
    text = PngImagePlugin.PngInfo()
    for number in range(words):
        text.add_text(f"workflow{number}", "x" * 1_500_000, zip=True)
        text.add_itxt(f"prompt{number}", "y" * 1_500_000, zip=True)
    data = encoded(Image.fromarray(NOISE), pnginfo=text)
    assert np.array_equal(np.asarray(pictures.decode(data)), NOISE)


def test_png_with_a_large_profile():
    image = Image.new("RGB", (8, 8), (100, 128, 110))
    data = encoded(image, icc_profile=icc.adobe_rgb(padding=1_500_000))
    assert np.abs(fitted(data)[0][0, 0] - adobe_as_srgb((100, 128, 110))).max() <= 1.6


def test_orientation_survives_a_tag_of_the_wrong_type_and_much_text():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = 7.5  # XResolution, made of type SSHORT below, which Pillow cannot write again
    exif[0x8298] = "someone"
    wrong = exif.tobytes().replace(b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02")
    wrong = wrong.replace(b"\x1a\x01\x05\x00", b"\x1a\x01\x02\x00")
    assert wrong != exif.tobytes()
    image = pictures.decode(encoded(Image.fromarray(NOISE), "jpeg", exif=wrong))
    assert image.size == (20, 30)
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 1_500_000, zip=True)
    turned = pictures.decode(encoded(Image.fromarray(NOISE), exif=wrong, pnginfo=text))
    assert np.array_equal(np.asarray(turned), np.rot90(NOISE, -1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_never_costs_a_picture():
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x010F] = 6, 7.5, "maker"
    sound, rng = exif.tobytes(), np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(sound)
        for place in rng.integers(6, len(data), 4):
            data[place] = rng.integers(256)
        with_exif = encoded(Image.fromarray(NOISE), "jpeg", exif=bytes(data))
        assert sorted(pictures.decode(with_exif).size) == [20, 30]


def test_a_damaged_segment_of_photoshop_never_costs_a_picture():
    data = encoded(Image.fromarray(NOISE), "jpeg")
    segment = b"Photoshop 3.0\0" + b"8BIM\x03\xed"  # ends where its name should be
    with_segment = data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment
    image = pictures.decode(with_segment + data[2:])
    assert np.array_equal(np.asarray(image), np.asarray(pictures.decode(data)))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
OTHERS = [
    (b"", "it is empty, 0 bytes"),
    (b"\n<!DOCTYPE html><html><body>404", "it is an HTML page: the download went wrong"),
    (LFS, "it is a pointer of Git LFS, not the picture: run `git lfs pull`"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x">', "SVG"),
    (b"%PDF-1.7", "PDF"),
    (b"8BPS\0\1", "Photoshop"),
    (b"\0" * 99, "begins with zeros"),
    (b"nonsense", "not an image of a known format"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pip install pillow-heif"),
]


@pytest.mark.parametrize(("data", "expected"), OTHERS)
def test_what_is_no_picture_is_said(data, expected, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    for refused in (lambda: pictures.decode(data), lambda: pictures.size(io.BytesIO(data))):
        with pytest.raises(pictures.BadImage, match="does not decode") as error:
            refused()
        assert expected in str(error.value)


def test_heic_is_read_by_pillow_heif(monkeypatch):
    class Plugin(Image.Image):
        format = "HEIF"

    def open_heif(file, filename):
        image = Plugin()
        whole = Image.new("RGB", (5, 4), "red")
        image.im, image._mode, image._size = whole.im, whole.mode, whole.size
        return image

    def register():
        Image.register_open("HEIF", open_heif, lambda head: head[4:12] == b"ftypheic")

    monkeypatch.setitem(
        sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register)
    )
    try:
        assert pictures.decode(OTHERS[-1][0]).size == (5, 4)
    finally:
        Image.OPEN.pop("HEIF", None)
        Image.ID.remove("HEIF")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif():
    pixels = np.asarray(pictures.decode(encoded(smooth(), "avif", quality=95))).astype(int)
    assert np.abs(pixels - np.asarray(smooth())).max() <= 6


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_animations_and_pages_are_told(kind):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(3)]
    many = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    told = ("of several pictures or pages, of which the first is taken",)
    assert pictures.notes_of(pictures.decode(many)) == told
    assert pictures.notes_of(pictures.decode(encoded(frames[0], kind))) == ()


def smooth():
    slope = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    return Image.fromarray(slope).convert("RGB")


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_cut_off_files_are_taken_on_request(kind):
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    cut = data[: len(data) * 3 // 4]
    with pytest.raises(pictures.BadImage, match="truncated.*; --accept_truncated takes what"):
        pictures.decode(cut)
    image = pictures.decode(cut, Reading(accept_truncated=True))
    assert pictures.notes_of(image) == ("cut off, taken as far as they go (--accept_truncated)",)
    half = np.asarray(image)[:32], np.asarray(pictures.decode(data))[:32]
    assert np.array_equal(*half)
    with pytest.raises(pictures.BadImage, match="does not decode"):  # nor later ones
        pictures.decode(cut[: len(cut) // 2])


def test_files_cut_off_before_their_pixels_are_refused():
    data = encoded(smooth(), "jpeg")
    header = data[: data.index(b"\xff\xda") + 14]
    with pytest.raises(pictures.BadImage, match="truncated.*: more than half of the picture is"):
        pictures.decode(header, Reading(accept_truncated=True))


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_content_tells_pictures(kind):
    assert picture_content.is_picture(encoded(smooth(), kind)[:512], any_format=False)


@pytest.mark.parametrize("kind", ["tiff", "bmp", "ppm"])
def test_short_signatures_count_only_without_another_name(kind):
    head = encoded(smooth(), kind)[:512]
    assert picture_content.is_picture(head, any_format=True)
    assert not picture_content.is_picture(head, any_format=False)
