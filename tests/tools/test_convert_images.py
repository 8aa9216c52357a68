"""From folders and zips of images to data sets; every unusable image or source is named."""

import functools
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets import manifest, pictures
from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import examples, zipped
from tools import convert_images
from tools.convert_images import Options

pytestmark = pytest.mark.usefixtures("no_pool")


def save(path, number=0, channels=3, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(making.png(making.picture(number, size, channels)))
    return path


@pytest.fixture
def flat(tmp_path):
    """Six colour pictures; a nested hidden file and a text file to be ignored."""
    for number in range(6):
        save(tmp_path / "flat" / f"{number}.png", number)
    save(tmp_path / "flat" / ".hidden" / "x.png")
    (tmp_path / "flat" / "README.txt").write_text("not a picture")
    return tmp_path / "flat"


@pytest.fixture
def classes(tmp_path):
    """A folder per class, the even and the odd numbers."""
    for number in range(8):
        save(tmp_path / "classes" / ("odd" if number % 2 else "even") / f"{number}.png", number, 1)
    return tmp_path / "classes"


def convert(source, target, test_source=None, **options):
    options = Options(**{"image_size": 8} | options)
    return convert_images.convert(source, target, options, test_source)


failure = functools.partial(conversions.failure, convert)


def test_a_flat_folder(flat, target, capsys):
    done = convert(flat, target)
    assert examples(target) == dict.fromkeys(range(6))
    assert done.image_shape == (8, 8, 3) and done.class_names is None
    told = "6 images, no labels; 1 files of other kinds are ignored (README.txt)\n"
    assert told in capsys.readouterr().out


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


def test_twelve_bits_in_sixteen_are_warned_of_and_the_advice_works(tmp_path, target):
    (tmp_path / "deep").mkdir()
    for number in range(3):
        values = making.picture(number, 8)[..., 0].astype(np.uint16) * 16
        Image.fromarray(values).save(tmp_path / "deep" / f"{number}.png")
    said = convert(tmp_path / "deep", target).summary(target)
    assert "no value of the 3 images of 16 bits needs more than 12" in said
    assert "Convert them with --depth=12 to another directory" in said
    convert(tmp_path / "deep", target.with_name("set12"), depth="12")
    assert examples(target.with_name("set12")) == dict.fromkeys(range(3))


def test_a_share_of_bad_pictures(flat, target):
    (flat / "2.png").write_bytes(b"<html>")
    message = failure(flat, target, max_bad="10%")
    assert "1 of 6 images cannot be used, more than --max_bad=10%" in message
    assert "2.png: it does not decode: it is an HTML page" in message
    assert convert(flat, target, max_bad="17%").skipped_count == 1


def test_a_folder_per_class(classes, target):
    done = convert(classes, target)
    assert done.class_names == ("even", "odd") and done.image_shape == (8, 8, 1)
    assert examples(target) == {number: number % 2 for number in range(8)}


def test_a_zip_gives_the_same_bytes_as_its_folder(classes, target, tmp_path):
    from_folder = convert(classes, tmp_path / "a" / "set")
    from_zip = convert(zipped(classes, tmp_path / "classes.zip", "top"), target)
    assert from_zip.fingerprint() == from_folder.fingerprint()
    assert from_zip.class_names == ("even", "odd")


def test_labels_none_ignores_folders(classes, target):
    assert convert(classes, target, labels="none").class_names is None


def test_a_single_folder_is_no_class_unless_demanded(flat, target, tmp_path):
    archive = zipped(flat, tmp_path / "flat.zip", "top")
    assert convert(archive, target).class_names is None
    assert convert(archive, target.with_name("b"), labels="folders").class_names == ("top",)


def test_labels_folders_without_folders(flat, target):
    assert "has no class folders" in failure(flat, target, labels="folders")


def test_pictures_beside_class_folders(classes, target):
    save(classes / "stray.png", channels=1)
    message = failure(classes, target)
    assert "images beside class folders" in message and "stray.png" in message
    assert "--labels=none" in message


def test_a_test_split_whose_ids_follow_the_names_of_the_classes(classes, target, tmp_path):
    images = np.stack([making.picture(number) for number in range(20, 25)])
    names = np.array(["odd", "even"])
    np.savez(tmp_path / "a.npz", images=images, labels=[1, 0, 1, 0, 1], class_names=names)
    done = convert(classes, target, tmp_path / "a.npz")
    assert {shard.split: shard.count for shard in done.shards} == {"train": 8, "test": 5}
    assert done.class_names == ("even", "odd")
    tested = list(tfds.builder_from_directory(target).as_dataset(split="test").as_numpy_iterator())
    numbers = making.numbers_of([example["image"] for example in tested])
    labels = [int(example["label"]) for example in tested]
    assert dict(zip(numbers, labels, strict=True)) == {n: n % 2 for n in range(20, 25)}


@pytest.mark.parametrize(
    ("source", "test_source", "expected"),
    [
        ("flat", "absent", "--test_source=absent does not exist"),
        ("flat", "x/../flat", "--test_source=x/../flat is the same as --source"),
        ("flat", ".", "--source=flat and --test_source=. one contains the other"),
        ("classes", "classes/odd", "would be in both splits"),
        ("classes", "flat", "--source=classes has labels, --test_source=flat has none. Give the"),
        ("flat", "classes", "--test_source=classes has labels, --source=flat has none. Give the"),
        ("classes", "one", "with --labels=folders one is enough"),
        ("classes", "other", "has classes that --source=classes lacks: new (it has even, odd)"),
        ("flat", "one", "0.png is in colour, odd/0.png of --test_source is grey. Choose"),
    ],
)
def test_test_sources_that_cannot_be_used(
    source, test_source, expected, flat, classes, target, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for folder in ("x/y", "one/odd", "other/odd", "other/new"):
        save(tmp_path / folder / "0.png", channels=1)
    assert expected in failure(Path(source), target, test_source=Path(test_source))


def test_following_the_advice_about_a_test_source_of_one_class_works(classes, target, tmp_path):
    save(tmp_path / "one" / "odd" / "21.png", 21, channels=1)
    done = convert(classes, target, tmp_path / "one", labels="folders")
    assert done.class_names == ("even", "odd") and len(done.shards) == 2


def test_a_bad_test_picture_is_named_and_the_conversion_continues(flat, target, tmp_path):
    test_source = tmp_path / "held_out"
    save(test_source / "1.png", 201)
    (test_source / "2.png").write_bytes(b"not a picture")
    assert "2.png of --test_source: it does not" in failure(flat, target, test_source=test_source)
    done = convert(flat, target, test_source, max_bad=1)
    assert convert(flat, target, test_source, max_bad=1) == done
    again = convert(flat, tmp_path / "again" / "set", test_source, max_bad=1)
    assert (again.shards, again.skipped) == (done.shards, done.skipped)
    assert "another state of the source" in failure(flat, target)
    save(test_source / "3.png", 203)
    assert "another state of the source" in failure(flat, target, test_source=test_source)


def test_a_zip_whose_directory_hides_a_member_is_refused(flat, target, tmp_path):
    archive = zipped(flat, tmp_path / "flat.zip")
    data = bytearray(archive.read_bytes())
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 1)
    length = data.index(b"PK\1\2", second + 1) - second
    data[first + 32 : first + 34] = length.to_bytes(2, "little")  # the second is its comment
    archive.write_bytes(data)
    with zipfile.ZipFile(archive) as opened:
        count = len(opened.infolist())
    told = f"flat.zip is damaged: it declares {count + 1} members, {count} can be found"
    assert told in failure(archive, target)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (zipfile.ZIP_LZMA, ""),
        (zipfile.ZIP_BZIP2, ""),
        (zipfile.ZIP_DEFLATED, ""),
        (zipfile.ZIP_STORED, "Bad CRC-32"),
    ],
)
def test_damaged_zip_members_of_any_method_are_named(method, why, target, tmp_path):
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.png", making.png(making.picture(1)))
        archive.writestr("b.png", rng.integers(0, 50, 3000, np.uint8).tobytes())
        place = archive.getinfo("b.png").header_offset + 35

    def spoil(data):
        data[place : place + 500] = bytes(range(250, 0, -1)) * 2

    making.change_bytes(tmp_path / "a.zip", spoil)
    assert f"b.png: it cannot be unpacked: {why}" in failure(tmp_path / "a.zip", target)
    assert convert(tmp_path / "a.zip", target, max_bad=1).skipped_count == 1


