"""tfds:NAME, through tiny builders prepared here; nothing is downloaded."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lsgan_tf import datasets
from lsgan_tf.datasets import catalog
from lsgan_tf.errors import UserError
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

    def _generate_examples(self):
        for number in range(20):
            yield number, {"image": making.picture(number), "label": number % 2}


class TinyVaried(TinyFixed):
    """Colour images of several sizes."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (None, None, 3)

    def _generate_examples(self):
        for number in range(20):
            pixels = making.picture(number, size=16 + number, channels=3)
            yield number, {"image": pixels[:16], "label": number % 2}


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
    return tmp_path_factory.mktemp("data")


def test_a_builder_is_prepared_and_read(data_dir):
    dataset = datasets.load("tfds:tiny_fixed", str(data_dir))
    assert (dataset.name, dataset.num_examples) == ("tfds:tiny_fixed", 20)
    assert (dataset.image_shape, dataset.class_names) == ((8, 8, 1), making.CLASS_NAMES)
    images, labels = dataset.first_images(20)
    numbers = making.numbers_of(images)
    assert sorted(numbers) == list(range(20))
    assert labels.tolist() == [number % 2 for number in numbers]
    assert np.array_equal(images[0], making.picture(numbers[0]))
    assert datasets.load("tfds:tiny_fixed", str(data_dir)).fingerprint == dataset.fingerprint


def test_varied_sizes_need_image_size(data_dir):
    with pytest.raises(UserError, match="images of several sizes; give --image_size"):
        datasets.load("tfds:tiny_varied", str(data_dir))
    dataset = datasets.load("tfds:tiny_varied", str(data_dir), image_size=12)
    images, _ = dataset.first_images(20)
    assert images.shape == (20, 12, 12, 3)
    assert images.std() > 10


def test_no_images(data_dir):
    with pytest.raises(UserError, match="tfds:tiny_text has no images, only text"):
        datasets.load("tfds:tiny_text", str(data_dir))


def test_unknown_builder(data_dir):
    with pytest.raises(UserError, match="TensorFlow Datasets has no data set 'no_such_thing'"):
        datasets.load("tfds:no_such_thing", str(data_dir))


def test_a_download_that_fails_says_what_else_to_do(data_dir):
    with pytest.raises(UserError) as error:
        datasets.load("tfds:tiny_unreachable", str(data_dir))
    assert "cannot prepare tiny_unreachable: no route to host" in str(error.value)
    assert "python -m tools.convert_images" in str(error.value)


def test_a_damaged_file_is_named(data_dir, tmp_path):
    datasets.load("tfds:tiny_fixed", str(tmp_path))
    (path,) = catalog.tfds_directory(tmp_path).rglob("*.tfrecord-*")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=path.name):
        datasets.load("tfds:tiny_fixed", str(tmp_path))


def test_a_file_cut_between_records_is_noticed(tmp_path):
    datasets.load("tfds:tiny_fixed", str(tmp_path))
    (path,) = catalog.tfds_directory(tmp_path).rglob("*.tfrecord-*")
    from lsgan_tf.datasets import tfrecord

    path.write_bytes(path.read_bytes()[: int(tfrecord.scan(path)[-2])])
    with pytest.raises(UserError, match="hold 19 records, its metadata recorded 20"):
        datasets.load("tfds:tiny_fixed", str(tmp_path))
