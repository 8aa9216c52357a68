"""From arrays in an .npz to data sets; what cannot be used is refused, and no pickle is loaded."""

import functools
import os
import pickle
import zipfile

import numpy as np
import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import examples
from tools import convert_images
from tools.sources import any_source, image_sources

pytestmark = pytest.mark.usefixtures("no_pool")


def convert(source, target, **options):
    return convert_images.convert(source, target, convert_images.Options(8, **options))


failure = functools.partial(conversions.failure, convert)


def test_npz(target, tmp_path):
    images = np.stack([making.picture(number, 8, 3) for number in range(10)])
    np.savez_compressed(
        tmp_path / "a.npz",
        images=images,
        labels=np.arange(10) % 2,
        class_names=np.array(["gerade", "ungerade", "neither"]),
    )
    done = convert(tmp_path / "a.npz", target)
    assert done.class_names == ("gerade", "ungerade", "neither")
    assert examples(target) == {number: number % 2 for number in range(10)}


def test_grey_npz_without_names_in_many_shards(target, tmp_path):
    images = np.stack([making.picture(number)[..., 0] for number in range(600)])
    np.savez(tmp_path / "a.npz", images=images, labels=(np.arange(600) % 3).astype(np.uint8))
    done = convert(tmp_path / "a.npz", target)
    assert len(done.shards) == 2 and done.class_names == ("0", "1", "2")
    assert examples(target) == {number: number % 3 for number in range(600)}
    assert convert(tmp_path / "a.npz", target.with_name("b"), labels="none").class_names is None


class Boom:
    def __reduce__(self):
        return (os.mkdir, ("pickle_was_loaded",))