def test_a_zip_whose_names_are_no_text(flat, target, tmp_path):
    archive = zipped(flat, tmp_path / "a.zip", "top")

    def spoil_first_name(data):
        entry = data.find(b"PK\x01\x02")
        data[entry + 9] |= 8  # says that its name is UTF-8
        data[entry + 46] = 0xFF

    making.change_bytes(archive, spoil_first_name)
    assert "a.zip is not a readable zip: 'utf-8' codec" in failure(archive, target)


def test_zip_bomb_is_a_bad_image(flat, target, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_FILE_BYTES", 5000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\0" * 10_000_000)
    assert "is larger than 5000 bytes" in failure(tmp_path / "bomb.zip", target)


def test_undecodable_images_are_named_counted_and_skipped_up_to_max_bad(flat, target, capsys):
    (flat / "2.png").write_bytes(b"not a picture at all")
    (flat / "4.png").write_bytes((flat / "4.png").read_bytes()[:60])
    message = failure(flat, target, max_bad=1)
    assert "2 of 6 images cannot be used, more than --max_bad=1" in message
    assert "2.png: it does not decode: not an image of a known format" in message
    assert "4.png: it does not decode" in message
    done = convert(flat, target, max_bad=2)
    assert [skip.where for skip in done.skipped] == ["2.png", "4.png"]
    assert examples(target) == dict.fromkeys([0, 1, 3, 5])


