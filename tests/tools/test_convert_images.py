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
from tests.tools.conversions import convert, examples, save, zipped

pytestmark = pytest.mark.usefixtures("no_pool")


failure = functools.partial(conversions.failure, convert)


def test_a_flat_folder(flat, target, capsys):
    done = convert(flat, target)
    assert examples(target) == dict.fromkeys(range(6))
    assert done.image_shape == (8, 8, 3) and done.class_names is None
    told = "6 images, no labels; 1 files of other kinds are ignored (README.txt)\n"
    assert told in capsys.readouterr().out


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
