"""From LMDBs laid out like LSUN's to data sets; unusable values are named by their keys."""

import io
import os
import stat
from pathlib import Path

import lmdb
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from lsgan_tf import datasets
from tests.datasets import making
from tests.tools import conversions, lmdbs
from tests.tools.lmdbs import convert, failure
from tools import convert_lsun

pytestmark = pytest.mark.usefixtures("no_pool")


def numbers(target, split="train"):
    builder = tfds.builder_from_directory(target)
    return lmdbs.pixels_of(builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator())


def test_every_picture_in_the_order_of_the_keys(lmdb_dir, target):
    done = convert(lmdb_dir, target)
    assert (done.image_shape, done.class_names, done.encoding) == ((8, 8, 3), None, "png")
    assert numbers(target) == lmdbs.in_order(20)
    images, labels = datasets.load("set", str(target.parent)).first_images(20)  # in training
    assert sorted(making.numbers_of(images)) == list(range(20)) and labels is None


def test_pictures_are_squashed_as_the_authors_did_or_cropped(tmp_path, target):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10], wide[:, 20:] = (255, 0, 0), (0, 0, 255)
    lmdb_dir = lmdbs.write(tmp_path / "lmdb", {b"wide": lmdbs.webp(wide)})
    for crop, expected in (("none", Image.fromarray(wide).resize((10, 10), 2)), ("center", 0)):
        done = convert(lmdb_dir, target / crop, image_size=10, crop=crop)
        assert done.flags["crop"] == crop
        builder = tfds.builder_from_directory(target / crop)
        (item,) = builder.as_dataset(split="train").as_numpy_iterator()
        np.testing.assert_array_equal(item["image"], np.broadcast_to(expected, (10, 10, 3)))


def test_max_images_takes_the_first_keys(lmdb_dir, target):
    convert(lmdb_dir, target, max_images=7)
    assert numbers(target) == lmdbs.in_order(20)[:7]
    assert convert(lmdb_dir, target.parent / "more", max_images=99).shards[0].count == 20


def test_a_validation_split(lmdb_dir, target, tmp_path):
    val_lmdb = lmdbs.of_pictures(tmp_path / "val_lmdb", 5)
    done = convert(lmdb_dir, target, val_lmdb, max_images=7)
    assert {shard.split: shard.count for shard in done.shards} == {"train": 7, "validation": 5}
    assert numbers(target, "validation") == lmdbs.in_order(5)
    assert datasets.facts("set", str(target.parent)).num_examples == 7


def test_both_splits_from_one_lmdb_are_refused(lmdb_dir, target, tmp_path):
    archive = conversions.zipped(lmdb_dir, tmp_path / "lmdb.zip")
    for one, other in (
        (lmdb_dir, lmdb_dir / "data.mdb"),
        (archive, tmp_path / "x" / ".." / "lmdb.zip"),
    ):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert "is the same as --lmdb_dir" in failure(one, target, val_lmdb=other)


@pytest.mark.parametrize("zipped", [False, True])
def test_several_lmdbs_are_classes(zipped, tmp_path, target):
    """Named as LSUN does; the classes of the validation split are found by name."""
    paths = []
    for split, name, count in (("train", "tower", 9), ("train", "bridge", 5), ("val", "bridge", 3)):
        path = lmdbs.of_pictures(tmp_path / f"{name}_{split}_lmdb", count)
        paths.append(conversions.zipped(path, path.with_suffix(".zip")) if zipped else path)
    options = convert_lsun.Options(8, max_images=7)
    done = convert_lsun.convert(paths[:2], target, options, paths[2:])
    assert done.class_names == ("tower", "bridge")
    assert {shard.split: shard.count for shard in done.shards if shard.split != "train"} == {
        "validation": 3
    }
    stored = [
        (item["label"], number)
        for item in conversions.stored(target)
        for number in making.numbers_of(item["image"][np.newaxis])
    ]
    in_order = lmdbs.in_order
    assert stored == (
        [(0, n) for n in in_order(9)[:7]] + [(1, n) for n in in_order(5) + in_order(3)]
    )
    assert convert_lsun.convert(paths[:2], target, options, paths[2:]) == done
    refused = conversions.failure(convert_lsun.convert, paths[1::-1], target, options=options)
    assert "with other flags" in refused


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (["x/church.zip", "y/church_train_lmdb"], [], "would both be the class 'church'"),
        (["church.zip", "tower"], ["bridge"], "lacks (it has church, tower). Rename it"),
        (
            ["church"],
            ["church_val", "tower_val"],
            "--val_lmdb=tower_val would be the class 'tower'",
        ),
    ],
)
def test_names_of_classes_that_do_not_fit(train, val, expected, target):
    val = [Path(path) for path in val]
    paths = [Path(path) for path in train]
    options = {"options": convert_lsun.Options(8), "val_lmdbs": val}
    assert expected in conversions.failure(convert_lsun.convert, paths, target, **options)


