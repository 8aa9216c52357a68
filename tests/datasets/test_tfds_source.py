"""tfds:NAME, through tiny builders prepared here; nothing is downloaded."""

import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from lsgan_tf import datasets
from lsgan_tf.datasets import catalog, example, tfrecord
from lsgan_tf.utils.errors import UserError
from tests.datasets import making


class TinyFixed(tfds.core.GeneratorBasedBuilder):
    """Twenty grey images of one size, labelled."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (8, 8, 1)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
            "label": tfds.features.ClassLabel(names=making.CLASS_NAMES),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self, numbers=range(20)):
        for number in numbers:
            yield number, {"image": making.picture(number), "label": number % 2}


class TinyVaried(TinyFixed):
    """Colour images of several sizes."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (None, None, 3)

    def _generate_examples(self):
        for number in range(20):
            pixels = making.picture(number, size=16 + number, channels=3)
            yield number, {"image": pixels[:16], "label": number % 2}


class TinySplit(TinyFixed):
    """A split for tests besides; prepared with few retries."""

    VERSION = tfds.core.Version("1.0.0")

    def _split_generators(self, dl_manager):
        assert downloader.MAX_RETRIES == 5
        splits = {"train": range(20), "test": range(20, 30)}
        return {name: self._generate_examples(numbers) for name, numbers in splits.items()}