IMAGES = np.zeros((4, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"pictures": IMAGES}, "no array `images` (it has: pictures)"),
        ({"images": IMAGES + 300.0}, "`images` cannot be used: it is float64 from 300 to 300, not"),
        ({"images": IMAGES + np.nan}, "holds NaN or infinity; save np.nan_to_num"),
        ({"images": IMAGES.astype(np.int16) - 1}, "it is int16 from -1 to -1"),
        ({"images": IMAGES.astype("U1")}, "it is <U1, not uint8"),
        ({"images": IMAGES + np.uint8(np.arange(8) % 2)}, "only 0 and 1, which is black; save"),
        ({"images": np.zeros((4, 8, 8, 4), np.uint8)}, "save array[..., :3] to leave out"),
        ({"images": IMAGES[0]}, "its shape is (8, 8)"),
        ({"images": np.zeros((4, 8, 8, 2), np.uint8)}, "its shape is (4, 8, 8, 2)"),
        ({"images": IMAGES[:0]}, "its shape is (0, 8, 8)"),
        ({"images": np.asfortranarray(np.ones((4, 8, 9), np.uint8))}, "Fortran"),
        ({"images": IMAGES, "labels": np.arange(3)}, "its shape is (3,)"),
        ({"images": IMAGES, "labels": np.arange(400)}, "its shape is (400,), for 4 images"),
        ({"images": IMAGES, "labels": np.arange(4.0)}, "save labels.astype(int)"),
        ({"images": IMAGES, "labels": np.ones((4, 3))}, "its rows are not one-hot"),
        ({"images": IMAGES, "labels": np.zeros((4, 3, 2))}, "for 4 images it must be (4,), (4, 1)"),
        ({"x_train": IMAGES, "y_train": list("abab"), "x_test": IMAGES}, "no array `y_test`"),
        (
            {"x_train": IMAGES, "y_train": [0] * 4, "x_test": IMAGES, "y_test": [1] * 4},
            "test has the label 1, which train lacks",
        ),
        ({"images": IMAGES, "labels": np.arange(4) - 1}, "reaches from -1 to 2"),
        ({"images": IMAGES, "labels": np.arange(4) * 10**12}, "reaches from 0 to"),
        (
            {"images": IMAGES, "labels": np.arange(4), "class_names": np.array(["a", "b"])},
            "`class_names` cannot be used",
        ),
        (
            {"images": IMAGES, "labels": np.arange(4), "class_names": np.array(list("abca"))},
            "a.npz: array `class_names` cannot be used: two classes are named 'a'",
        ),
        (
            {"images": IMAGES, "labels": np.arange(4), "class_names": np.array([*"abc", "d\ne"])},
            "a name is one line of",
        ),
    ],
)
def test_npz_that_cannot_be_used(arrays, expected, target, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    assert expected in failure(tmp_path / "a.npz", target)


@pytest.mark.parametrize("name", ["images", "labels", "class_names"])
def test_pickles_in_an_npz_are_never_loaded(name, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = np.array([Boom()] * 4, dtype=object)
    arrays = {"images": IMAGES, "labels": np.arange(4)} | {name: hostile}
    np.savez(tmp_path / "a.npz", **arrays)
    assert pickle.dumps(hostile)  # it would have been loadable
    assert "pickled Python objects" in failure(tmp_path / "a.npz", target)
    assert not (tmp_path / "pickle_was_loaded").exists()


def test_an_npz_whose_header_promises_more_than_there_is(target, tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        array = archive.read("images.npy").replace(b"(4, 8, 8)", b"(9, 8, 8)")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("images.npy", array)
    assert "`images` cannot be read: the array ends early" in failure(tmp_path / "b.npz", target)


def test_a_damaged_header(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    making.change_bytes(tmp_path / "a.npy", lambda data: data.replace(b", }", b", ("))
    with pytest.raises(UserError, match=r"a\.npy cannot be used: its header is damaged"):
        listed(tmp_path / "a.npy")


def test_a_header_that_promises_more_than_any_compression_allows(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    data = (tmp_path / "a.npy").read_bytes()
    huge = data.replace(b"(4, 8, 8), }        ", b"(90000000, 8, 8), } ")
    assert len(huge) == len(data) and huge != data
    (tmp_path / "a.npy").write_bytes(huge)
    with pytest.raises(UserError, match="declares 90000000 rows of 64 bytes in a file of 384"):
        listed(tmp_path / "a.npy")


def test_encrypted_npz(target, tmp_path):
    np.savez(tmp_path / "locked.npz", images=IMAGES)
    conversions.mark_encrypted(tmp_path / "locked.npz")
    assert "locked.npz is encrypted" in failure(tmp_path / "locked.npz", target)


def test_not_an_npz(target, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nonsense")
    assert "broken.npz is not a readable npz" in failure(tmp_path / "broken.npz", target)


PICTURES = np.stack([making.picture(number, 8, 3) for number in range(6)])


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.moveaxis(PICTURES, 3, 1), "channels come first in (6, 3, 8, 8)"),
        (PICTURES / 255, "float64 in [0, 1], 1 is white"),
        (np.float32(PICTURES / 127.5 - 1), "float32 in [-1, 1], 1 is white"),
        (PICTURES.astype(">i4"), ">i4 in [0, 255]"),
        (PICTURES.astype(np.float32), "float32 in [0, 255]"),
    ],
)
def test_other_layouts_and_ranges_are_understood_and_told(images, said, target, tmp_path, capsys):
    np.savez_compressed(tmp_path / "a.npz", images=images)
    assert convert(tmp_path / "a.npz", target).image_shape == (8, 8, 3)
    assert examples(target) == dict.fromkeys(range(6))
    assert f"`images` is taken as: {said}" in capsys.readouterr().err


def listed(path, **choices):
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def pixels(source):
    return np.stack([np.asarray(image) for _, image in source.reader.read(source.entries)])


def test_classes_without_images_are_named(target, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=PICTURES, labels=[0, 2] * 3, class_names=list("abcd"))
    assert convert(tmp_path / "a.npz", target).class_names == tuple("abcd")
    assert "without images are 2 classes (b, d)" in capsys.readouterr().err


def test_true_is_white(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=PICTURES[..., :1] > 90)
    read = pixels(listed(tmp_path / "a.npz"))
    assert np.array_equal(read, 255 * (PICTURES[..., 0] > 90))
    assert "False is black" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "names", "ids", "class_names", "said"),
    [
        ([[1], [0]] * 3, None, [1, 0] * 3, ("0", "1"), ""),
        (
            np.eye(3)[[2, 0] * 3],
            None,
            [2, 0] * 3,
            ("0", "1", "2"),
            "",
        ),
        (["dog", "cat"] * 3, None, [1, 0] * 3, ("cat", "dog"), ""),
        ([b"dog", b"cat"] * 3, None, [1, 0] * 3, ("cat", "dog"), ""),
        ([1, 2] * 3, None, [0, 1] * 3, ("1", "2"), "not numbered from 0 on; the 2 that occur"),
        ([1, 2] * 3, ["cat", "dog"], [0, 1] * 3, ("cat", "dog"), "the labels start at 1"),
        (["dog", "cat"] * 3, ["dog", "cat"], [0, 1] * 3, ("dog", "cat"), ""),
        (
            [0, 0] * 3,
            ["cat", "dog"],
            [0, 0] * 3,
            ("cat", "dog"),
            "",
        ),
    ],
)
def test_labels_of_other_forms(labels, names, ids, class_names, said, tmp_path, capsys):
    further = {} if names is None else {"class_names": np.array(names)}
    np.savez(tmp_path / "a.npz", images=PICTURES, labels=labels, **further)
    source = listed(tmp_path / "a.npz")
    assert [entry.label for entry in source.entries] == ids and source.class_names == class_names
    told = capsys.readouterr().err
    assert said in told and bool(said) == bool(told)


@pytest.mark.parametrize("form", ["{kind}_train {kind}_test", "train_{kind} test_{kind}"])
def test_arrays_of_keras_and_medmnist(form, target, tmp_path):
    images, labels = ("x", "y") if form[0] == "{" else ("images", "labels")
    keys = [key.format(kind=kind) for kind in (images, labels) for key in form.split()]
    values = (PICTURES[:4], PICTURES[4:], [[0], [1]] * 2, [[1], [1]])
    np.savez(tmp_path / "a.npz", **dict(zip(keys, values, strict=True)))
    done = convert(tmp_path / "a.npz", target)
    assert {shard.split: shard.count for shard in done.shards} == {"train": 4, "test": 2}
    assert examples(target) == {0: 0, 1: 1, 2: 0, 3: 1}
    without = listed(tmp_path / "a.npz", splits="none")
    assert len(without.entries) == 4 and not without.more


def test_arrays_that_are_not_used_are_named(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=PICTURES, targets=range(6), scores=range(6))
    assert listed(tmp_path / "a.npz").class_names is None
    assert "not used: 2 arrays (targets, scores) of" in capsys.readouterr().err


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", PICTURES)
    assert np.array_equal(pixels(listed(tmp_path / "a.npy")), PICTURES)
    np.save(tmp_path / "b.npy", np.array([Boom()]), allow_pickle=True)
    with pytest.raises(UserError, match="pickled Python objects"):
        listed(tmp_path / "b.npy")
