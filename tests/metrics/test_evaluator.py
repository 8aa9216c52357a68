"""Scores of any images against real ones: the same on any number of devices; what is warned of."""

import dataclasses

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets.dataset import Part
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.metrics.evaluator import Evaluator, RealImages
from lsgan_tf.metrics.features import Choice
from tests import feature_networks, tiny
from tests.scoring import SETTINGS, values_by_name


@pytest.fixture
def choice(feature_network, tmp_path):
    return Choice(str(feature_network), data_dir=str(tmp_path))


@pytest.fixture
def dataset(data_dir):
    return datasets.load("tiny", str(data_dir))


def test_batches_and_devices_change_nothing(choice, dataset, replicas):
    """Nor does what an earlier evaluation kept."""
    generator = tiny.TinyGenerator()
    data = RealImages.of_generators(dataset, 60)

    def score(folder, **settings):
        kept = dataclasses.replace(choice, data_dir=f"{choice.data_dir}/{folder}")
        evaluator = Evaluator(kept, SETTINGS, data, **settings)
        return values_by_name(score_generator(evaluator, generator)[0])

    expected = score("50", batch_size=50)
    for again in (score("7", batch_size=7), score("3", batch_size=3, strategy=replicas(4))):
        assert again == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert score("50", batch_size=50) == pytest.approx(expected, rel=1e-12)


def test_a_set_against_itself(choice, dataset):
    data = RealImages.of_generators(dataset, 60)
    scores, _ = Evaluator(choice, SETTINGS, data).score_test_split()
    values = values_by_name(scores)
    assert values["fid"] < 1e-6
    assert values["precision"] == values["recall"] == values["coverage"] == 1.0
    assert values["duplicates"] == 1.0 and values["repeats"] < 0.1


def test_the_floor_takes_halves_where_there_is_no_test_split(dataset):
    data = RealImages.of_floor(dataset, None, 30)
    parts = data.reference, data.test
    numbers = [part.dataset.in_order(np.arange(part.start, part.stop)) for part in parts]
    assert list(map(len, numbers)) == [30, 30]
    assert not set(numbers[0]) & set(numbers[1])
    assert (data.reference_split, data.test_split) == ("train", "train, second half")
    generators_part = RealImages.of_generators(dataset, 30).reference
    assert (data.reference.start, data.reference.stop) == (0, generators_part.stop)
    data = RealImages.of_floor(dataset, None, 50)
    assert (data.reference_split, data.reference.count) == ("train, first half", 48)
    data = RealImages.of_floor(dataset, dataset, 500)
    assert (data.reference.count, data.test.count, data.test_split) == (96, 96, "test")


def test_fewer_images_than_features_are_warned_of(tmp_path, dataset, capsys):
    path = feature_networks.keras_file(tmp_path / "wide.keras", features=70)
    data = RealImages.of_generators(dataset, 60)
    evaluator = Evaluator(Choice(str(path), data_dir=str(tmp_path)), SETTINGS, data)
    evaluator.score_test_split()
    out = capsys.readouterr().out
    assert "warning: 60 real images for 70 features" in out and "FID says little" in out


def test_grey_images_for_a_network_of_colour_are_said(tmp_path, dataset, capsys):
    path = feature_networks.saved_model(tmp_path / "means", feature_networks.channel_means)
    data = RealImages.of_generators(dataset, 60)
    choice = Choice(str(path), data_dir=str(tmp_path))
    evaluator = Evaluator(choice, SETTINGS, data)
    assert "grey images: repeated in three channels" in capsys.readouterr().out
    assert evaluator.protocol()["extractor"]["grey_repeated"] is True


def test_a_part_is_each_image_once(dataset):
    part = Part(dataset)
    batches = list(part.batches(40))
    assert [len(images) for images, _ in batches] == [40, 40, 16]
    labels = np.concatenate([labels for _, labels in batches])
    assert np.bincount(labels).tolist() == [32, 32, 32]
    images, labels = part.at(np.array([95, 3]))
    np.testing.assert_array_equal(images[0], batches[2][0][15])
    assert labels[1] == batches[0][1][3]
