"""From arrays in an .npz to data sets; what cannot be used is refused, and no pickle is loaded."""

import functools
import os
import pickle
import zipfile

import numpy as np
import pytest

from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import examples
from tools import convert_images

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
        ({"images": IMAGES.astype(float)}, "`images` cannot be used: it is float64"),
        ({"images": IMAGES[0]}, "its shape is (8, 8)"),
        ({"images": np.zeros((4, 8, 8, 2), np.uint8)}, "its shape is (4, 8, 8, 2)"),
        ({"images": IMAGES[:0]}, "its shape is (0, 8, 8)"),
        ({"images": np.asfortranarray(np.ones((4, 8, 9), np.uint8))}, "Fortran"),
        ({"images": IMAGES, "labels": np.arange(3)}, "its shape is (3,)"),
        ({"images": IMAGES, "labels": np.arange(400)}, "larger than 4 items"),
        ({"images": IMAGES, "labels": np.arange(4.0)}, "not whole numbers"),
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
    assert "images[4] cannot be read: the array ends early" in failure(tmp_path / "b.npz", target)


def test_encrypted_npz(target, tmp_path):
    np.savez(tmp_path / "locked.npz", images=IMAGES)
    conversions.mark_encrypted(tmp_path / "locked.npz")
    assert "locked.npz is encrypted" in failure(tmp_path / "locked.npz", target)


def test_not_an_npz(target, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nonsense")
    assert "broken.npz is not a readable npz" in failure(tmp_path / "broken.npz", target)
