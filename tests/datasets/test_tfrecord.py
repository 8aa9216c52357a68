"""Our TFRecord framing and Example encoding against TensorFlow's own."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.datasets import example, tfrecord
from tests.datasets import making

PAYLOADS = [b"", b"x", bytes(range(256)) * 300, b"\xff" * 17]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "some.tfrecord"
    path.write_bytes(b"".join(map(tfrecord.frame, PAYLOADS)))
    return path


def test_tensorflow_reads_our_framing(written):
    assert list(tf.data.TFRecordDataset(str(written)).as_numpy_iterator()) == PAYLOADS


def test_we_read_tensorflows_framing(tmp_path):
    path = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in PAYLOADS:
            writer.write(payload)
    offsets, data = tfrecord.scan(path).tolist(), path.read_bytes()
    assert offsets[-1] == len(data)
    records = [data[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert [tfrecord.unframe(record) for record in records] == PAYLOADS


@pytest.mark.parametrize("bit", range(0, 8 * len(tfrecord.frame(b"payload")), 5))
def test_any_flipped_bit_is_noticed(bit):
    damaged = bytearray(tfrecord.frame(b"payload"))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(tfrecord.CorruptRecord):
        tfrecord.unframe(bytes(damaged))


@pytest.mark.parametrize("label", [0, 1, 127, 128, 3739, 2**63 - 1, -1, -(2**63)])
def test_tensorflow_parses_our_examples(label):
    image = bytes(range(256)) * 5
    parsed = tf.train.Example.FromString(example.encode({"image": image, "label": label}))
    assert parsed.features.feature["image"].bytes_list.value == [image]
    assert parsed.features.feature["label"].int64_list.value == [label]
    assert len(parsed.features.feature) == 2


def test_an_example_does_not_depend_on_the_order_of_its_features():
    assert example.encode({"a": 1, "b": b"2"}) == example.encode({"b": b"2", "a": 1})


def test_we_decode_tensorflows_examples():
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"abc"])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[300])),
        "low": tf.train.Feature(int64_list=tf.train.Int64List(value=[-2])),
    }
    declared = {"image": bytes, "label": int, "low": int}

    def parsed(features):
        data = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
        return example.decode(data, declared)

    assert parsed(features) == {"image": b"abc", "label": 300, "low": -2}
    for wrong, expected in (
        (tf.train.Int64List(value=[1, 2]), "several values"),
        (tf.train.Int64List(), "no value"),
        (tf.train.FloatList(value=[1]), "float, not int"),
    ):
        kind = "float_list" if isinstance(wrong, tf.train.FloatList) else "int64_list"
        with pytest.raises(example.Malformed, match=expected):
            parsed(features | {"label": tf.train.Feature(**{kind: wrong})})


def test_damaged_examples_are_malformed():
    rng = np.random.default_rng(0)
    sound = example.encode({"image": b"abc", "label": 300})
    declared = {"image": bytes, "label": int}
    malformed = 0
    for _ in range(3000):
        data = bytearray(sound)
        data[rng.integers(len(data))] = rng.integers(256)
        del data[rng.integers(len(data)) :]
        with pytest.raises(example.Malformed):
            example.decode(bytes(data), declared)
        malformed += 1
    assert malformed == 3000
    assert example.decode(sound, declared) == {"image": b"abc", "label": 300}


def test_masked_crc_of_the_crc_standard_vector():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720); masked by hand.
    assert tfrecord.masked_crc(b"123456789") == (
        ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32
    )


def test_offsets_of_an_empty_file(tmp_path):
    (tmp_path / "empty").touch()
    assert np.array_equal(tfrecord.scan(tmp_path / "empty"), [0])


def test_frames_of_a_sound_file(written):
    frames = list(tfrecord.frames(written))
    assert [frame.payload for frame in frames] == PAYLOADS
    offsets = tfrecord.scan(written).tolist()
    assert [(frame.offset, frame.end) for frame in frames] == list(itertools.pairwise(offsets))
    assert not any(frame.damage for frame in frames)


def test_frames_go_on_behind_damaged_data(written):
    offsets = tfrecord.scan(written).tolist()
    making.flip(written, offsets[2] + 100)
    frames = list(tfrecord.frames(written))
    assert [frame.payload for frame in frames] == [*PAYLOADS[:2], None, PAYLOADS[3]]
    assert frames[2].damage == "the checksum of its data does not match"


@pytest.mark.parametrize("index", [(), [0, 1, 2, 3, 4], [0, 16, 1 << 63]])
def test_frames_end_where_nothing_tells_how_long_a_record_is(written, index):
    start = tfrecord.scan(written).tolist()[1]
    making.flip(written, start)
    first, last = tfrecord.frames(written, index)
    assert first.payload == PAYLOADS[0]
    assert last.offset == start and last.end is None
    assert "the rest of the file is not checked" in last.damage


@pytest.mark.parametrize("lost", [1, 4, 13, 30])
def test_a_file_cut_inside_a_record(written, lost):
    written.write_bytes(written.read_bytes()[:-lost])
    *others, last = tfrecord.frames(written)
    assert [frame.payload for frame in others] == PAYLOADS[:3]
    assert (last.end, last.damage) == (None, "the file ends inside it")
    with pytest.raises(tfrecord.CorruptRecord, match=r"record 3 of .*some\.tfrecord"):
        tfrecord.scan(written)


def test_frames_do_not_read_what_is_too_long(written):
    frames = list(tfrecord.frames(written, max_bytes=17))
    assert [frame.payload for frame in frames] == [*PAYLOADS[:2], None, PAYLOADS[3]]
    assert frames[2].damage == f"it has {len(PAYLOADS[2])} bytes, more than 17"
