"""Zips of LMDBs: where and for how long they are unpacked, and what can be wrong with one."""

import hashlib
import shutil
import zipfile

import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions, lmdbs
from tests.tools.lmdbs import convert, failure
from tools.sources import lmdb_zip

pytestmark = pytest.mark.usefixtures("no_pool")


def zipped(lmdb_dir, path, **options):
    return conversions.zipped(lmdb_dir, path, lmdb_dir.name, **options)


def shards(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.tfrecord-*"))}


def test_a_zip_gives_the_same_shards_and_leaves_nothing_behind(lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "tiny_train_lmdb.zip")
    convert(lmdb_dir, target.parent / "folder" / "set")
    convert(archive, target)
    assert shards(target) == shards(target.parent / "folder" / "set")
    left = {path.name for path in target.parent.iterdir()}
    assert left == {"set", ".set.lock", "folder"}
    with pytest.raises(UserError, match="already holds a data set"):
        convert(archive, target, image_size=4)


def test_a_finished_zip_is_not_unpacked_again(lmdb_dir, target, tmp_path, monkeypatch):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
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


def test_a_zip_with_a_folder_is_compared_although_finished(lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    val_lmdb = lmdbs.of_pictures(tmp_path / "val_lmdb", 5)
    done = convert(archive, target, val_lmdb)
    assert convert(archive, target, val_lmdb) == done
    shutil.rmtree(val_lmdb)
    lmdbs.of_pictures(val_lmdb, 6)
    with pytest.raises(UserError, match="another state of the source"):
        convert(archive, target, val_lmdb)


def scratch_of(target, parent=None):
    digest = hashlib.sha256(bytes(target.resolve())).hexdigest()[:8]
    return (parent or target.parent) / f".{target.name}.{digest}.unpacked"


def test_outputs_of_one_name_share_a_scratch_dir(tmp_path):
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 5, others={b"bad": b""})
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    one, other, scratch = tmp_path / "1" / "lsun", tmp_path / "2" / "lsun", tmp_path / "scratch"
    assert "--max_bad=1" in failure(archive, one, scratch_dir=scratch)
    convert(archive, other, max_bad=1, scratch_dir=scratch)
    assert list(scratch.iterdir()) == [scratch_of(one, scratch)]
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo("lmdb/data.mdb")
    (unpacked,) = scratch.rglob("*.mdb")
    assert unpacked.name == f"{member.CRC:08x}-{member.file_size}.mdb"


@pytest.mark.parametrize("inside", ["", "scratch", "a/../b"])
def test_a_scratch_dir_in_the_output_is_refused(inside, lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    assert "Choose a directory outside" in failure(archive, target, scratch_dir=target / inside)
    assert not target.exists()


def test_a_scratch_dir_that_cannot_be_written_to(lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    (tmp_path / "file").touch()
    message = failure(archive, target, scratch_dir=tmp_path / "file")
    assert str(scratch_of(target, tmp_path / "file")) in message and "--scratch_dir" in message
    (scratch_of(target) / "lock").mkdir(parents=True)  # no lock can be made there
    message = failure(archive, target)
    assert message.startswith(f"cannot unpack {archive} into {scratch_of(target)}: ")
    assert message.endswith("Choose another directory with --scratch_dir")


def test_an_unpacked_zip_is_used_again_after_a_failure(tmp_path, target):
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 5, others={b"bad": b"no picture"})
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    assert "--max_bad=1" in failure(archive, target)
    (unpacked,) = scratch_of(target).glob("*.mdb")
    written = unpacked.stat().st_mtime_ns
    (unpacked.parent / ".half.123.tmp").write_text("what a kill leaves")
    assert "--max_bad=1" in failure(archive, target)
    assert unpacked.stat().st_mtime_ns == written
    assert {path.name for path in unpacked.parent.iterdir()} == {unpacked.name, "lock"}
    assert convert(archive, target, max_bad=1).skipped_count == 1
    assert not unpacked.parent.exists()


def test_a_zip_needs_room(lmdb_dir, target, tmp_path, monkeypatch):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "GB are free at" in failure(archive, target)
    assert not list(target.parent.rglob("*.mdb"))
    monkeypatch.undo()
    convert(archive, target, scratch_dir=tmp_path / "elsewhere")


def test_a_zip_of_several_lmdbs_or_none(lmdb_dir, target, tmp_path):
    several = zipped(lmdb_dir, tmp_path / "several.zip")
    with zipfile.ZipFile(several, "a") as archive:
        archive.write(lmdb_dir / "data.mdb", "other/data.mdb")
    assert "several LMDBs" in failure(several, target)
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("README", "hello")
    assert "no data.mdb" in failure(tmp_path / "none.zip", target)
    assert not list(target.parent.rglob("*.mdb"))


def test_a_damaged_zip_leaves_no_half_lmdb(lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "lmdb.zip")
    making.flip(archive, archive.stat().st_size // 2)
    message = failure(archive, target)
    assert "lmdb.zip is damaged: tiny_train_lmdb/data.mdb cannot be unpacked" in message
    assert not scratch_of(target).exists()


def test_damage_that_other_parts_of_the_unpacking_find(lmdb_dir, target, tmp_path):
    archive = zipped(lmdb_dir, tmp_path / "lzma.zip", method=zipfile.ZIP_LZMA)
    making.change_bytes(archive, lambda data: data[:100] + b"\xff" * 1900 + data[2000:])
    assert "lzma.zip is damaged: tiny_train_lmdb/data.mdb cannot" in failure(archive, target)
    archive = tmp_path / "name.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(lmdb_dir / "data.mdb", "ünï/data.mdb")
    making.change_bytes(archive, lambda data: data.replace("ünï".encode(), b"\xff" * 5, 1))
    assert "name.zip is damaged: ünï/data.mdb cannot be unpacked" in failure(archive, target)
    assert not scratch_of(target).exists()
