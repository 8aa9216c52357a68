"""LMDBs laid out like LSUN's, their zips, and everything that can be wrong with either."""

import errno
import hashlib
import io
import itertools
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import lmdb
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets import manifest
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import lmdbs
from tools import convert_lsun
from tools.convert_lsun import Options
from tools.sources import lmdb_source, lmdb_zip

COMMAND = [sys.executable, "-m", "tools.convert_lsun"]


@pytest.fixture
def source(tmp_path):
    """An LMDB of 20 pictures that are 8x8 already."""
    return lmdbs.of_pictures(tmp_path / "tiny_train_lmdb", 20)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "lsun_tiny"


def convert(source, target, val_lmdb=None, **options):
    options = Options(**{"image_size": 8} | options)
    return convert_lsun.convert(source, target, options, val_lmdb)


def failure(source, target, **options):
    with pytest.raises(UserError) as raised:
        convert(source, target, **options)
    assert not (target / manifest.FILE_NAME).exists()
    return str(raised.value)


def numbers(target, split="train"):
    builder = tfds.builder_from_directory(target)
    return lmdbs.pixels_of(builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator())


def shards(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.tfrecord-*"))}


def test_every_picture_in_the_order_of_the_keys(source, target):
    done = convert(source, target)
    assert (done.image_shape, done.class_names, done.encoding) == ((8, 8, 3), None, "png")
    assert numbers(target) == lmdbs.in_order(20)


def test_training_reads_it(source, target):
    convert(source, target)
    data = datasets.load("lsun_tiny", str(target.parent))
    images, labels = data.first_images(20)
    assert sorted(making.numbers_of(images)) == list(range(20)) and labels is None


def test_more_pictures_than_one_opening_reads(tmp_path, target, monkeypatch):
    source = lmdbs.of_pictures(tmp_path / "lmdb", 23)
    file = lmdb_source.find_data_file(source)
    keys = sorted(map(lmdbs.key, range(23)))
    monkeypatch.setattr(lmdb_source, "_ENTRIES_PER_OPENING", 5)
    read = list(lmdb_source.read_values(file, keys[4], 4, 16))
    assert [(value.number, value.key) for value in read] == list(enumerate(keys))[4:20]


def test_pictures_are_squashed_as_the_authors_did_or_cropped(tmp_path, target):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10], wide[:, 20:] = (255, 0, 0), (0, 0, 255)
    source = lmdbs.write(tmp_path / "lmdb", {b"wide": lmdbs.webp(wide)})
    for crop, expected in (("none", Image.fromarray(wide).resize((10, 10), 2)), ("center", 0)):
        done = convert(source, target / crop, image_size=10, crop=crop)
        assert done.flags["crop"] == crop
        builder = tfds.builder_from_directory(target / crop)
        (item,) = builder.as_dataset(split="train").as_numpy_iterator()
        np.testing.assert_array_equal(item["image"], np.broadcast_to(expected, (10, 10, 3)))


def test_max_images_takes_the_first_keys(source, target):
    convert(source, target, max_images=7)
    assert numbers(target) == lmdbs.in_order(20)[:7]
    assert convert(source, target.parent / "more", max_images=99).shards[0].count == 20


def test_a_validation_split(source, target, tmp_path):
    val_lmdb = lmdbs.of_pictures(tmp_path / "val_lmdb", 5)
    done = convert(source, target, val_lmdb, max_images=7)
    assert {shard.split: shard.count for shard in done.shards} == {"train": 7, "validation": 5}
    assert numbers(target, "validation") == lmdbs.in_order(5)
    assert datasets.facts("lsun_tiny", str(target.parent)).num_examples == 7


def test_both_splits_from_one_lmdb_are_refused(source, target, tmp_path):
    archive = zipped(source, tmp_path / "lmdb.zip")
    for one, other in (
        (source, source / "data.mdb"),
        (archive, tmp_path / "x" / ".." / "lmdb.zip"),
    ):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert "is the same as --lmdb_dir" in failure(one, target, val_lmdb=other)