def test_another_spelling_of_the_path_continues(tmp_path, target, monkeypatch, capfd):
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 5, others={b"bad": b""})
    assert "--max_bad=1" in failure(lmdb_dir, target)
    (shard,) = target.glob("*.tfrecord-*")
    written = shard.stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    assert convert(Path("lmdb"), target, max_bad=1).source == "lmdb"
    assert shard.stat().st_mtime_ns == written
    assert "deleting the unfinished work" not in capfd.readouterr().err


def test_real_photographs(real_data, target, capsys):
    lmdb_dir = real_data / "lsun_layout" / "bedroom_lmdb"
    convert(lmdb_dir, target, image_size=112, max_images=100)
    assert "534 images, 100 of them become the split 'train'" in capsys.readouterr().out
    builder = tfds.builder_from_directory(target)
    image = next(iter(builder.as_dataset(split="train", shuffle_files=False)))["image"].numpy()
    with (
        lmdb.open(str(lmdb_dir), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
        transaction.cursor() as cursor,
    ):
        cursor.first()
        first = Image.open(io.BytesIO(cursor.value())).convert("RGB")
    expected = first.resize((112, 112), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))


def test_nothing_is_written_beside_a_read_only_source(lmdb_dir, target):
    (lmdb_dir / "lock.mdb").unlink()
    for path in (lmdb_dir / "data.mdb", lmdb_dir):
        path.chmod(stat.S_IREAD | stat.S_IEXEC)
    convert(lmdb_dir, target)
    assert [path.name for path in lmdb_dir.iterdir()] == ["data.mdb"]


def test_the_file_itself_may_be_named(lmdb_dir, target):
    assert convert(lmdb_dir / "data.mdb", target).shards[0].count == 20


def test_bad_values_are_skipped_and_named(tmp_path, target):
    cut = lmdbs.webp(making.picture(9, 64, 3))[:-2000]
    bad = {
        b"a bad": b"no picture",
        b"b empty": b"",
        b"c \xff": cut,
        b"d bomb": making.bomb(1 << 15),
    }
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 4, others=bad)
    message = failure(lmdb_dir, target, max_bad=3)
    assert message.startswith("4 of 8 images cannot be used, more than --max_bad=3:\n")
    assert f"{lmdb_dir}, entry " in message
    done = convert(lmdb_dir, target, max_bad=4)
    assert sorted(numbers(target)) == [0, 1, 2, 3]
    reasons = {skip.where.split("key ")[1]: skip.why for skip in done.skipped}
    assert set(reasons) == {"a bad", "b empty", "c \\xff", "d bomb"}
    assert "not an image" in reasons["a bad"]
    assert "too much memory" in reasons["d bomb"]


def test_the_command_and_a_name_that_is_not_utf_8(lmdb_dir, target, tmp_path):
    odd = lmdb_dir.rename(tmp_path / os.fsdecode(b"\xff_lmdb"))
    arguments = (f"--lmdb_dir={odd}", f"--output_dir={target}", "--image_size=8")
    done = conversions.run("convert_lsun", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/\\xff_lmdb: 20 images, 20 of them" in done.stdout
    assert f"{target}: 20 images, 8x8x3, no labels" in done.stdout
    making.change_bytes(odd / "data.mdb", lambda data: b"hello" * 9999)
    assert "is no LMDB that lmdb" in failure(odd, target.parent / "other")
