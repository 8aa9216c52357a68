"""Labels by label files and by folders, and folders that are splits; nothing is unused silently."""

import json
import zipfile

import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions
from tools import convert_images
from tools.sources import any_source, image_sources, label_files

PNG = making.png(making.picture(1))


def tree(root, files):
    """Writes {name: content}; None: a picture."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG if content is None else content.encode())
    return root


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, PNG if content is None else content)
    return path


def listed(path, **choices):
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def labelled(source):
    return {entry.name: source.class_names[entry.label] for entry in source.entries}


def failure(path, **choices):
    with pytest.raises(UserError) as error:
        listed(path, **choices)
    return str(error.value)


STYLEGAN = {
    "00000/a.png": None,
    "00001/b.png": None,
    "dataset.json": json.dumps({"labels": [["00000/a.png", 1], ["00001/b.png", 0]]}),
}


@pytest.mark.parametrize("make", [tree, zipped])
def test_the_label_file_of_stylegan_wins_and_that_is_told(make, tmp_path, capsys):
    path = make(tmp_path / "a.zip", STYLEGAN)
    source = listed(path)
    assert labelled(source) == {"00000/a.png": "1", "00001/b.png": "0"}
    assert source.labels_from == "dataset.json" and source.class_names == ("0", "1")
    told = capsys.readouterr().err
    assert "dataset.json gives the labels" in told and "(00000, 00001)" in told
    assert listed(path, labels="folders").class_names == ("00000", "00001")
    assert (
        "not used, though labels by the name: 1 file (dataset.json) of" in capsys.readouterr().err
    )
    assert listed(path, labels="none").class_names is None


def test_a_change_of_the_labels_changes_the_identity(tmp_path):
    first = listed(tree(tmp_path / "p", STYLEGAN)).identity
    swapped = json.dumps({"labels": {"00000/a.png": 0, "00001/b.png": 1}})
    assert listed(tree(tmp_path / "p", {"dataset.json": swapped})).identity != first


PHOTOS = {"a.png": None, "b.png": None}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("metadata.csv", "file_name,label\na.png,cat\n.\\b.png,dog\n", "cat dog"),
        ("metadata.csv", "text;class;file_name\nx;7;a.png\n'y';10;b.png\n", "7 10"),
        ("metadata.csv", '\ufefffile_name,label\n"a.png","two, words"\nb.png,b', ""),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "label": 2}\n\n{"file_name": "b.png", "label": 10}\n',
            "2 10",
        ),
        ("dataset.json", '{"labels": [["a.png", [0, 1]], ["b.png", [1, 0]]]}', "1 0"),
    ],
)
def test_label_files(name, content, expected, tmp_path, capsys):
    source = listed(tree(tmp_path / "p", PHOTOS | {name: content}))
    assert list(labelled(source).values()) == (expected.split() or ["two, words", "b"])
    assert not capsys.readouterr().err
    if "10" in expected:
        assert source.class_names[-1] == "10"


def test_label_files_of_several_folders(tmp_path):
    files = {f"{split}/{n}.png": None for split in ("train", "test") for n in range(2)}
    rows = "file_name,label\n0.png,cat\n1.png,dog\n"
    files |= {"train/metadata.csv": rows, "test/metadata.csv": rows}
    source = listed(tree(tmp_path / "p", files))
    assert source.class_names == ("cat", "dog")
    assert labelled(source.more["test"]) == {"test/0.png": "cat", "test/1.png": "dog"}


@pytest.mark.parametrize("name", ["metadata.csv", "labels.csv", "annotations/boxes.xml"])
def test_what_looks_like_labels_and_is_not_used_is_named(name, tmp_path, capsys):
    source = listed(tree(tmp_path / "p", PHOTOS | {name: "file_name,text\na.png,a cat\n"}))
    assert source.class_names is None
    assert f"not used, though labels by the name: 1 file ({name}) of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("metadata.csv", "file_name,label\na.png,cat\n", "no label for 1 image (b.png). Add"),
        ("metadata.csv", "file_name,label\nx.png,cat\n", "none of the 2 images: they are named"),
        ("metadata.csv", "file_name,label\na.png,c\na.png,d\n", "a.png has two labels, c and d"),
        ("metadata.csv", "file_name,label\na.png\n", "row 2 has no path or no label"),
        ("metadata.csv", "file_name,label\na.png,\n", "row 2 has no path or no label"),
        ("metadata.csv", 'file_name,label\n"a.png,1\n', "unexpected end of data"),
        ("metadata.csv", "", "it is empty"),
        ("metadata.csv", "file_name,label\na.png," + "x" * 2000, "has 2000 characters"),
        ("metadata.jsonl", "[1]\n", "a line is not a JSON object"),
        ("metadata.jsonl", '{"file_name": 1, "label": 2}', "row 1 has no file_name"),
        ("metadata.jsonl", '{"file_name": "a.png", "label": 0.5}', "neither a whole number nor"),
        ("dataset.json", "{", "cannot be used: Expecting"),
        ("dataset.json", '{"labels": [["a.png", {}]]}', "neither a whole number nor text"),
        ("dataset.json", '{"labels": [["a.png", [0.2, 0.8]]]}', "not a single 1 among zeros"),
        ("dataset.json", '{"labels": [1]}', "not a list of [path, label]"),
        ("dataset.json", "[" * 100_000, "maximum recursion depth"),
    ],
)
def test_label_files_that_cannot_be_used(name, content, expected, tmp_path):
    assert expected in failure(tree(tmp_path / "p", PHOTOS | {name: content}))


def test_label_files_that_are_no_text_or_too_large(tmp_path, monkeypatch):
    root = tree(tmp_path / "p", PHOTOS)
    (root / "metadata.csv").write_bytes(b"file_name,label\n\xff,1")
    assert "metadata.csv cannot be used: 'utf-8' codec" in failure(root)
    monkeypatch.setattr(label_files, "_MAX_BYTES", 10)
    assert "is larger than 10 bytes, too large for labels" in failure(root)


def test_paths_out_of_the_source_are_no_images_of_it(tmp_path, capsys):
    tree(tmp_path, {"secret.png": None})
    rows = f"file_name,label\na.png,1\nb.png,0\n../secret.png,1\n{tmp_path}/secret.png,0\n"
    source = listed(tree(tmp_path / "p", PHOTOS | {"metadata.csv": rows}))
    assert len(source.entries) == 2
    assert "no image of the source: 2 paths (../secret.png, " in capsys.readouterr().err


def test_label_files_that_contradict_each_other(tmp_path):
    files = {"metadata.csv": "file_name,label\na.png,1\nb.png,0\n"}
    files |= {"dataset.json": '{"labels": [["a.png", 0], ["b.png", 0]]}'}
    message = failure(tree(tmp_path / "p", PHOTOS | files))
    assert "a.png has the label 0 in dataset.json and 1 in metadata.csv" in message


def convert(source, target, test_source=None, **options):
    options = convert_images.Options(**{"image_size": 8} | options)
    return convert_images.convert(source, target, options, test_source)


@pytest.mark.parametrize("rows", ["a.png,cat\nb.png,dog\n", "path,label\np/a.png,cat\np/b.png,dog"])
def test_a_table_of_the_user(rows, target, tmp_path, no_pool):
    archive = zipped(tmp_path / "p.zip", {"p/a.png": None, "p/b.png": None})
    table = tmp_path / "table.csv"
    table.write_text(rows)
    assert convert(archive, target, labels=str(table)).class_names == ("cat", "dog")
    table.rename(tmp_path / "elsewhere.csv")  # the same job: its content counts
    again = convert(archive, target, labels=str(tmp_path / "elsewhere.csv"))
    assert again.class_names == ("cat", "dog")
    (tmp_path / "elsewhere.csv").write_text(rows.replace("dog", "owl"))
    refused = conversions.failure(convert, archive, target, labels=str(tmp_path / "elsewhere.csv"))
    assert "another state of the source" in refused


def test_a_table_for_train_and_test(target, tmp_path, no_pool, capsys):
    train, test = (tree(tmp_path / n, {f"{n}.png": None}) for n in ("train", "test"))
    (tmp_path / "t.csv").write_text("train.png,1\ntest.png,1\nother.png,2\n")
    done = convert(train, target, test, labels=str(tmp_path / "t.csv"))
    assert done.class_names == ("1",) and done.splits == ("train", "test")
    assert "no image of the source: 1 path (other.png) of t.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "reason"), [("folder", "No such file or directory"), ("/", "Is a directory")]
)
def test_tables_that_are_not_there(labels, reason, target, tmp_path):
    tree(tmp_path / "p", PHOTOS)
    refused = conversions.failure(convert, tmp_path / "p", target, labels=labels)
    assert refused == f"--labels={labels} is none of auto, folders, none and no file: {reason}"


SPLIT = {
    "train/cat/0.png": None,
    "train/dog/1.png": None,
    "val/cat/2.png": None,
    "Test/dog/3.png": None,
}


@pytest.mark.parametrize("top", ["", "top/"])
def test_folders_that_are_splits(top, target, tmp_path, no_pool, capsys):
    archive = zipped(tmp_path / "a.zip", {top + name: content for name, content in SPLIT.items()})
    done = convert(archive, target)
    assert done.class_names == ("cat", "dog")
    counts = {shard.split: shard.count for shard in done.shards}
    assert counts == {"train": 2, "test": 1, "validation": 1}
    told = capsys.readouterr().err
    assert "the folders Test (1), train (2), val (1) of" in told and "--splits=none" in told
    assert listed(archive, splits="none").class_names == ("Test", "train", "val")


def test_splits_without_classes(tmp_path):
    source = listed(tree(tmp_path / "p", {"train/0.png": None, "valid/1.png": None}))
    assert source.class_names is None and list(source.more) == ["validation"]


@pytest.mark.parametrize("folders", [("train", "truck"), ("test", "val"), ("cat", "dog")])
def test_folders_that_are_classes(folders, tmp_path, capsys):
    source = listed(tree(tmp_path / "p", {f"{folder}/0.png": None for folder in folders}))
    assert source.class_names == folders and not source.more
    assert not capsys.readouterr().err


def test_a_split_with_classes_of_its_own(tmp_path):
    message = failure(tree(tmp_path / "p", SPLIT | {"val/owl/4.png": None}))
    assert "the split validation of" in message
    assert "has classes that train lacks: owl (it has cat, dog)" in message


def test_two_sources_of_the_test_split(target, tmp_path):
    root, other = tree(tmp_path / "p", SPLIT), tree(tmp_path / "o", {"cat/0.png": None})
    refused = conversions.failure(convert, root, target, test_source=other)
    assert "has a split test already" in refused
