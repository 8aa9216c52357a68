"""Manifests and metadata that contradict each other, or the files that are there, are named."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest

from lsgan_tf.datasets import manifest, tfds_metadata
from lsgan_tf.utils.errors import UserError
from tests.datasets.making import change_json
from tests.tools.verified_sets import FIRST, findings, layout_faults
from tools.verifying import layout_check

pytestmark = pytest.mark.usefixtures("no_pool")


def test_files_too_many(tiny):
    shutil.copy(tiny / FIRST, tiny / "tiny-train.tfrecord-00002-of-00003")
    shutil.copy(tiny / "index" / f"{FIRST}.u64", tiny / "index" / "other.u64")
    assert layout_faults(tiny) == [
        "tiny-train.tfrecord-00002-of-00003: manifest.json does not list it",
        "index/other.u64: it is the index of no shard",
    ]


def test_hidden_files_are_no_fault(tiny):
    for name in (".DS_Store", f"._{FIRST}", f"index/._{FIRST}.u64", "index/.DS_Store"):
        (tiny / name).write_bytes(b"x")
    assert layout_faults(tiny) == []


def test_a_shard_listed_twice(tiny):
    change_json(tiny / "manifest.json", lambda data: data["shards"].append(data["shards"][0]))
    listed = layout_faults(tiny)
    assert any("where tiny-train.tfrecord-00002-of-00003 belongs" in fault for fault in listed)


def change_info(change):
    return "dataset_info.json", change


def change_split(**changes):
    return "dataset_info.json", lambda info: info["splits"][0].update(changes)


def change_feature(name, change):
    return "features.json", lambda data: change(data["featuresDict"]["features"][name])


CLASS = "tensorflow_datasets.core.features."


TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


WRONG_METADATA = [
    (change_split(shardLengths=["12", "13"]), "splits.train.shardLengths[1]: '13'", "'12'"),
    (change_split(shardLengths=["12"]), "number of splits.train.shardLengths: 1", "2"),
    (change_split(filepathTemplate="{SPLIT}"), "splits.train.filepathTemplate: '{SPLIT}'",
     f"'{TEMPLATE}'"),
    (change_info(lambda info: info["splits"].append(info["splits"][0])), "number of splits: 2",
     "1"),
    (change_info(lambda info: info.update(name="other")), "name: 'other'", "'tiny'"),
    (change_info(lambda info: info.update(fileFormat="riegeli")), "fileFormat: 'riegeli'",
     "'tfrecord'"),
    (change_info(lambda info: info.pop("version")), "version: nothing", "'1.0.0'"),
    (change_info(lambda info: info.update(other=3)), "other: 3", "nothing"),
    (change_info(lambda info: info["supervisedKeys"]["tuple"]["items"][1].update(featureKey="x")),
     "supervisedKeys.tuple.items[1].featureKey: 'x'", "'label'"),
    (("features.json", lambda data: data.update(pythonClassName="x.Y")), "pythonClassName: 'x.Y'",
     f"'{CLASS}features_dict.FeaturesDict'"),
    (change_feature("label", lambda label: label.pop("pythonClassName")),
     "featuresDict.features.label.pythonClassName: nothing",
     f"'{CLASS}class_label_feature.ClassLabel'"),
    (change_feature("image", lambda image: image["image"].update(encodingFormat="jpeg")),
     "featuresDict.features.image.image.encodingFormat: 'jpeg'", "'png'"),
    (change_feature("image", lambda image: image["image"]["shape"]["dimensions"].reverse()),
     "featuresDict.features.image.image.shape.dimensions[0]: '1'", "'8'"),
    (change_feature("hand", lambda hand: hand["classLabel"].update(numClasses="3")),
     "featuresDict.features.hand.classLabel.numClasses: '3'", "'2'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "value", "wanted"), WRONG_METADATA)
def test_metadata_that_contradicts_the_manifest(tiny, change, value, wanted):
    file, edit = change
    change_json(tiny / file, edit)
    assert layout_faults(tiny) == [f"{file}: {value}, but the manifest asks for {wanted}"]


def test_metadata_without_what_the_manifest_declares(tiny):
    change_json(tiny / "dataset_info.json", lambda info: info["splits"][0].update(name="test"))
    change_json(tiny / "features.json", lambda data: data["featuresDict"]["features"].pop("hand"))
    info, more_info, feature = layout_faults(tiny)
    assert info.startswith("dataset_info.json: splits.test: {")
    assert info.endswith("but the manifest asks for nothing")
    assert more_info.startswith("dataset_info.json: splits.train: nothing, but the manifest asks")
    assert feature.startswith("features.json: featuresDict.features.hand: nothing, but the man")


def test_metadata_of_another_structure(tiny):
    change_json(tiny / "dataset_info.json", lambda info: info.update(splits=3))
    (tiny / "features.json").write_text("[]")
    info, features = layout_faults(tiny)
    assert info.startswith("dataset_info.json: it is not laid out as expected: TypeError")
    assert features == "features.json: it does not hold a JSON object"


def test_a_split_without_records(tiny):
    file = "tiny-validation.tfrecord-00000-of-00001"
    (tiny / file).write_bytes(b"")
    np.zeros(1, "<u8").tofile(tiny / "index" / f"{file}.u64")
    empty = manifest.Shard(file, "validation", 0, 0, hashlib.sha256(b"").hexdigest())
    contents = manifest.load(tiny)
    contents = dataclasses.replace(contents, shards=(*contents.shards, empty))
    contents.save(tiny)
    tfds_metadata.write(tiny, contents)
    assert findings(tiny).faults.listed == [
        "manifest.json: its split 'validation' has no records, and TensorFlow Datasets cannot read "
        "such a split"
    ]


def test_metadata_files_that_cannot_be_read(tiny):
    (tiny / "dataset_info.json").write_text("{")
    (tiny / "features.json").write_text("[" * 100_000)
    (tiny / "label.labels.txt").write_text("black\nbright\ndark\n")
    (tiny / "hand.labels.txt").unlink()
    listed = layout_faults(tiny)
    assert [fault.split(": ")[:2] for fault in listed] == [
        ["dataset_info.json", "it is not valid JSON"],
        ["features.json", "it is not valid JSON"],
        ["label.labels.txt", "names[1]"],
        ["hand.labels.txt", "it is missing"],
    ]


def set_aside(path):
    (path / "manifest.json").rename(path / "x")
    (path / "unfinished").mkdir()


def declare(**changes):
    return lambda path: change_json(path / "manifest.json", lambda data: data.update(changes))


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (shutil.rmtree, "is not a directory"),
        (lambda path: (path / "manifest.json").unlink(), "is no converted data set"),
        (set_aside, "is not finished. Run the same command again"),
        (declare(extra_features={"../../x": []}), "declares a feature '../../x'"),
        (declare(image_shape=[10**5, 10**5, 1]), "100000x100000 pixels, which are too many"),
    ],
)
def test_what_is_no_set_to_check(tiny, arrange, expected):
    arrange(tiny)
    with pytest.raises(UserError) as error:
        layout_check.load_manifest(tiny)
    assert expected in str(error.value)