class TinyText(tfds.core.GeneratorBasedBuilder):
    """No images at all."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()})
        )

    def _split_generators(self, dl_manager):
        return {"train": iter([("a", {"text": "a"})])}

    def _generate_examples(self):
        raise NotImplementedError


class TinyUnreachable(TinyFixed):
    """Its download fails."""

    VERSION = tfds.core.Version("1.0.0")

    def _split_generators(self, dl_manager):
        raise ConnectionError("no route to host\nand more")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Data sets that are prepared as the tests go, not to be damaged."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def fixed_file(data_dir, tmp_path):
    """The only file of records of a copy of tiny_fixed in `tmp_path`, which a test may damage."""
    datasets.load("tfds:tiny_fixed", str(data_dir))
    copy = catalog.tfds_directory(tmp_path)
    shutil.copytree(catalog.tfds_directory(data_dir) / "tiny_fixed", copy / "tiny_fixed")
    (path,) = copy.rglob("*.tfrecord-*")
    return path


def test_a_builder_is_prepared_and_read(data_dir):
    dataset = datasets.load("tfds:tiny_fixed", str(data_dir))
    assert (dataset.name, dataset.num_examples) == ("tfds:tiny_fixed", 20)
    assert (dataset.image_shape, dataset.class_names) == ((8, 8, 1), making.CLASS_NAMES)
    images, labels = dataset.first_images(20)
    numbers = making.numbers_of(images)
    assert sorted(numbers) == list(range(20))
    assert labels.tolist() == [number % 2 for number in numbers]
    examples = making.numbers_of(dataset.examples_of([1, 0, 1]))
    assert [number % 2 for number in examples] == [1, 0, 1]
    assert np.array_equal(images[0], making.picture(numbers[0]))
    assert datasets.load("tfds:tiny_fixed", str(data_dir)).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("open_", [datasets.load, datasets.facts])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tfds:tiny_varied", "images of several sizes; give --image_size"),
        ("tfds:tiny_text", r"tfds:tiny_text has no images, only text \(Text"),
    ],
)
def test_sets_that_cannot_be_used(open_, name, expected, tmp_path):
    with pytest.raises(UserError, match=expected):
        open_(name, str(tmp_path))
    assert open_ == datasets.load or not list(tmp_path.iterdir())


def test_varied_sizes_need_image_size(data_dir):
    facts = datasets.facts("tfds:tiny_varied", str(data_dir), image_size=12)
    assert facts.image_shape == (12, 12, 3)
    dataset = datasets.load("tfds:tiny_varied", str(data_dir), image_size=12)
    images, _ = dataset.first_images(20)
    assert images.shape == (20, 12, 12, 3)
    assert images.std() > 10


def test_unknown_builder(data_dir):
    with pytest.raises(UserError, match="tfds:no_such_thing .* Datasets has no such data set"):
        datasets.load("tfds:no_such_thing", str(data_dir))


def test_splits(data_dir):
    assert sorted(datasets.splits("tfds:tiny_split", str(data_dir))) == ["test", "train"]
    for split, numbers in (("train", range(20)), ("test", range(20, 30))):
        dataset = datasets.load("tfds:tiny_split", str(data_dir), split=split)
        images, _ = dataset.first_images(len(numbers))
        assert sorted(making.numbers_of(images)) == list(numbers)
    assert datasets.test_split("tfds:tiny_split", str(data_dir)).num_examples == 10
    there = "(train, test|test, train)"
    with pytest.raises(UserError, match=f"^tfds:tiny_split has no split 'some', only {there}$"):
        datasets.load("tfds:tiny_split", str(data_dir), split="some")
    with pytest.raises(UserError, match="^tfds:tiny_fixed has no split 'test', only train$"):
        datasets.load("tfds:tiny_fixed", str(data_dir), split="test")


def test_tensorflow_datasets_is_left_as_it_is(data_dir):
    code = (
        "from tensorflow_datasets.core.download import downloader\n"
        "before = dict(vars(downloader))\n"
        "import lsgan_tf.datasets.tfds_source\n"
        "assert dict(vars(downloader)) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    before = dict(vars(downloader))
    assert before["MAX_RETRIES"] == 10
    datasets.load("tfds:tiny_split", str(data_dir))
    with pytest.raises(UserError):
        datasets.load("tfds:tiny_unreachable", str(data_dir))
    assert dict(vars(downloader)) == before


@pytest.mark.parametrize("open_", [datasets.load, datasets.facts])
@pytest.mark.parametrize(
    ("name", "first_line"),
    [
        ("tfds:", "Parsing builder name string  failed."),
        ("tfds:a b", "Parsing builder name string a b failed."),
        ("tfds:../x", "Parsing builder name string ../x failed."),
        ("tfds:mnist:9.9.9", "Dataset mnist cannot be loaded at version 9.9.9"),
        ("tfds:mnist/zzz", "BuilderConfig zzz not found"),
        ("tfds:mnist/zzz=3", "unexpected keyword argument 'zzz'"),
    ],
)
def test_names_of_the_wrong_form(open_, name, first_line, data_dir):
    with pytest.raises(UserError) as error:
        open_(name, str(data_dir))
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{name} cannot be used: ") and first_line in lines[0]
    assert lines[1].startswith("The name is tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION")
    assert len(lines) == 2


def test_facts_before_and_after_preparing(tmp_path):
    before = datasets.facts("tfds:tiny_fixed", str(tmp_path))
    assert before == datasets.Facts((8, 8, 1), None, making.CLASS_NAMES)
    assert not list(tmp_path.iterdir())
    datasets.load("tfds:tiny_fixed", str(tmp_path))
    after = datasets.facts("tfds:tiny_fixed", str(tmp_path), image_size=4)
    assert after == datasets.Facts((4, 4, 1), 20, making.CLASS_NAMES)


@pytest.mark.parametrize("name", catalog.TFDS_FALLBACKS)
def test_facts_of_a_name_that_falls_back_to_tensorflow_datasets(name, tmp_path):
    known = datasets.facts(name, str(tmp_path))
    assert known == datasets.expected(name)
    assert known.num_examples is None and len(known.class_names) == 10
    assert datasets.facts(name, str(tmp_path), image_size=16) == known.resized(16)
    features = tfds.builder(name, data_dir=tmp_path).info.features
    assert features["image"].shape == known.image_shape
    # Those of cifar10 are in its download; until then they are numbers.
    names = tuple("0123456789") if name == "cifar10" else known.class_names
    assert tuple(features["label"].names) == names
    assert not list(tmp_path.iterdir())


def test_a_download_that_fails_says_what_else_to_do(data_dir):
    with pytest.raises(UserError) as error:
        datasets.load("tfds:tiny_unreachable", str(data_dir))
    assert "cannot prepare tiny_unreachable: no route to host" in str(error.value)
    assert "python -m tools.convert_images" in str(error.value)


def test_a_damaged_file_is_named(fixed_file, tmp_path):
    fixed_file.write_bytes(fixed_file.read_bytes()[:-5])
    with pytest.raises(UserError, match=fixed_file.name):
        datasets.load("tfds:tiny_fixed", str(tmp_path))


@pytest.mark.parametrize(
    ("size", "label", "expected"),
    [(8, 2, "its label is 2, not within 0..1"), (9, 0, r"it does not decode \(.*9, 9, 1.*8, 8, 1")],
)
def test_a_record_that_contradicts_the_features_is_named(
    fixed_file, tmp_path, size, label, expected
):
    data, offsets = fixed_file.read_bytes(), tfrecord.scan(fixed_file).astype(int)
    picture = making.png(making.picture(0, size=size))
    record = tfrecord.frame(example.encode({"image": picture, "label": label}))
    fixed_file.write_bytes(data[: offsets[3]] + record + data[offsets[4] :])
    with pytest.raises(UserError, match=f"record 3 of {fixed_file} does not fit .*{expected}"):
        datasets.load("tfds:tiny_fixed", str(tmp_path)).first_images(20)


def test_a_file_cut_between_records_is_noticed(fixed_file, tmp_path):
    fixed_file.write_bytes(fixed_file.read_bytes()[: int(tfrecord.scan(fixed_file)[-2])])
    with pytest.raises(UserError, match="hold 19 records, its metadata recorded 20"):
        datasets.load("tfds:tiny_fixed", str(tmp_path))


IMAGE = tfds.features.Image(shape=(8, 8, 1))


def store(data_dir, name, features, **options):
    """Stores four records of `making.picture`s as a user does, without a builder's code."""
    features = tfds.features.FeaturesDict(features)

    def records():
        for number in range(4):
            picture = making.picture(number)
            yield {
                key: number % 2
                if isinstance(feature, tfds.features.ClassLabel)
                else picture.astype(feature.np_dtype)
                for key, feature in features.items()
            }

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=features,
        split_datasets={
            "train": tf.data.Dataset.from_generator(
                records, output_signature=features.get_tensor_spec()
            )
        },
        data_dir=catalog.tfds_directory(data_dir),
        **options,
    )
    return str(data_dir)