def test_a_repaired_lmdb_is_another_source(source, target):
    convert(source, target)
    file = source / "data.mdb"
    time = file.stat().st_mtime_ns + 1_000_000_000
    os.utime(file, ns=(time, time))
    with pytest.raises(UserError, match="another state of the source"):
        convert(source, target)


def test_another_spelling_of_the_path_continues(tmp_path, target, monkeypatch, capfd):
    values = {lmdbs.key(n): lmdbs.webp(making.picture(n, 8, 3)) for n in range(5)}
    source = lmdbs.write(tmp_path / "lmdb", values | {b"bad": b""})
    assert "--max_bad=1" in failure(source, target)
    (shard,) = target.glob("*.tfrecord-*")
    written = shard.stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    assert convert(Path("lmdb"), target, max_bad=1).source == "lmdb"
    assert shard.stat().st_mtime_ns == written
    assert "deleting the unfinished work" not in capfd.readouterr().err


def test_bytes_do_not_depend_on_the_processes(real_data, target):
    source = real_data / "lsun_layout" / "bedroom_lmdb"
    for processes in (1, 2):
        convert(source, target / str(processes), image_size=16, processes=processes)
    assert len(shards(target / "1")) == 2
    for one, two in zip(shards(target / "1").values(), shards(target / "2").values(), strict=True):
        assert one == two


def test_real_photographs(real_data, target):
    source = real_data / "lsun_layout" / "bedroom_lmdb"
    done = convert(source, target, image_size=112, processes=2)
    assert sum(shard.count for shard in done.shards) == 534
    builder = tfds.builder_from_directory(target)
    image = next(iter(builder.as_dataset(split="train", shuffle_files=False)))["image"].numpy()
    with (
        lmdb.open(str(source), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
        transaction.cursor() as cursor,
    ):
        cursor.first()
        first = Image.open(io.BytesIO(cursor.value())).convert("RGB")
    expected = first.resize((112, 112), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))


def test_nothing_is_written_beside_a_read_only_source(source, target):
    (source / "lock.mdb").unlink()
    for path in (source / "data.mdb", source):
        path.chmod(stat.S_IREAD | stat.S_IEXEC)
    convert(source, target)
    assert [path.name for path in source.iterdir()] == ["data.mdb"]


def test_the_file_itself_may_be_named(source, target):
    assert convert(source / "data.mdb", target).shards[0].count == 20


