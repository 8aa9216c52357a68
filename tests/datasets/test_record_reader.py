"""The reader: every kind of damage is named, with its file, before or while it is read."""

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import datasets
from lsgan_tf.datasets import example, record_reader, shards, tfrecord
from lsgan_tf.utils.errors import UserError
from tests.datasets import making

FIRST = "tiny-train.tfrecord-00000-of-00002"


def open_error(directory):
    with pytest.raises(UserError) as error:
        record_reader.converted(directory)
    return str(error.value)


def rewrite_record(directory, number, payload):
    """Puts another payload, soundly framed, in the place of a record of the first shard."""
    path, offsets = directory / FIRST, making.offsets(directory, FIRST)
    data = path.read_bytes()
    data = data[: offsets[number]] + tfrecord.frame(payload) + data[offsets[number + 1] :]
    path.write_bytes(data)
    shards.index_path(directory, FIRST).unlink()
    making.change_json(
        directory / "manifest.json", lambda values: values["shards"][0].update(bytes=len(data))
    )


def test_records_are_read_by_number_across_shards(made):
    _, records = record_reader.converted(made)
    assert len(records) == 50
    assert len({records.read(number) for number in range(50)}) == 50


def test_index_and_scan_agree(made):
    _, indexed = record_reader.converted(made)
    scanned = record_reader.scanned(sorted(made.glob("*.tfrecord-*")))
    assert all(indexed.read(number) == scanned.read(number) for number in range(50))


def test_missing_index_only_costs_time(tiny):
    shards.index_path(tiny, FIRST).unlink()
    _, records = record_reader.converted(tiny)
    assert len(records) == 50


def test_many_shards_do_not_exhaust_file_descriptors(made, monkeypatch):
    monkeypatch.setattr(record_reader, "_MAX_OPEN_FILES", 1)
    _, records = record_reader.converted(made)
    assert records.read(49) == record_reader.converted(made)[1].read(49)


def test_a_split_that_is_not_there(made):
    with pytest.raises(UserError, match=f"^{made} has no split 'test', only train$"):
        record_reader.converted(made, "test")


@pytest.mark.parametrize("length", [-1, -20, "without the last record"])
def test_truncated_shard(tiny, length):
    offsets = making.offsets(tiny, FIRST)
    data = (tiny / FIRST).read_bytes()
    data = data[: offsets[-2] if isinstance(length, str) else length]
    (tiny / FIRST).write_bytes(data)
    assert f"{FIRST} has {len(data)} bytes" in open_error(tiny)


def test_count_that_differs_from_the_manifest(tiny):
    making.change_json(tiny / "manifest.json", lambda values: values["shards"][0].update(count=24))
    message = open_error(tiny)
    assert f"{FIRST} holds 25 records" in message and "recorded 24" in message


def test_damaged_index(tiny):
    path = shards.index_path(tiny, FIRST)
    offsets = np.fromfile(path, "<u8")
    for damaged in (offsets[:-1], offsets[::-1], offsets + np.uint64(8), offsets[:0]):
        path.write_bytes(damaged.tobytes())
        message = open_error(tiny)
        assert "is not the index of" in message and str(path) in message


def test_images_of_another_shape_than_the_manifest(tiny):
    making.change_json(tiny / "manifest.json", lambda values: values.update(image_shape=[9, 8, 1]))
    dataset = datasets.load("tiny", str(tiny.parent))
    with pytest.raises(UserError, match=rf"record \d+ of .*{FIRST[:-14]}.*is 8x8x1, not 9x8x1"):
        dataset.first_images(4)


PNG = making.png(making.picture(0))
CONTRADICTIONS = [
    (b"\xff\xff nonsense", "it is not a tf.train.Example"),
    (example.encode({"label": 0}), "it has 0 pictures"),
    (example.encode({"image": PNG}), "it has 0 labels"),
    (example.encode({"image": PNG, "label": 2}), "its label is 2, not within 0..1"),
    (example.encode({"image": PNG, "label": -1}), "its label is -1, not within 0..1"),
    (
        example.encode({"image": b"no picture", "label": 0}),
        "its picture does not decode (not an image",
    ),
    (example.encode({"image": PNG[:-30], "label": 0}), "does not decode"),
    (
        example.encode({"image": PNG[:-13] + bytes([PNG[-13] ^ 1]) + PNG[-12:], "label": 0}),
        "its picture does not decode (its file is damaged)",  # a checksum Pillow overlooks
    ),
    (
        example.encode({"image": making.png(making.picture(0, size=9)), "label": 0}),
        "its picture is 9x9x1, not 8x8x1",
    ),
    (
        example.encode({"image": making.png(making.picture(0, channels=3)), "label": 0}),
        "its picture is 8x8x3, not 8x8x1",
    ),
]


@pytest.mark.parametrize(
    ("payload", "expected"), CONTRADICTIONS, ids=[expected for _, expected in CONTRADICTIONS]
)
def test_sound_records_that_contradict_the_manifest_are_named(tiny, payload, expected):
    rewrite_record(tiny, 7, payload)
    dataset = datasets.load("tiny", str(tiny.parent))
    batches = dataset.batches(seed=0, step=0, batch_size=10)
    with pytest.raises(tf.errors.OpError) as failure:
        list(batches.take(5))
    explained = dataset.explain(failure.value)
    assert isinstance(explained, UserError)
    assert f"record 7 of {tiny / FIRST} does not fit data set tiny: " in str(explained)
    assert expected in str(explained)
    assert dataset.error is explained
    again = datasets.load("tiny", str(tiny.parent))
    with pytest.raises(UserError, match="record 7 of"):
        again.first_images(50)
    assert again.error is not None


def test_a_contradiction_is_found_when_images_are_resized(tiny):
    rewrite_record(tiny, 7, CONTRADICTIONS[-1][0])
    dataset = datasets.load("tiny", str(tiny.parent), image_size=4)
    with pytest.raises(UserError, match="record 7 of .* is 8x8x3, not 8x8x1"):
        dataset.first_images(50)


def test_errors_that_are_not_the_datas_fault_are_not_explained(made):
    dataset = datasets.load("tiny", str(made.parent))
    dataset.first_images(50)
    for kind in (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError):
        assert dataset.explain(kind(None, None, "something else")) is None
    assert dataset.error is None


@pytest.mark.parametrize("place", [0, 8, 12, 40, -1])
def test_flipped_bits_are_named_with_file_and_record(tiny, place):
    offsets = making.offsets(tiny, FIRST)
    making.flip(tiny / FIRST, offsets[8] - 1 if place == -1 else offsets[7] + place)
    _, records = record_reader.converted(tiny)
    with pytest.raises(UserError, match=rf"record 7 of .*{FIRST}"):
        records.read(7)
    assert records.read(6) and records.read(8)


def test_a_damaged_record_stops_the_batches_and_is_kept_as_error(tiny):
    making.flip(tiny / FIRST, 50)
    dataset = datasets.load("tiny", str(tiny.parent))
    assert dataset.error is None
    with pytest.raises(tf.errors.OpError, match="record 0 of") as failure:
        list(dataset.batches(seed=0, step=0, batch_size=50).take(1))
    assert isinstance(dataset.error, UserError)
    assert f"record 0 of {tiny / FIRST}" in str(dataset.error)
    assert dataset.explain(failure.value) is dataset.error
    with pytest.raises(UserError, match="record 0 of .* cannot be read"):
        dataset.first_images(50)


def test_a_file_that_shrinks_while_it_is_read(tiny):
    _, records = record_reader.converted(tiny)
    with open(tiny / FIRST, "r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match="the file ends inside it"):
        records.read(24)