def test_a_set_of_the_user_in_the_data_directory(tmp_path):
    features = {"image": IMAGE, "label": tfds.features.ClassLabel(names=making.CLASS_NAMES)}
    data_dir = store(tmp_path, "ok_ds", features)
    dataset = datasets.load("tfds:ok_ds", data_dir)
    images, labels = dataset.first_images(4)
    assert [number % 2 for number in making.numbers_of(images)] == labels.tolist()
    assert datasets.facts("tfds:ok_ds", data_dir).num_examples == 4
    assert datasets.splits("tfds:ok_ds", data_dir) == ("train",)
    with pytest.raises(UserError, match=r"no such data set, and .*/tfds holds ok_ds\n"):
        datasets.load("tfds:okds", data_dir)


def test_a_set_in_array_record_says_how_to_copy_it(tmp_path):
    data_dir = store(tmp_path, "ar_ds", {"image": IMAGE}, file_format="array_record")
    with pytest.raises(UserError) as refused:
        datasets.facts("tfds:ar_ds", data_dir)
    first, command = str(refused.value).splitlines()
    assert "is stored as array_record, not tfrecord. Store a copy for" in first
    assert "--dataset=tfds:ar_ds_tfrecord" in first
    arguments = shlex.split(command)
    assert arguments[:2] == ["python", "-c"]
    subprocess.run([sys.executable, *arguments[1:]], check=True, capture_output=True)
    images, _ = datasets.load("tfds:ar_ds_tfrecord", data_dir).first_images(4)
    assert sorted(making.numbers_of(images)) == list(range(4))


def test_a_tensor_of_pixels_is_an_image(tmp_path):
    tensor = tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8)
    data_dir = store(tmp_path, "te_ds", {"pixels": tensor})
    images, _ = datasets.load("tfds:te_ds", data_dir).first_images(4)
    assert sorted(making.numbers_of(images)) == list(range(4))


def test_images_of_other_types_are_described(tmp_path):
    floats = tfds.features.Image(shape=(8, 8, 1), dtype=np.float32)
    data_dir = store(tmp_path, "fl_ds", {"image": floats})
    with pytest.raises(UserError, match="images of 1 channels of float32, .* Store them as uint8"):
        datasets.load("tfds:fl_ds", data_dir)
    tensor = tfds.features.Tensor(shape=(8, 8, 1), dtype=np.float32)
    data_dir = store(tmp_path, "ft_ds", {"pixels": tensor})
    with pytest.raises(UserError, match=r"only pixels \(Tensor of float32 \[8, 8, 1\]\)"):
        datasets.load("tfds:ft_ds", data_dir)


def test_one_of_two_images_is_chosen_by_name(tmp_path):
    data_dir = store(tmp_path, "two_ds", {"left": IMAGE, "right": IMAGE})
    with pytest.raises(UserError) as refused:
        datasets.facts("tfds:two_ds", data_dir)
    assert "has 2 images a record: left (Image of uint8 [8, 8, 1]), right" in str(refused.value)
    assert "--dataset='tfds:two_ds#left' or --dataset='tfds:two_ds#right'" in str(refused.value)
    left, right = (datasets.load(f"tfds:two_ds#{key}", data_dir) for key in ("left", "right"))
    assert sorted(making.numbers_of(left.first_images(4)[0])) == list(range(4))
    assert left.fingerprint != right.fingerprint
    with pytest.raises(UserError, match="'middle' is no image; there are left"):
        datasets.load("tfds:two_ds#middle", data_dir)