def zipped(source, path, *more, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in ("data.mdb", "lock.mdb"):
            archive.write(source / name, f"{source.name}/{name}")
        for name in more:
            archive.write(source / "data.mdb", name)
    return path


def test_a_zip_gives_the_same_shards_and_leaves_nothing_behind(source, target, tmp_path):
    archive = zipped(source, tmp_path / "tiny_train_lmdb.zip")
    convert(source, target.parent / "folder" / "lsun_tiny")
    convert(archive, target)
    assert shards(target) == shards(target.parent / "folder" / "lsun_tiny")
    left = {path.name for path in target.parent.iterdir()}
    assert left == {"lsun_tiny", ".lsun_tiny.lock", "folder"}
    with pytest.raises(UserError, match="already holds a data set"):
        convert(archive, target, image_size=4)


def test_a_finished_zip_is_not_unpacked_again(source, target, tmp_path, monkeypatch):
    archive = zipped(source, tmp_path / "lmdb.zip")
    done = convert(archive, target)
    renamed = archive.rename(tmp_path / "renamed.zip")
    renamed.touch()
    (target / "unfinished").mkdir()  # what a kill between the manifest and the end leaves
    scratch = scratch_of(target)
    scratch.mkdir()
    (scratch / "00000000-1.mdb").write_text("unpacked")
    with monkeypatch.context() as patched:
        patched.delattr(lmdb_zip, "unpack")
        assert convert(renamed, target) == done
    assert not scratch.exists() and not (target / "unfinished").exists()
    other = zipped(lmdbs.of_pictures(tmp_path / "tiny_train_lmdb_2", 21), tmp_path / "other.zip")
    other.replace(renamed)
    with pytest.raises(UserError, match="from another state of the source"):
        convert(renamed, target)


def test_a_zip_with_a_folder_is_compared_although_finished(source, target, tmp_path):
    archive = zipped(source, tmp_path / "lmdb.zip")
    val_lmdb = lmdbs.of_pictures(tmp_path / "val_lmdb", 5)
    done = convert(archive, target, val_lmdb)
    assert convert(archive, target, val_lmdb) == done
    shutil.rmtree(val_lmdb)
    lmdbs.of_pictures(val_lmdb, 6)
    with pytest.raises(UserError, match="another state of the source"):
        convert(archive, target, val_lmdb)


def scratch_of(target, parent=None):
    own = hashlib.sha256(bytes(target.resolve())).hexdigest()[:8]
    return (parent or target.parent) / f".{target.name}.{own}.unpacked"


def test_outputs_of_one_name_share_a_scratch_dir(tmp_path):
    values = {lmdbs.key(n): lmdbs.webp(making.picture(n, 8, 3)) for n in range(5)}
    archive = zipped(lmdbs.write(tmp_path / "lmdb", values | {b"bad": b""}), tmp_path / "lmdb.zip")
    one, other, scratch = tmp_path / "1" / "lsun", tmp_path / "2" / "lsun", tmp_path / "scratch"
    assert "--max_bad=1" in failure(archive, one, scratch_dir=scratch)
    convert(archive, other, max_bad=1, scratch_dir=scratch)
    assert list(scratch.iterdir()) == [scratch_of(one, scratch)]
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo("lmdb/data.mdb")
    (unpacked,) = scratch.rglob("*.mdb")
    assert unpacked.name == f"{member.CRC:08x}-{member.file_size}.mdb"


@pytest.mark.parametrize("inside", ["", "scratch", "a/../b"])
def test_a_scratch_dir_in_the_output_is_refused(inside, source, target, tmp_path):
    archive = zipped(source, tmp_path / "lmdb.zip")
    assert "Choose a directory outside" in failure(archive, target, scratch_dir=target / inside)
    assert not target.exists()


def test_a_scratch_dir_that_cannot_be_written_to(source, target, tmp_path):
    archive = zipped(source, tmp_path / "lmdb.zip")
    (tmp_path / "file").touch()
    message = failure(archive, target, scratch_dir=tmp_path / "file")
    assert str(scratch_of(target, tmp_path / "file")) in message and "--scratch_dir" in message
    (scratch_of(target) / "lock").mkdir(parents=True)  # no lock can be made there
    message = failure(archive, target)
    assert message.startswith(f"cannot unpack {archive} into {scratch_of(target)}: ")
    assert message.endswith("Choose another directory with --scratch_dir")


def test_an_unpacked_zip_is_used_again_after_a_failure(tmp_path, target):
    values = {lmdbs.key(n): lmdbs.webp(making.picture(n, 8, 3)) for n in range(5)}
    source = lmdbs.write(tmp_path / "lmdb", values | {b"bad": b"no picture"})
    archive = zipped(source, tmp_path / "lmdb.zip")
    assert "--max_bad=1" in failure(archive, target)
    (unpacked,) = scratch_of(target).glob("*.mdb")
    written = unpacked.stat().st_mtime_ns
    (unpacked.parent / ".half.123.tmp").write_text("what a kill leaves")
    assert "--max_bad=1" in failure(archive, target)
    assert unpacked.stat().st_mtime_ns == written
    assert {path.name for path in unpacked.parent.iterdir()} == {unpacked.name, "lock"}
    assert convert(archive, target, max_bad=1).skipped_count == 1
    assert not unpacked.parent.exists()


def test_a_zip_needs_room(source, target, tmp_path, monkeypatch):
    archive = zipped(source, tmp_path / "lmdb.zip")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "GB are free at" in failure(archive, target)
    assert not list(target.parent.rglob("*.mdb"))
    monkeypatch.undo()
    convert(archive, target, scratch_dir=tmp_path / "elsewhere")


def test_hostile_and_broken_zips(source, target, tmp_path):
    climbing = zipped(source, tmp_path / "a.zip", "../../data.mdb")
    assert "has a member with a path out of the zip, '../../data.mdb'" in failure(climbing, target)
    several = zipped(source, tmp_path / "b.zip", "other/data.mdb")
    assert "several LMDBs" in failure(several, target)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(source, tmp_path / "c.zip", f"{source.name}/data.mdb")
    assert "two members named 'tiny_train_lmdb/data.mdb'" in failure(twice, target)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("README", "hello")
    assert "no data.mdb" in failure(tmp_path / "d.zip", target)
    (tmp_path / "e.zip").write_bytes(b"no zip")
    assert "e.zip is not a readable zip" in failure(tmp_path / "e.zip", target)
    assert not list(tmp_path.rglob("*.mdb")) or not list(target.parent.rglob("*.mdb"))


def test_a_damaged_zip_leaves_no_half_lmdb(source, target, tmp_path):
    archive = zipped(source, tmp_path / "lmdb.zip")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(data)
    assert "lmdb.zip is damaged: tiny_train_lmdb/data.mdb cannot be unpacked" in failure(
        archive, target
    )
    assert not scratch_of(target).exists()


def test_damage_that_other_parts_of_the_unpacking_find(source, target, tmp_path):
    archive = zipped(source, tmp_path / "lzma.zip", method=zipfile.ZIP_LZMA)
    data = bytearray(archive.read_bytes())
    data[100:2000] = b"\xff" * 1900
    archive.write_bytes(data)
    assert "lzma.zip is damaged: tiny_train_lmdb/data.mdb cannot" in failure(archive, target)
    archive = tmp_path / "name.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(source / "data.mdb", "ünï/data.mdb")
    data = archive.read_bytes()
    archive.write_bytes(data.replace("ünï".encode(), b"\xff" * 5, 1))
    assert "name.zip is damaged: ünï/data.mdb cannot be unpacked" in failure(archive, target)
    assert not scratch_of(target).exists()


def test_bad_values_are_skipped_and_named(tmp_path, target):
    good = {lmdbs.key(n): lmdbs.webp(making.picture(n, 8, 3)) for n in range(4)}
    cut = lmdbs.webp(making.picture(9, 64, 3))[:-2000]
    bad = {b"a bad": b"no picture", b"b empty": b"", b"c \xff": cut, b"d bomb": bomb()}
    source = lmdbs.write(tmp_path / "lmdb", good | bad)
    message = failure(source, target, max_bad=3)
    assert message.startswith("4 of 8 images cannot be used, more than --max_bad=3:\n")
    assert f"{source}, entry " in message
    done = convert(source, target, max_bad=4)
    assert sorted(numbers(target)) == [0, 1, 2, 3]
    told = {skip.where.split("key ")[1]: skip.why for skip in done.skipped}
    assert set(told) == {"a bad", "b empty", "c \\xff", "d bomb"}
    assert "not an image" in told["a bad"]
    assert "too much memory" in told["d bomb"]


def bomb():
    """A small PNG of a gigapixel."""
    header = making.png(making.picture(0, 8, 3))
    width = (1 << 15).to_bytes(4, "big")
    body = header[12:16] + width + width + header[24:29]
    return header[:12] + body + zlib.crc32(body).to_bytes(4, "big") + header[33:]


def damaged(source, change):
    file = source / "data.mdb"
    data = bytearray(file.read_bytes())
    file.write_bytes(change(data))
    return source


def of_version(data, version):
    for page in (0, 4096):
        data[page + 20 : page + 24] = version.to_bytes(4, "little")
    return data


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: b"", "has 0 bytes"),
        (lambda data: b"hello" * 9999, "is no LMDB that lmdb"),
        (lambda data: data[:100], "is no LMDB that lmdb"),
        (lambda data: data[:5000], "is cut short: it has 5000 bytes and needs"),
        (lambda data: data[:-1], "is cut short"),
        (lambda data: of_version(data, 0), "VERSION_MISMATCH"),
        (lambda data: of_version(data, 999), "is no LMDB that lmdb"),
    ],
)
def test_what_is_no_whole_lmdb(change, told, source, target):
    message = failure(damaged(source, change), target)
    assert told in message
    assert str(source / "data.mdb") in message
    assert not target.exists()