def test_following_the_advice_about_bad_images_works(flat, target):
    (flat / "2.png").write_bytes(b"not a picture at all")
    assert "repair them or move them elsewhere" in failure(flat, target)
    (flat / "2.png").unlink()
    convert(flat, target)
    assert examples(target) == dict.fromkeys([0, 1, 3, 4, 5])


def test_decompression_bomb_is_skipped_like_any_bad_image(flat, target):
    (flat / "1.png").write_bytes(making.bomb(60_000))
    assert convert(flat, target, max_bad=1).skipped[0].where == "1.png"


def test_mixed_grey_and_colour(flat, target):
    save(flat / "grey.png", 200, channels=1)
    message = failure(flat, target)
    assert "0.png is in colour, grey.png is grey" in message
    assert "--channels=grey" in message and "--channels=colour" in message
    assert convert(flat, target.with_name("g"), channels="grey").image_shape == (8, 8, 1)
    assert convert(flat, target.with_name("c"), channels="colour").image_shape == (8, 8, 3)


def test_empty_folder_lists_what_is_accepted(tmp_path, target):
    (tmp_path / "empty").mkdir()
    message = failure(tmp_path / "empty", target)
    assert "no images in" in message and ".png" in message and ".webp" in message
    assert not target.exists()


def test_no_image_readable(tmp_path, target):
    save(tmp_path / "bad" / "a.png").write_bytes(b"")
    assert "none of the 1 images" in failure(tmp_path / "bad", target, max_bad=5)


def test_a_source_of_no_known_kind(target, tmp_path):
    (tmp_path / "a.rar").touch()
    assert "neither a folder nor" in failure(tmp_path / "a.rar", target)


def test_a_name_longer_than_any_file_has(target, tmp_path):
    assert f"{'x' * 300} does not exist" in failure(tmp_path / ("x" * 300), target)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any folder")
@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_folders_that_may_not_be_entered(mode, flat, target):
    (flat / "locked").mkdir()
    save(flat / "locked" / "7.png")
    (flat / "locked").chmod(mode)
    try:
        assert "Permission denied" in failure(flat, target)
        assert "Permission denied" in failure(flat / "locked" / "7.png", target)
    finally:
        (flat / "locked").chmod(0o700)


def test_circular_links_end(flat, target):
    (flat / "loop").symlink_to(flat)
    assert sum(shard.count for shard in convert(flat, target).shards) == 6


def test_resizing_and_jpeg(tmp_path, target):
    save(tmp_path / "big" / "a.png", 1, size=40)
    done = convert(tmp_path / "big", target, image_size=16, crop="center", encoding="jpeg")
    assert (done.image_shape, done.encoding) == ((16, 16, 3), "jpeg")
    images, _ = datasets.load("set", str(target.parent)).first_images(1)
    assert images.shape == (1, 16, 16, 3) and images.std() > 5


def run(*arguments):
    return conversions.run("convert_images", *arguments)


def test_names_that_are_no_text_or_hold_control_characters(classes, target, tmp_path):
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat_\xe9dir"))
    (classes / "odd").rename(classes / other.name)
    arguments = (f"--output_dir={target}", "--image_size=8")
    refused = run(f"--source={classes}", *arguments)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "xe9dir': a name is" in refused.stderr and "one line of UTF-8 text" in refused.stderr
    (classes / other.name).rename(classes / "\x1b[31modd")
    classes.rename(other)
    for name in (b"caf\xe9.png", b"\a.png"):
        (other / "even" / os.fsdecode(name)).write_bytes(b"not a picture")
    failed = run(f"--source={other}", *arguments)
    done = run(f"--source={other}", *arguments, "--max_bad=2")
    assert (failed.returncode, done.returncode) == (1, 0)
    assert "(\\x1b[31modd, even)" in failed.stdout and "Traceback" not in failed.stderr
    for name in ("even/caf\\xe9.png: ", "even/\\x07.png: "):
        assert name in failed.stderr and name in done.stdout
    assert "even/caf\\xe9.png" in [skip.where for skip in manifest.load(target).skipped]
    assert "lat_\\xe9dir" in manifest.load(target).source


def test_the_command(classes, target, tmp_path):
    test_source = zipped(classes, tmp_path / "test.zip")
    arguments = (f"--source={classes}", f"--test_source={test_source}", f"--output_dir={target}")
    first = run(*arguments, "--image_size=8")
    assert first.returncode == 0, first.stderr
    assert f"{target}: 16 images, 8x8x1, 2 classes" in first.stdout
    again = run(*arguments, "--image_size=8")
    assert again.returncode == 0 and "16 images" in again.stdout


def test_real_photographs(target, real_data):
    source = real_data / "lsun_layout" / "church_png"
    done = convert(source, target, image_size=112, processes=2)
    assert done.image_shape == (112, 112, 3)
    images, _ = datasets.load("set", str(target.parent)).first_images(12)
    means = sorted(images.mean(axis=(1, 2, 3)))
    paths = sorted(source.glob("*.png"))
    originals = sorted(np.asarray(Image.open(path).convert("RGB")).mean() for path in paths)
    assert np.allclose(means, originals, atol=1)
    assert manifest.load(target).skipped_count == 0
