"""The tool that shows what scores make of spoiled images."""

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets.dataset import Part
from lsgan_tf.metrics.evaluator import Evaluator, RealImages
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Settings
from tests import feature_networks
from tools import score_distortions


@pytest.fixture
def part(data_dir):
    return Part(datasets.load("tiny", str(data_dir)))


def _chosen(part, name):
    version = next(version for version in score_distortions.VERSIONS if version.name == name)
    labels = np.concatenate([labels for _, labels in part.batches(50)])
    numbers = version.numbers(score_distortions.Labelled(part, labels))
    return score_distortions.Chosen(part, numbers, version.spoil)


def test_versions_are_spoiled_as_they_say(part):
    images = {
        version.name: np.concatenate(
            [batch for batch, _ in _chosen(part, version.name).batches(40)]
        )
        for version in score_distortions.VERSIONS
        if version.name != "without three classes"
    }
    original, _ = part.at(np.arange(96))
    for spoiled in images.values():
        assert spoiled.shape == original.shape and spoiled.dtype == np.uint8
    assert images["blurred"].std() < 0.5 * original.std()
    difference = images["noisy"].astype(int) - original
    inner = (original > 90) & (original < 165)
    assert 20 < difference[inner].std() < 30
    assert len(np.unique(images["one image repeated"], axis=0)) == 1
    np.testing.assert_array_equal(images["100 images repeated"], original)  # there are 96


def test_dropped_classes_are_gone(part, monkeypatch):
    monkeypatch.setattr(score_distortions, "_DROPPED", 1)
    chosen = _chosen(part, "without three classes")
    labels = np.concatenate([labels for _, labels in chosen.batches(40)])
    assert chosen.count == 64 and set(labels) == {1, 2}


def test_the_table_marks_what_must_get_worse(part, tmp_path, monkeypatch):
    monkeypatch.setattr(score_distortions, "_DROPPED", 1)
    network = feature_networks.keras_file(tmp_path / "net.keras", classes=3)
    choice = Choice(str(network), data_dir=str(tmp_path))
    data = RealImages.of_floor(part.dataset, None, 40)
    evaluator = Evaluator(choice, Settings(images=40), data)
    lines = score_distortions.table(evaluator, data)
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines}
    titles = [title.strip() for title in rows[""]]
    assert {len(row) for row in rows.values()} == {len(titles)} and len(rows) == 9
    one = dict(zip(titles, rows["one image repeated"], strict=True))
    assert one["repeats"].strip() == "1 +" and one["recall"].strip() == "0 +"
    assert one["precision"].strip()[-1] not in "+!"
    memorised = dict(zip(titles, rows["the training images"], strict=True))
    assert memorised["duplicates"].strip() == "1 +"
    assert not any(cell.strip().endswith(("+", "!")) for cell in rows["real: train, second half"])
