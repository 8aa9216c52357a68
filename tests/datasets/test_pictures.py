import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import pictures
from tests.datasets import making

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def encoded(image, kind="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read_back(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("1", "L"), ("L", "L"), ("LA", "L"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGB")],
)
def test_modes(mode, becomes):
    image = pictures.decode(encoded(Image.fromarray(NOISE).convert(mode)))
    assert image.mode == becomes
    assert pictures.is_grey(image) == (becomes == "L")


def test_sixteen_bits_become_eight():
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    image = pictures.decode(encoded(Image.fromarray(values)))
    assert np.array_equal(np.asarray(image).ravel(), np.arange(256))


def test_transparent_pixels_lie_over_black():
    image = Image.new("RGBA", (4, 4), (200, 100, 50, 0))
    assert np.asarray(pictures.decode(encoded(image))).max() == 0


def test_exif_orientation_is_honoured():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = encoded(Image.fromarray(NOISE), "jpeg", exif=exif)
    assert pictures.decode(data).size == (20, 30)


@pytest.mark.parametrize("cut", [0, 4, 20, 200])
def test_damaged_files(cut):
    with pytest.raises(pictures.BadImage):
        pictures.decode(encoded(Image.fromarray(NOISE))[:cut])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_files_either_decode_or_are_bad():
    rng = np.random.default_rng(1)
    for kind in ("png", "jpeg", "webp", "gif", "bmp", "tiff"):
        sound = encoded(Image.fromarray(NOISE), kind)
        for _ in range(40):
            data = bytearray(sound)
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            try:
                image = pictures.decode(bytes(data))
            except pictures.BadImage:
                continue
            assert image.mode in ("L", "RGB")


@pytest.mark.parametrize("side", [9_000, 40_000, 2**31 - 1])
def test_a_decompression_bomb_is_a_bad_image(side):
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    small = encoded(Image.new("L", (4, 4)))
    bomb = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(pictures.BadImage, match="too m"):
        pictures.decode(bomb)


def test_straight_resize_keeps_everything_and_center_crop_cuts():
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    image = Image.fromarray(wide)
    whole = read_back(pictures.Target(10, 1).encode(image))
    middle = read_back(pictures.Target(10, 1, crop="center").encode(image))
    assert whole.shape == middle.shape == (10, 10)
    assert middle.min() == 255 and 60 < whole.mean() < 110


def test_downsizing_is_antialiased():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = read_back(pictures.Target(8, 1).encode(Image.fromarray(checks)))
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_equal_size_keeps_every_pixel():
    image = Image.fromarray(NOISE[:20, :20])
    assert np.array_equal(read_back(pictures.Target(20, 3).encode(image)), NOISE[:20, :20])


def test_jpeg_is_close():
    image = Image.fromarray(making.picture(1, 16, 3)).resize((64, 64))
    out = read_back(pictures.Target(64, 3, encoding="jpeg").encode(image))
    assert 0 < np.abs(out.astype(int) - np.asarray(image)).mean() < 6
