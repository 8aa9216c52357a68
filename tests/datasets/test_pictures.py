"""Image files of every kind, damaged or hostile ones too, become pictures of one kind."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_large_transparent_pictures_are_laid_over_the_background_in_parts(mode):
    rng = np.random.default_rng(0)
    channels = {"RGBA": 4, "LA": 2, "P": 3, "L": 1, "RGB": 3}[mode]
    image = Image.fromarray(rng.integers(0, 256, (300, 4000, channels), np.uint8).squeeze())
    if mode == "P":
        image = image.quantize(32)
    if channels in (1, 3):
        image.info["transparency"] = {"P": 3, "L": 7, "RGB": (1, 2, 3)}[mode]
    assert (image.mode, image.has_transparency_data) == (mode, True)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    solid = Image.new("RGBA", image.size, "white")
    solid.alpha_composite(Image.open(buffer).convert("RGBA"))
    decoded = pictures.decode(buffer.getvalue())
    assert decoded.mode == ("L" if mode in ("L", "LA") else "RGB")
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(solid.convert(decoded.mode)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L"])
def test_memory_for_a_large_picture(mode):
    buffer = io.BytesIO()
    Image.new(mode, (8000, 4000), 77).save(buffer, "png", compress_level=1)
    code = (
        "import resource, sys; from lsgan_tf.datasets import pictures\n"
        "data = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "pictures.Target(64, 3).encode(pictures.decode(data))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=buffer.getvalue(), capture_output=True
    )
    # Two copies of four bytes per pixel, where there was no transparency one of one byte.
    assert int(done.stdout) * 1024 < 8000 * 4000 * (9 if "A" in mode else 2), done.stderr


def progressive(scans):
    """A progressive JPEG with its second scan, of a few bytes, repeated."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 128).save(buffer, "jpeg", progressive=True)
    parts = buffer.getvalue().split(b"\xff\xda")
    missing = scans - (len(parts) - 1)
    return b"\xff\xda".join([*parts[:3], *[parts[2]] * missing, *parts[3:]])


def test_jpegs_with_very_many_scans_take_too_long():
    data = progressive(pictures.MAX_JPEG_SCANS)
    assert pictures.decode(data).getpixel((9, 9)) == 128
    # What follows the file, or a picture within its metadata, does not count.
    assert pictures.decode(data + b"\xff\xda" * 50).size == (64, 64)
    comment = b"\xff\xfe\x00\xca" + b"\xff\xda" * 100
    assert pictures.decode(data[:2] + comment + data[2:]).size == (64, 64)
    with pytest.raises(pictures.BadImage, match="more than 100 scans"):
        pictures.decode(progressive(pictures.MAX_JPEG_SCANS + 1))


def test_exif_orientation_is_honoured():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = encoded(Image.fromarray(NOISE), "jpeg", exif=exif)
    assert pictures.decode(data).size == (20, 30)


@pytest.mark.parametrize("orientation", range(9))
def test_the_size_is_that_of_the_decoded_picture(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(NOISE), "jpeg", exif=exif)
    assert pictures.size(io.BytesIO(data)) == pictures.decode(data).size


def test_the_size_needs_only_the_header():
    data = encoded(Image.fromarray(NOISE), "jpeg")
    header = data[: data.index(b"\xff\xda") + 14]  # up to the start of the scan
    assert pictures.size(io.BytesIO(header)) == (30, 20)
    with pytest.raises(pictures.BadImage):
        pictures.decode(header)
    with pytest.raises(pictures.BadImage, match="not an image of a known format"):
        pictures.size(io.BytesIO(b"nonsense"))


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
    with pytest.raises(pictures.BadImage, match="too m"):
        pictures.decode(making.bomb(side))
    with pytest.raises(pictures.BadImage, match="too m"):
        pictures.size(io.BytesIO(making.bomb(side)))


def test_straight_resize_keeps_everything_and_center_crop_cuts():
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    image = Image.fromarray(wide)
    whole = read_back(pictures.Target(10, 1).encode(image))
    middle = read_back(pictures.Target(10, 1, crop="center").encode(image))
    assert whole.shape == middle.shape == (10, 10)
    assert middle.min() == 255 and 60 < whole.mean() < 110


