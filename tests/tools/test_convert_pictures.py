"""What a conversion makes of unusual pictures, and that it says so by name and number."""

import functools

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import convert, examples, save, zipped

pytestmark = pytest.mark.usefixtures("no_pool")
failure = functools.partial(conversions.failure, convert)


def test_content_decides_not_the_ending(flat, target, capsys):
    for number, name in enumerate(("a", "b.jfif", "c.JPE", "d.dat", "e.png_large"), 1):
        save(flat / name, 200 + number)
    (flat / "f").write_bytes((flat / "0.png").read_bytes()[:3])
    (flat / "g.cr2").write_bytes(b"II*\0" + bytes(99))  # a raw file is TIFF with a preview
    done = convert(flat, target)
    assert sum(shard.count for shard in done.shards) == 11
    said = capsys.readouterr().out
    assert "3 are images by their content, not their ending (a, d.dat, e.png_large)" in said
    assert "3 files of other kinds are ignored (README.txt, f, g.cr2)" in said


def test_content_decides_in_a_zip_as_well(flat, target, tmp_path):
    save(flat / "a", 200)
    done = convert(zipped(flat, tmp_path / "a.zip"), target)
    assert sum(shard.count for shard in done.shards) == 7


def test_a_class_that_loses_all_its_pictures_is_told(classes, target, capsys):
    for number in range(4):
        (classes / "raw" / "deep").mkdir(parents=True, exist_ok=True)
        (classes / "raw" / "deep" / f"{number}.cr2").write_bytes(b"II*\0")
    assert convert(classes, target).class_names == ("even", "odd")
    told = capsys.readouterr()
    assert (
        f"warning: no file in raw/deep of {classes} is a picture of a known format: 4" in told.err
    )
    assert "(raw/deep/0.cr2, raw/deep/1.cr2, raw/deep/2.cr2, ...)" in told.err
    assert "4 files of other kinds are ignored (raw/deep/0.cr2, " in told.out


def transparent(path, ink=0):
    image = Image.new("RGBA", (8, 8))
    image.paste((ink, ink, ink, 255), (0, 3, 8, 5))
    path.parent.mkdir(exist_ok=True)
    image.save(path)


def test_transparent_pictures_lie_over_white_and_are_counted(flat, target):
    for number in range(6, 10):
        transparent(flat / f"{number}.png")
    done = convert(flat, target)
    told = "transparent, laid over white (--background): 4 (6.png, 7.png, 8.png, ...)"
    assert told in done.summary(target)
    images, _ = datasets.load("set", str(target.parent)).first_images(10)
    assert sorted(images.mean(axis=(1, 2, 3)))[-4:] == [255 * 6 / 8] * 4


def test_another_background_is_another_conversion(flat, target):
    transparent(flat / "6.png")
    convert(flat, target)
    assert "already holds a data set" in failure(flat, target, background="black")
    for name, value in (("depth", "12"), ("resample", "area"), ("min_size", 2), ("crop", "pad")):
        assert "already holds a data set" in failure(flat, target, **{name: value})
    assert "already holds a data set" in failure(flat, target, accept_truncated=True)


def test_many_pictures_of_one_colour_are_warned_of(flat, target):
    transparent(flat / "6.png", ink=255)
    said = convert(flat, target).summary(target)
    assert "of one colour throughout: 1 (6.png)" in said
    assert "warning: 1 of 7 images are of one colour throughout" in said
    said = convert(flat, target.with_name("b"), background="black").summary(target)
    assert "of one colour" not in said


def test_photographs_keep_their_proportions_and_the_summary_says_so(tmp_path, target):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    (tmp_path / "wide").mkdir()
    Image.fromarray(wide).save(tmp_path / "wide" / "a.png")
    done = convert(tmp_path / "wide", target, image_size=10)
    assert "cropped to their middle square (--crop=center): 1 (a.png)" in done.summary(target)
    images, _ = datasets.load("set", str(target.parent)).first_images(1)
    assert images.min() == 255
    padded = convert(tmp_path / "wide", target.with_name("b"), image_size=10, crop="pad")
    assert "padded to a square (--crop=pad): 1 (a.png)" in padded.summary(target)


def test_small_pictures_are_told_or_left_out(flat, target):
    save(flat / "large.png", 9, size=16)
    said = convert(flat, target, image_size=12).summary(target)
    assert "enlarged to 12 pixels (--min_size leaves such out): 6 (0.png, 1.png, 2.png, " in said
    done = convert(flat, target.with_name("b"), image_size=12, min_size=12)
    assert sum(shard.count for shard in done.shards) == 1 and done.skipped_count == 0
    told = "left out, smaller than --min_size=12: 6 (0.png, 1.png, 2.png, ...)"
    assert told in done.summary(target)
    assert "no image of" in failure(flat, target.with_name("c"), min_size=99)


def test_cut_off_photographs_are_counted(flat, target):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(flat / "7.jpg")
    (flat / "7.jpg").write_bytes((flat / "7.jpg").read_bytes()[:-900])
    assert "7.jpg: it does not decode: image file is truncated" in failure(flat, target)
    done = convert(flat, target, accept_truncated=True)
    assert "cut off, taken as far as they go (--accept_truncated): 1" in done.summary(target)


def test_twelve_bits_in_sixteen_are_refused_and_the_advice_works(tmp_path, target):
    (tmp_path / "deep").mkdir()
    for number in range(3):
        values = making.picture(number, 8)[..., 0].astype(np.uint16) * 16
        Image.fromarray(values).save(tmp_path / "deep" / f"{number}.png")
    refused = failure(tmp_path / "deep", target)
    assert "the first 3 images of 16 bits have values of no more than 12" in refused
    assert "Choose --depth=12, or take them as they are with --depth=16" in refused
    convert(tmp_path / "deep", target, depth="12")
    assert examples(target) == dict.fromkeys(range(3))
    dark = convert(tmp_path / "deep", target.with_name("dark"), depth="16").summary(target)
    assert "of 16 bits, of which 16 are used, brought to 8: 3" in dark


def test_dark_pictures_among_others_are_warned_of(flat, target):
    for number in range(3):
        values = making.picture(number, 8)[..., 0].astype(np.uint16) * 16
        Image.fromarray(values).save(flat / f"deep{number}.png")
    said = convert(flat, target, channels="colour").summary(target)
    assert "no value of the 3 images of 16 bits needs more than 12" in said
    assert "Convert them with --depth=12 to another directory" in said


def test_a_class_that_loses_all_its_pictures_is_named(tmp_path, target):
    for number, (name, size) in enumerate([("a", 8), ("a", 16), ("b", 8), ("c", 16)]):
        save(tmp_path / "p" / name / f"{number}.png", number, size=size)
    (tmp_path / "p" / "d").mkdir()
    (tmp_path / "p" / "d" / "4.png").write_bytes(b"<html>")
    done = convert(tmp_path / "p", target, min_size=12, max_bad=1)
    assert done.class_names == ("a", "b", "c", "d")
    said = "warning: classes of which train has no image: 2 (b, d)"
    assert said in done.summary(target).splitlines()


def test_a_share_of_bad_pictures(flat, target):
    (flat / "2.png").write_bytes(b"<html>")
    message = failure(flat, target, max_bad="10%")
    assert "1 of 6 images cannot be used, more than --max_bad=10%" in message
    assert "2.png: it does not decode: it is an HTML page" in message
    assert convert(flat, target, max_bad="17%").skipped_count == 1
