"""MNIST's IDX files and CIFAR's binary version: rows of files, with labels and splits."""

import gzip
import struct

import numpy as np
import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools.conversions import examples
from tools import convert_images
from tools.sources import any_source, image_sources


def listed(path, **choices):
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def pixels(source):
    return np.stack([np.asarray(image) for _, image in source.reader.read(source.entries)])


def labels(source):
    return [entry.label for entry in source.entries]


def idx(path, values, kind=8):
    values = np.asarray(values, np.uint8)
    data = struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape)
    data += values.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture(params=["", ".gz"])
def mnist(tmp_path, request):
    """Six training and three test pictures."""
    (tmp_path / "mnist").mkdir()
    for stem, numbers in (("train", range(6)), ("t10k", range(6, 9))):
        images = [making.picture(number)[..., 0] for number in numbers]
        idx(tmp_path / "mnist" / f"{stem}-images-idx3-ubyte{request.param}", images)
        digits = [number % 2 for number in numbers]
        idx(tmp_path / "mnist" / f"{stem}-labels-idx1-ubyte{request.param}", digits)
    return tmp_path / "mnist"


def test_mnist(mnist, target, no_pool):
    done = convert_images.convert(mnist, target, convert_images.Options(8))
    assert done.class_names == ("0", "1")
    assert {shard.split: shard.count for shard in done.shards} == {"train": 6, "test": 3}
    assert examples(target) == {number: number % 2 for number in range(6)}


def test_one_file_of_mnist(mnist):
    (images,) = mnist.glob("t10k-images*")
    assert labels(listed(images)) == [0, 1, 0]
    assert listed(images, labels="none").class_names is None


def test_idx_files_that_cannot_be_used(mnist, capsys):
    (images,) = mnist.glob("train-images*")
    (of_labels,) = mnist.glob("train-labels*")
    idx(of_labels, [1, 2])
    with pytest.raises(UserError, match="has 2 labels for 6 images"):
        listed(mnist)
    of_labels.unlink()
    assert listed(images).class_names is None
    assert "has no labels: there is no train-labels-idx1-ubyte" in capsys.readouterr().err
    with pytest.raises(UserError, match="has labels for one split only"):
        listed(mnist)
    idx(mnist / "emnist-train-images-idx3-ubyte", [making.picture(0)[..., 0]])
    with pytest.raises(UserError, match="3 files .*; pass the one to convert"):
        listed(mnist)
    for values, kind, expected in (
        ([[1]], 8, "no IDX of 3"), ([[[1]]], 13, "of type 0xd"), ([[[]]], 8, "its shape is"),
    ):  # fmt: skip
        idx(images, values, kind)
        with pytest.raises(UserError, match=expected):
            listed(images)
    images.write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match="cannot be used"):
        listed(images)


def test_damage_behind_the_header_is_told(mnist):
    (images,) = mnist.glob("train-images*")
    if images.suffix == ".gz":
        making.change_bytes(images, lambda data: data[:-8] + bytes(4) + data[-4:])
        expected = r"images.*\[5\] cannot be read: CRC check failed"
    else:
        making.change_bytes(images, lambda data: data + b"more")
        expected = r"\[5\] cannot be read: it goes on behind the rows that it declares"
    with pytest.raises(UserError, match=expected):
        pixels(listed(mnist))


def cifar(folder, labels_ahead, **files):
    folder.mkdir()
    rng = np.random.default_rng(0)
    made = {}
    for name, classes in files.items():
        images = rng.integers(0, 256, (len(classes), 3, 32, 32), np.uint8)
        ahead = np.zeros((len(classes), labels_ahead), np.uint8)
        ahead[:, -1] = classes
        records = np.concatenate([ahead, images.reshape(len(classes), -1)], 1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
        made[name] = np.moveaxis(images, 1, -1)
    return made


def test_cifar_10(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    made = cifar(folder, 1, data_batch_1=[1, 0], data_batch_2=[1], test_batch=[0])
    (folder / "batches.meta.txt").write_text("plane\ncar\n\n")
    source = listed(folder)
    assert source.class_names == ("plane", "car") and labels(source) == [1, 0, 1]
    expected = np.concatenate([made["data_batch_1"], made["data_batch_2"]])
    assert np.array_equal(pixels(source), expected)
    assert np.array_equal(pixels(source.more["test"]), made["test_batch"])
    assert not listed(folder, splits="none").more
    (folder / "batches.meta.txt").write_text("plane\n")
    with pytest.raises(UserError, match="has the label 1, batches.meta.txt only 1 names"):
        listed(folder)
    making.change_bytes(folder / "data_batch_2.bin", lambda data: data[:-1])
    with pytest.raises(UserError, match=r"data_batch_2\.bin is cut short: 3072 bytes"):
        listed(folder, labels="none")


def test_cifar_100(tmp_path):
    made = cifar(tmp_path / "c", 2, train=[1, 0], test=[1])
    (tmp_path / "c" / "fine_label_names.txt").write_text("apple\nbear\n")
    source = listed(tmp_path / "c")
    assert source.class_names == ("apple", "bear") and labels(source) == [1, 0]
    assert np.array_equal(pixels(source), made["train"])