def test_padding_keeps_the_proportions():
    wide = Image.new("RGB", (20, 10), "red")
    target = pictures.Target(10, 3, crop="pad", margins="#00ff00")
    padded = read_back(target.encode(wide))
    assert padded.shape == (10, 10, 3)
    assert (padded[3:7] == (255, 0, 0)).all() and (padded[[0, 1, 8, 9]] == (0, 255, 0)).all()
    grey = read_back(pictures.Target(10, 1, crop="pad", margins="white").encode(wide))
    assert grey[0, 0] == 255 and grey[5, 5] == 76


@pytest.mark.parametrize(
    ("size", "crop", "told"),
    [
        ((20, 20), "center", []),
        ((30, 20), "center", ["cropped to their middle square (--crop=center)"]),
        ((30, 20), "none", ["squeezed to a square (--crop=none)"]),
        ((30, 20), "pad", ["padded to a square (--crop=pad)"]),
        ((9, 9), "center", ["enlarged to 10 pixels (--min_size leaves such out)"]),
        ((10, 10), "center", []),
    ],
)
def test_what_becomes_of_other_sizes_is_told(size, crop, told):
    image = Image.fromarray(np.resize(NOISE, (size[1], size[0], 3)))
    assert pictures.notes_of(pictures.Target(10, 3, crop).fit(image)) == tuple(told)


def test_filters():
    edge = np.zeros((64, 64), np.uint8)
    edge[:, 30:] = 255
    rows = {
        name: read_back(pictures.Target(8, 1, resample=name).encode(Image.fromarray(edge)))[0]
        for name in ("bilinear", "lanczos", "area")
    }
    assert rows["area"].tolist() == [0, 0, 0, 64, 255, 255, 255, 255]
    assert rows["bilinear"][4] < 255 and rows["lanczos"][3] < rows["bilinear"][3]


@pytest.mark.parametrize("resample", ["bilinear", "lanczos", "area"])
def test_downsizing_is_antialiased(resample):
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    target = pictures.Target(8, 1, resample=resample)
    small = read_back(target.encode(Image.fromarray(checks)))
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_equal_size_keeps_every_pixel():
    image = Image.fromarray(NOISE[:20, :20])
    assert np.array_equal(read_back(pictures.Target(20, 3).encode(image)), NOISE[:20, :20])


def test_jpeg_is_close():
    image = Image.fromarray(making.picture(1, 16, 3)).resize((64, 64))
    out = read_back(pictures.Target(64, 3, encoding="jpeg").encode(image))
    assert 0 < np.abs(out.astype(int) - np.asarray(image)).mean() < 6


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (5, 7), (5, 7, 1), (112, 112, 3), (3, 2, 3)])
def test_png_keeps_every_pixel(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    encoded = pictures.encode_png(pixels)
    mode = "RGB" if pixels.shape[2:] == (3,) else "L"
    image = Image.open(io.BytesIO(encoded))
    assert (image.mode, image.size) == (mode, (shape[1], shape[0]))
    np.testing.assert_array_equal(np.asarray(image), pixels.reshape(np.asarray(image).shape))
    decoded = tf.io.decode_png(encoded).numpy()  # checks the checksums of the chunks
    np.testing.assert_array_equal(decoded, pixels.reshape(*shape[:2], -1))


def test_png_of_a_view_into_a_larger_picture():
    large = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    view = large[::2, 1:5]
    np.testing.assert_array_equal(read_back(pictures.encode_png(view)), view)


PNG_DIGEST = """
import hashlib, numpy as np
from lsgan_tf.datasets import pictures
rng, digest = np.random.default_rng(0), hashlib.sha256()
for side, count in ((4, 500), (28, 100)):
    for pixels in rng.integers(0, 4, (count, side, side), np.uint8):
        digest.update(pictures.encode_png(pixels))
print(digest.hexdigest())
"""


def test_png_of_the_same_pixels_is_the_same_in_every_process():
    # Some encoders use uninitialised memory, for small pictures like these.
    processes = [
        subprocess.Popen([sys.executable, "-c", PNG_DIGEST], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1
    assert not any(process.returncode for process in processes)


def test_png_of_a_smooth_picture_is_small():
    slope = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    assert len(pictures.encode_png(slope)) < slope.size / 20
