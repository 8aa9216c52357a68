"""LMDBs that cannot be read end a conversion with a message, even if they crash the library."""

import errno
import itertools
import os
import pickle
import struct
from pathlib import Path

import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import lmdbs
from tests.tools.lmdbs import failure
from tools.sources import lmdb_source


def test_more_pictures_than_one_opening_reads(tmp_path, target, monkeypatch):
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 23)
    file = lmdb_source.find_data_file(lmdb_dir)
    keys = sorted(map(lmdbs.key, range(23)))
    monkeypatch.setattr(lmdb_source, "_ENTRIES_PER_OPENING", 5)
    read = list(lmdb_source.read_values(file, keys[4], 4, 16))
    assert [(value.number, value.key) for value in read] == list(enumerate(keys))[4:20]


def damaged(lmdb_dir, change):
    making.change_bytes(lmdb_dir / "data.mdb", change)
    return lmdb_dir


def of_version(data, version):
    for page in (0, 4096):
        data[page + 20 : page + 24] = version.to_bytes(4, "little")
    return data


@pytest.mark.parametrize(
    ("change", "expected"),
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
def test_what_is_no_whole_lmdb(change, expected, lmdb_dir, target):
    message = failure(damaged(lmdb_dir, change), target)
    assert expected in message
    assert str(lmdb_dir / "data.mdb") in message
    assert not target.exists()


def test_a_damaged_tree_is_told_even_if_it_crashes_lmdb(tmp_path, target):
    lmdb_dir = lmdbs.of_pictures(tmp_path / "lmdb", 200)

    def spoil(data):
        for page in range(2 * 4096, len(data), 4096):
            data[page + 16 : page + 4096] = b"\xff" * 4080
        return data

    message = failure(damaged(lmdb_dir, spoil), target)
    assert "damaged" in message


def declaring(data, entries):
    for page in (0, 4096):
        data[page + 120 : page + 128] = entries.to_bytes(8, "little")
    return data


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (19, "is damaged: it declares 19 entries, there are more"),
        (21, "is damaged: it declares 21 entries, 20 can be found"),
        (1 << 60, f"is damaged: it declares {1 << 60} entries in "),
    ],
)
def test_a_wrong_number_of_entries(entries, expected, lmdb_dir, target):
    assert expected in failure(damaged(lmdb_dir, lambda data: declaring(data, entries)), target)


def test_a_page_that_is_met_twice(tmp_path, target):
    lmdb_dir = lmdbs.write(tmp_path / "lmdb", {lmdbs.key(n): b"GIF89a..." for n in range(400)})

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

    assert "is out of order" in failure(damaged(lmdb_dir, spoil), target)


def test_an_empty_lmdb(tmp_path, target):
    assert "is an empty LMDB" in failure(lmdbs.write(tmp_path / "lmdb", {}), target)


PNG = making.png(making.picture(1, 8, 3))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({b"length": b"2", b"128-00000": PNG, b"128-00001": PNG}, "prepare_data.py"),
        ({b"%05d" % n: pickle.dumps((n, PNG)) for n in range(9)}, "Python pickles"),
        ({b"%05d" % n: bytes(range(48)) for n in range(9)}, "key b'00000', begins with b'"),
    ],
)
def test_an_lmdb_of_another_layout_is_told_at_once(values, why, tmp_path, target):
    message = failure(lmdbs.write(tmp_path / "lmdb", values), target)
    assert "is not LSUN's layout, an image file for each key: " in message and why in message
    assert "--max_bad" not in message


def test_what_is_not_there(tmp_path, target):
    assert "nowhere does not exist" in failure(tmp_path / "nowhere", target)
    (tmp_path / "folder").mkdir()
    assert "folder has no data.mdb" in failure(tmp_path / "folder", target)


def test_a_name_that_is_too_long(tmp_path, target):
    for name in ("n" * 300, "n" * 300 + ".zip"):
        message = failure(tmp_path / name, target)
        assert message == f"cannot read {tmp_path / name}: File name too long"


def test_a_folder_one_may_not_enter(lmdb_dir, target, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)  # root may enter every folder
    with pytest.raises(UserError, match=f"cannot read {lmdb_dir}: Permission denied"):
        lmdb_source.find_data_file(lmdb_dir)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_lmdb(lmdb_dir, target):
    (lmdb_dir / "data.mdb").chmod(0)
    assert "cannot read" in failure(lmdb_dir, target)
