"""Manifests that are damaged or hostile are refused with a sentence; sound ones tell the splits."""

import dataclasses

import pytest

from lsgan_tf.datasets import manifest
from lsgan_tf.utils.errors import UserError
from tests.datasets import making


def load_error(directory):
    with pytest.raises(UserError) as error:
        manifest.load(directory)
    return str(error.value)


def test_splits_come_in_the_order_of_their_shards(made):
    contents = manifest.load(made)
    assert contents.splits == ("train",)
    test, train = (
        dataclasses.replace(contents.shards[0], split=name) for name in ("test", "train")
    )
    assert dataclasses.replace(contents, shards=(train, test, test)).splits == ("train", "test")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "does not hold a JSON object"),
        (b'{"format_version": 99}', "format version 99"),
        (b'{"format_version": 2}', "has no 'class_names'"),
    ],
)
def test_unreadable_manifest(tiny, content, expected):
    (tiny / "manifest.json").write_bytes(content)
    message = load_error(tiny)
    assert expected in message
    assert str(tiny / "manifest.json") in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image_shape": [8, 8]}, "is not [height, width, channels]"),
        ({"image_shape": [8, 8, 2]}, "2 channels"),
        ({"encoding": "exe"}, "'exe' is not one of"),
        ({"shards": []}, "lists no records"),
        ({"shards": "none"}, "shards is not of type list"),
        ({"class_names": [1]}, "not all strings"),
        ({"skipped": [{"nonsense": 1}]}, "has no 'where'"),
        ({"skipped_count": -1}, "counts fewer than none"),
        ({"notes": {"turned": {"count": -1, "first": []}}}, "counts fewer than none"),
        ({"notes": {"turned": {"count": "1", "first": []}}}, "turned.count must be of type int"),
        ({"image_shape": [8, 8, True]}, "is not [height, width, channels]"),
    ],
)
def test_wrong_manifest(tiny, changes, expected):
    making.change_json(tiny / "manifest.json", lambda values: values.update(changes))
    assert expected in load_error(tiny)


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "..", ".hidden", "a/b"])
def test_shard_names_cannot_leave_the_directory(tiny, file):
    making.change_json(tiny / "manifest.json", lambda values: values["shards"][0].update(file=file))
    assert "shard file name" in load_error(tiny)
