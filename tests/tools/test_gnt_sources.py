"""Folders, zips and single files of GNT; what is none of them is refused by name."""

import os
import zipfile

import pytest

from tests.datasets import making
from tests.tools import gnt_files
from tests.tools.conversions import zipped
from tests.tools.gnt_files import convert, failure, record, write

pytestmark = pytest.mark.usefixtures("no_pool")


@pytest.fixture
def source(tmp_path):
    return gnt_files.two_writers(tmp_path / "gnt")


def test_a_zip_and_single_files_give_the_same_shards_as_their_folder(source, target, tmp_path):
    from_folder = convert(source, target)
    archive = zipped(source, tmp_path / "gnt.zip")
    from_zip = convert(archive, tmp_path / "zip" / "set")
    singly = [source / "b" / "w2.GNT", source / "w1.gnt"]
    from_files = convert(singly, tmp_path / "files" / "set")
    assert from_zip.fingerprint() == from_folder.fingerprint() == from_files.fingerprint()
    assert from_zip.extra_features == from_folder.extra_features


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.gntx", "is GNTX, the format of CASIA-AHCDB, which is not supported"),
        ("a.DGRL", "holds pages of text (HWDB2)"),
        ("a.dgr", "holds pages of text (HWDB2)"),
        ("a.pot", "holds strokes of a pen"),
        ("a.alz", "is an ALZip archive; unpack it (unalz FILE.alz) and pass the folder"),
        ("a.txt", "is neither a folder nor a .zip nor a .gnt"),
    ],
)
def test_other_formats_are_refused_by_name(name, expected, target, tmp_path):
    file = write(tmp_path / "only" / name, record())
    assert f"--source={file} {expected}" in failure(file, target)
    if name != "a.txt":
        for other in (file.parent, zipped(file.parent, tmp_path / "only.zip")):
            message = failure(other, target)
            assert f"no .gnt files in {other}; {name} in it {expected}" in message


def test_a_folder_of_zips(source, target, tmp_path):
    (tmp_path / "zips").mkdir()
    zipped(source, tmp_path / "zips" / "one.zip")
    assert "but one.zip. Pass each zip as a --source" in failure(tmp_path / "zips", target)


def test_nothing_there(target, tmp_path):
    assert "there are no .gnt files in" in failure(tmp_path, target)


def test_two_files_of_one_writer(source, target, tmp_path):
    write(tmp_path / "more" / "w1.gnt", record())
    message = failure([source, tmp_path / "more"], target)
    assert str(source / "w1.gnt") in message and str(tmp_path / "more" / "w1.gnt") in message
    assert "the name of a file is that of its writer" in message


@pytest.mark.parametrize("name", ["a\nb.gnt", " .gnt", "\udcff.gnt"])
def test_names_that_cannot_be_writers(name, source, target):
    write(source / name, record())
    assert "Rename the file" in failure(source, target)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(source, target):
    (source / "w1.gnt").chmod(0)
    assert "w1.gnt cannot be read: Permission denied" in failure(source, target)


def test_damaged_zip_member_is_named(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("w.gnt", record() * 9)
    making.flip(tmp_path / "a.zip", 60)
    message = failure(tmp_path / "a.zip", target, max_bad=99)
    assert f"w.gnt in {tmp_path / 'a.zip'} cannot be read: Bad CRC-32" in message


def test_a_zip_that_declares_more_than_it_holds(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.gnt", record() * 9)

    def promise(data):
        central = data.find(b"PK\x01\x02")
        data[central + 24 : central + 28] = (10**9).to_bytes(4, "little")  # the size unpacked

    making.change_bytes(tmp_path / "a.zip", promise)
    assert "w.gnt in" in (message := failure(tmp_path / "a.zip", target))
    assert "cannot be read" in message


def test_a_bomb_in_a_zip_costs_time_only(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.gnt", bytes(50_000_000))
    assert "w.gnt in" in (message := failure(tmp_path / "a.zip", target))
    assert "is not a GNT file" in message
