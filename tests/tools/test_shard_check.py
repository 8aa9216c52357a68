"""Every kind of damage to a shard is found and named, with the record where it is."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from lsgan_tf.datasets import manifest, tfrecord
from tests.datasets import making
from tests.tools.verified_sets import (
    FIRST,
    SECOND,
    findings,
    flat,
    replace_records,
    write,
)
from tools.verifying import shard_check

pytestmark = pytest.mark.usefixtures("no_pool")


def test_a_flipped_byte_is_named_and_hides_nothing_else(tiny):
    starts = making.offsets(tiny, FIRST)
    making.flip(tiny / FIRST, starts[3] + 40, starts[5] + 40)
    report = findings(tiny)
    first, second, third = report.faults.listed
    what = "the checksum of its data does not match"
    assert first == f"{FIRST}: record 3 at offset {starts[3]}: {what}"
    assert second == f"{FIRST}: record 5 at offset {starts[5]}: {what}"
    assert third.startswith(f"{FIRST}: sha256: ")
    assert report.statistics.records == 22


def test_a_flipped_length_is_bridged_by_the_index(tiny):
    starts = making.offsets(tiny, FIRST)
    for record, byte in ((3, 0), (5, 7), (8, 9)):  # two of the length, one of its checksum
        making.flip(tiny / FIRST, starts[record] + byte)
    report = findings(tiny)
    assert report.faults.listed[:3] == [
        f"{FIRST}: record {record} at offset {starts[record]}: "
        "the checksum of its length does not match"
        for record in (3, 5, 8)
    ]
    assert report.statistics.records == 21


def test_without_an_index_a_flipped_length_ends_the_shard(tiny):
    start = making.offsets(tiny, FIRST)[3]
    (tiny / "index" / f"{FIRST}.u64").unlink()
    making.flip(tiny / FIRST, start)
    report = findings(tiny)
    assert "the rest of the file is not checked" in report.faults.listed[0]
    assert report.statistics.records == 3 + 12


def test_a_missing_index_is_only_noted(tiny):
    (tiny / "index" / f"{FIRST}.u64").unlink()
    report = findings(tiny)
    assert not report.faults.count and report.statistics.records == 24
    assert report.notes == [
        f"{FIRST} has no index: its records are searched each time it is opened"
    ]


def test_a_length_beyond_the_file_with_a_valid_checksum(tiny):
    start = making.offsets(tiny, FIRST)[3]
    data = bytearray((tiny / FIRST).read_bytes())
    length = (1 << 62).to_bytes(8, "little")
    data[start : start + 12] = length + tfrecord.masked_crc(length).to_bytes(4, "little")
    (tiny / FIRST).write_bytes(data)
    report = findings(tiny)
    where = f"{FIRST}: record 3 at offset {start}"
    assert report.faults.listed[0] == f"{where}: the file ends inside it"
    assert report.faults.count == 2 and report.statistics.records == 15


def test_a_truncated_shard(tiny):
    places = making.offsets(tiny, SECOND)
    os.truncate(tiny / SECOND, places[-1] - 5)
    listed = findings(tiny).faults.listed
    assert f"{SECOND}: record 11 at offset {places[11]}: the file ends inside it" in listed
    assert f"{SECOND}: bytes: {places[-1] - 5}, but {places[-1]} in the manifest" in listed


def test_a_shard_cut_between_two_records(tiny):
    places = making.offsets(tiny, SECOND)
    os.truncate(tiny / SECOND, places[10])
    listed = findings(tiny).faults.listed
    assert f"{SECOND}: records: 10, but 12 in the manifest" in listed
    assert f"index/{SECOND}.u64: it has 104 bytes, not 88" in listed
    assert any(fault.startswith(f"{SECOND}: sha256") for fault in listed)


def test_an_empty_shard(tiny):
    os.truncate(tiny / FIRST, 0)
    assert f"{FIRST}: records: 0, but 12 in the manifest" in findings(tiny).faults.listed


def test_a_missing_shard(tiny):
    (tiny / FIRST).unlink()
    report = findings(tiny)
    assert report.faults.listed == [f"{FIRST}: it is missing"]
    assert report.statistics.records == 12


def test_a_pipe_in_place_of_a_shard(tiny):
    (tiny / FIRST).unlink()
    os.mkfifo(tiny / FIRST)
    assert findings(tiny).faults.listed == [f"{FIRST}: it cannot be read: it is not a file"]


def test_swapped_shards(tiny):
    (tiny / FIRST).rename(tiny / "kept")
    (tiny / SECOND).rename(tiny / FIRST)
    (tiny / "kept").rename(tiny / SECOND)
    listed = findings(tiny).faults.listed
    assert [fault.split(":")[0] for fault in listed if "sha256" in fault] == [FIRST, SECOND]


GOOD = {"image": flat(7), "label": 1, "hand": 0}


WRONG = [
    (GOOD | {"label": 3}, "its label is 3, which is not in 0..2"),
    (GOOD | {"label": -1}, "its label is -1, which is not in 0..2"),
    (GOOD | {"hand": 2}, "its hand is 2, which is not in 0..1"),
    (GOOD | {"label": b"1"}, "its feature 'label' is bytes, not int"),
    (GOOD | {"image": 3}, "its feature 'image' is int, not bytes"),
    ({"image": flat(7), "label": 1}, "it has no feature 'hand'"),
    (GOOD | {"foot": 1}, "it has a feature 'foot', which the manifest does not declare"),
    (b"", "the Example has no value"),
    (b"\x0a\x7f", "it is no tf.train.Example: a field is longer than what holds it"),
    (GOOD | {"image": flat(7, 9)}, "its image is PNG 9x9 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, 6000)}, "its image is PNG 6000x6000 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, mode="RGB")}, "its image is PNG 8x8 RGB, not PNG 8x8 L"),
    (GOOD | {"image": flat(1, mode="1")}, "its image is PNG 8x8 1, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, kind="jpeg")}, "its image is JPEG 8x8 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7)[:50]}, "its image does not decode: "),
    # Pillow decodes these two, TensorFlow does not.
    (GOOD | {"image": flat(7)[:-1]}, "its image is not a whole PNG"),
    (GOOD | {"image": flat(7)[:-13] + flat(7)[-12:]}, "its image is not a whole PNG"),
    (GOOD | {"image": b""}, "its image does not decode: not an image of a known format"),
    # It would be decoded as a second channel.
    (GOOD | {"image": flat(7, transparency=7)}, "its image has a transparent colour"),
]


def test_wrong_records_with_valid_checksums(tmp_path):
    directory = write(tmp_path / "tiny", count=40)
    replace_records(directory, [features for features, _ in WRONG])
    report = findings(directory)
    assert report.statistics.records == 40 - len(WRONG)
    places = making.offsets(directory, FIRST)
    for number, (fault, (_, expected)) in enumerate(zip(report.faults.listed, WRONG, strict=True)):
        assert fault.startswith(f"{FIRST}: record {number} at offset {places[number]}: {expected}")


def test_a_stale_index(tiny):
    index = tiny / "index" / f"{FIRST}.u64"
    places = making.offsets(tiny, FIRST)
    wrong = places.copy()
    wrong[[4, 6]] += 1
    wrong.astype("<u8").tofile(index)
    assert findings(tiny).faults.listed == [
        f"index/{FIRST}.u64: entry 4 is {places[4] + 1}, not {places[4]}"
    ]
    places[:-1].astype("<u8").tofile(index)
    assert findings(tiny).faults.listed == [
        f"index/{FIRST}.u64: it ends before entry 12, which would be {places[12]}"
    ]


def test_200_random_mutations_of_a_shard_are_each_found_by_the_checksums_alone(made, tmp_path):
    contents = manifest.load(made)
    sound, rng = contents.shards[0], np.random.default_rng(0)
    data = (made / FIRST).read_bytes()
    (tmp_path / "index").mkdir()
    mutants = []
    for number in range(200):
        mutant = bytearray(data)
        mutant[rng.integers(len(data))] ^= rng.integers(1, 256)
        file = f"mutant-{number}"
        (tmp_path / file).write_bytes(mutant)
        shutil.copy(made / "index" / f"{FIRST}.u64", tmp_path / "index" / f"{file}.u64")
        mutants.append(dataclasses.replace(sound, file=file))
    contents = dataclasses.replace(contents, shards=tuple(mutants))
    for number in range(200):
        report = shard_check.check_shard(number, tmp_path, contents)
        record, sha256 = report.faults.listed
        assert "the checksum of its" in record and "sha256" in sha256
        assert report.statistics.records == 11  # the other records of the shard