def test_a_damaged_tree_is_told_even_if_it_crashes_lmdb(tmp_path, target):
    source = lmdbs.of_pictures(tmp_path / "lmdb", 200)

    def spoil(data):
        for page in range(2 * 4096, len(data), 4096):
            data[page + 16 : page + 4096] = b"\xff" * 4080
        return data

    message = failure(damaged(source, spoil), target)
    assert "damaged" in message


def declaring(data, entries):
    for page in (0, 4096):
        data[page + 120 : page + 128] = entries.to_bytes(8, "little")
    return data


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (19, "is damaged: it declares 19 entries, there are more"),
        (21, "is damaged: it declares 21 entries, 20 can be found"),
        (1 << 60, f"is damaged: it declares {1 << 60} entries in "),
    ],
)
def test_a_wrong_number_of_entries(entries, told, source, target):
    assert told in failure(damaged(source, lambda data: declaring(data, entries)), target)


def test_a_page_that_is_met_twice(tmp_path, target):
    source = lmdbs.write(tmp_path / "lmdb", {lmdbs.key(n): b"a picture" for n in range(400)})

    def spoil(data):
        pages = [struct.unpack_from("<QHHH", data, at) for at in range(8192, len(data), 4096)]
        (branch,) = (number for number, _, flags, _ in pages if flags == 1)
        leaves = {number: lower for number, _, flags, lower in pages if flags == 2}
        nodes = struct.unpack_from(f"<{len(leaves)}H", data, branch * 4096 + 16)
        places = [branch * 4096 + node for node in nodes]
        entries = [leaves[int.from_bytes(data[at : at + 6], "little")] for at in places]
        one, other = next(
            (a, b) for a, b in itertools.combinations(range(len(places)), 2)
            if entries[a] == entries[b]
        )  # fmt: skip
        data[places[other] : places[other] + 6] = data[places[one] : places[one] + 6]
        return data

    assert "is out of order" in failure(damaged(source, spoil), target)


