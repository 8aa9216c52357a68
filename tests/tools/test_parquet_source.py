"""Parquet files with an image in each row, as Hugging Face's data sets hold them."""

import json

import numpy as np
import pytest

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools.conversions import examples
from tools import convert_images
from tools.sources import any_source, image_sources, parquet_source

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def listed(path, **choices):
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def numbers(source):
    read = [image for _, image in source.reader.read(source.entries)]
    return making.numbers_of(np.stack([np.asarray(image)[..., None] for image in read]))


def images(values):
    return [{"bytes": making.png(making.picture(n)), "path": f"{n}.png"} for n in values]


def write(path, columns, names=None, group=7):
    table = pyarrow.table(columns)
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=group)
    return path


@pytest.fixture
def hugging_face(tmp_path):
    """A data set of 300 pictures in two files, and a test file."""
    for file, values in (
        ("train-00000-of-00002", range(150)),
        ("train-00001-of-00002", range(150, 200)),
        ("test-00000-of-00001", range(200, 205)),
    ):
        columns = {"image": images(values), "label": [n % 2 for n in values]}
        write(tmp_path / "set" / "data" / f"{file}.parquet", columns, ["even", "odd"])
    (tmp_path / "set" / "README.md").write_text("a data set")
    return tmp_path / "set"


def test_a_data_set_of_hugging_face(hugging_face, target, no_pool, capsys):
    done = convert_images.convert(hugging_face, target, convert_images.Options(8))
    assert done.class_names == ("even", "odd")
    assert {shard.split: shard.count for shard in done.shards} == {"train": 200, "test": 5}
    assert examples(target) == {number: number % 2 for number in range(200)}
    assert "become the splits test, train by their names" in capsys.readouterr().err


def test_rows_are_read_from_any_on(hugging_face):
    source = listed(hugging_face)
    for start in (60, 3, 140):
        part = source.entries[start : start + 20]
        assert numbers(image_sources.Source(source.reader, part, None, "")) == list(
            range(start, start + 20)
        )


@pytest.mark.parametrize("label", [["b", "a", "b"], [7, 5, 7]])
def test_a_single_file_with_labels_without_names(label, tmp_path):
    raw = [image["bytes"] for image in images(range(3))]
    path = write(tmp_path / "a.parquet", {"img": raw, "class": label})
    source = listed(path)
    assert source.class_names == tuple(map(str, sorted(set(label))))
    assert [entry.label for entry in source.entries] == [1, 0, 1]
    assert listed(path, labels="none").class_names is None
    assert numbers(source) == [0, 1, 2]


def test_rows_that_hold_no_image_are_bad_images(tmp_path):
    rows = [{"bytes": None, "path": "a.png"}, *images([1]), {"bytes": b"junk", "path": ""}]
    source = listed(write(tmp_path / "a.parquet", {"image": rows}))
    read = [image for _, image in source.reader.read(source.entries)]
    assert [isinstance(image, pictures.BadImage) for image in read] == [True, False, True]
    assert "the row holds no bytes" in str(read[0])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a"]}, "no column of image files"),
        ({"left": [b"a"], "right": [b"b"]}, "several columns of image files"),
        ({"image": [b"a"], "label": [-1]}, "a class of -1 stands for none"),
        ({"image": [b"a"], "label": [None]}, "1 of its rows have none; --labels=none"),
        ({"image": [b"a"], "label": [0.5]}, "holds no class ids or names"),
        ({"image": pyarrow.array([], pyarrow.binary())}, "has 0 rows"),
    ],
)
def test_files_that_cannot_be_used(columns, expected, tmp_path):
    with pytest.raises(UserError, match=expected):
        listed(write(tmp_path / "a.parquet", columns))


def test_damage_is_told(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": images(range(20))})
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(UserError, match="is not a readable Parquet"):
        listed(path)
    path.write_bytes(b"\xff" * 300 + whole[300:])
    parquet_source._rows.cache_clear()
    source = listed(path)
    read = [image for _, image in source.reader.read(source.entries)]
    assert isinstance(read[0], pictures.BadImage) and not isinstance(read[-1], pictures.BadImage)


def test_columns_that_are_not_used_are_named(tmp_path, capsys):
    columns = {"image": images([1]), "label": [0], "caption": ["a cat"]}
    listed(write(tmp_path / "a.parquet", columns))
    assert "not used: 1 column (caption) of" in capsys.readouterr().err


def test_a_folder_of_pictures_beside_a_parquet_stays_one(tmp_path, capsys):
    write(tmp_path / "p" / "meta.parquet", {"image": images([1])})
    (tmp_path / "p" / "2.png").write_bytes(making.png(making.picture(2)))
    assert numbers(listed(tmp_path / "p")) == [2]
    assert "1 file (meta.parquet) of" in capsys.readouterr().err


def test_files_beside_that_are_not_used_are_named(hugging_face, capsys):
    (hugging_face / "notes.txt").touch()
    listed(hugging_face)
    assert "not used: 1 file (notes.txt) of" in capsys.readouterr().err
