"""Our TFRecord framing and Example encoding against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.datasets import example, tfrecord

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


@pytest.mark.parametrize("lost", [1, 4, 13, 30])
def test_scan_notices_a_file_cut_inside_a_record(written, lost):
    written.write_bytes(written.read_bytes()[:-lost])
    with pytest.raises(tfrecord.CorruptRecord, match=r"record 3 of .*some\.tfrecord"):
        tfrecord.scan(written)


@pytest.mark.parametrize("label", [0, 1, 127, 128, 3739, 2**63 - 1, -1, -(2**63)])
def test_tensorflow_parses_our_examples(label):
    image = bytes(range(256)) * 5
    parsed = tf.train.Example.FromString(example.encode({"image": image, "label": label}))
    assert parsed.features.feature["image"].bytes_list.value == [image]
    assert parsed.features.feature["label"].int64_list.value == [label]
    assert len(parsed.features.feature) == 2


def test_an_example_does_not_depend_on_the_order_of_its_features():
    assert example.encode({"a": 1, "b": b"2"}) == example.encode({"b": b"2", "a": 1})


def test_masked_crc_of_the_crc_standard_vector():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720); masked by hand.
    assert tfrecord.masked_crc(b"123456789") == (
        ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32
    )


def test_offsets_of_an_empty_file(tmp_path):
    (tmp_path / "empty").touch()
    assert np.array_equal(tfrecord.scan(tmp_path / "empty"), [0])
