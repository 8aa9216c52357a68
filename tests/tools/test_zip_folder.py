"""A folder of zips is read as if each were a folder of its name."""

import zipfile

import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import examples
from tools.sources import any_source
from tools.sources.image_sources import Choices

pytestmark = pytest.mark.usefixtures("no_pool")


def write(path, names):
    """A zip of pictures that are numbered by their names."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            number = int(name.rpartition("/")[2].removesuffix(".png"))
            archive.writestr(name, making.png(making.picture(number)))


def listed(path, **choices):
    """{split: {name: class}}."""
    source = any_source.open_source(path, "--source", Choices(**choices))
    return {
        split: {
            entry.name: one.class_names and one.class_names[entry.label] for entry in one.entries
        }
        for split, one in ({"train": source} | dict(source.more)).items()
    }


def test_each_zip_is_a_class(tmp_path, target, capsys):
    write(tmp_path / "p" / "dog.ZIP", ["top/0.png", "top/1.png"])
    write(tmp_path / "p" / "cat.zip", ["2.png"])
    (tmp_path / "p" / "README.md").write_text("about")
    done = conversions.convert(tmp_path / "p", target)
    assert done.class_names == ("cat", "dog") and examples(target) == {2: 0, 0: 1, 1: 1}
    assert "not used: 1 file (README.md)" in capsys.readouterr().err


def test_zips_named_train_and_test_are_splits(tmp_path):
    for name, start in (("train", 0), ("test", 5)):
        write(tmp_path / "p" / f"{name}.zip", [f"{'ab'[n % 2]}/{start + n}.png" for n in range(4)])
    found = listed(tmp_path / "p")
    assert found["test"] == {
        "test/a/5.png": "a", "test/a/7.png": "a", "test/b/6.png": "b", "test/b/8.png": "b",
    }  # fmt: skip
    assert len(found["train"]) == 4


def test_zips_with_classes_of_their_own_are_refused(tmp_path):
    write(tmp_path / "p" / "part1.zip", ["cat/0.png", "dog/1.png"])
    write(tmp_path / "p" / "part2.zip", ["cat/2.png"])
    with pytest.raises(UserError, match=r"part1\.zip has folders of its own \(cat, dog\)\. Choose"):
        listed(tmp_path / "p")
    assert set(listed(tmp_path / "p", labels="none")["train"].values()) == {None}
    assert set(listed(tmp_path / "p", labels="folders")["train"].values()) == {"part1", "part2"}


def test_a_folder_of_pictures_and_a_zip_is_one_of_pictures(tmp_path):
    write(tmp_path / "p" / "more.zip", ["0.png"])
    conversions.save(tmp_path / "p" / "1.png", 1)
    assert list(listed(tmp_path / "p")["train"]) == ["1.png"]


def test_a_zip_of_the_folder_as_test_source(tmp_path, target):
    for name in ("a", "b"):
        write(tmp_path / "p" / f"{name}.zip", ["0.png"])
    refused = conversions.failure(
        conversions.convert, tmp_path / "p", target, test_source=tmp_path / "p" / "a.zip"
    )
    assert "one contains the other" in refused


def test_damage_is_named(tmp_path):
    write(tmp_path / "p" / "a.zip", ["0.png"])
    (tmp_path / "p" / "b.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"p/b\.zip is not a readable zip"):
        listed(tmp_path / "p")