def test_an_empty_lmdb(tmp_path, target):
    assert "is an empty LMDB" in failure(lmdbs.write(tmp_path / "lmdb", {}), target)


def test_what_is_not_there(tmp_path, target):
    assert "nowhere does not exist" in failure(tmp_path / "nowhere", target)
    (tmp_path / "folder").mkdir()
    assert "folder has no data.mdb" in failure(tmp_path / "folder", target)


def test_a_name_that_is_too_long(tmp_path, target):
    for name in ("n" * 300, "n" * 300 + ".zip"):
        message = failure(tmp_path / name, target)
        assert message == f"cannot read {tmp_path / name}: File name too long"


def test_a_folder_one_may_not_enter(source, target, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)  # root may enter every folder
    with pytest.raises(UserError, match=f"cannot read {source}: Permission denied"):
        lmdb_source.find_data_file(source)


def test_a_name_that_is_not_utf_8(source, target, tmp_path):
    odd = source.rename(tmp_path / os.fsdecode(b"\xff_lmdb"))
    arguments = [f"--lmdb_dir={odd}", f"--output_dir={target}", "--image_size=8"]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/\\xff_lmdb: 20 images, 20 of them" in done.stdout
    damaged(odd, lambda data: b"hello" * 9999)
    assert "is no LMDB that lmdb" in failure(odd, target.parent / "other")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_lmdb(source, target):
    (source / "data.mdb").chmod(0)
    assert "cannot read" in failure(source, target)


def test_a_foreign_target_is_left_alone(source, target):
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("mine")
    assert "thesis.tex" in failure(source, target)
    assert [path.name for path in target.iterdir()] == ["thesis.tex"]


def test_the_command(source, target):
    arguments = [f"--lmdb_dir={source}", f"--output_dir={target}", "--image_size=8"]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{target}: 20 images, 8x8x3, no labels" in done.stdout
    for wrong, told in (("--crop=left", "crop"), ("--image_size=0", "image_size")):
        done = subprocess.run([*COMMAND, *arguments, wrong], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and told in done.stderr
        assert "Traceback" not in done.stderr
