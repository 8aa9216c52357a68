"""What was measured of real images is read back, under a name made of all that changes it."""

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets.dataset import Part
from lsgan_tf.metrics import measurements, pretrained
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.fid import frechet_distance
from tests import feature_networks


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    path = feature_networks.keras_file(tmp_path_factory.mktemp("net") / "net.keras", classes=3)
    return Extractor(pretrained.load_file(path), (8, 8, 1), batch_size=20)


@pytest.fixture
def part(data_dir):
    return Part(datasets.load("tiny", str(data_dir)), 0, 60)


def _measured(extractor, part, directory, **changes):
    arguments = {"split": "train", "keep": 25, "directory": directory} | changes
    return measurements.measure_real(extractor, part, **arguments)


def test_the_file_gives_the_same_numbers(extractor, part, tmp_path, monkeypatch):
    first = _measured(extractor, part, tmp_path)
    monkeypatch.setattr(measurements, "measure", None)  # nothing is measured again
    again = _measured(extractor, part, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert frechet_distance(first.moments, again.moments) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(again.moments.covariance, first.moments.covariance, rtol=1e-14)
    for name in ("features", "predicted", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert again.inception_score == first.inception_score
    assert (again.count, len(again.features)) == (60, 25)


def test_everything_that_changes_it_has_a_file_of_its_own(extractor, part, tmp_path):
    _measured(extractor, part, tmp_path)
    _measured(extractor, part, tmp_path, split="test")
    _measured(extractor, part, tmp_path, keep=26)
    _measured(extractor, Part(part.dataset, 0, 61), tmp_path)
    _measured(extractor, Part(part.dataset, 1, 61), tmp_path)
    half = Extractor(extractor.network, (8, 8, 1), batch_size=20, dtype="bfloat16")
    _measured(half, part, tmp_path)
    other = feature_networks.keras_file(tmp_path / "other.keras", classes=3, features=4)
    _measured(Extractor(pretrained.load_file(other), (8, 8, 1)), part, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 7
    _measured(Extractor(extractor.network, (8, 8, 1), batch_size=7), part, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 7  # the batch changes nothing


@pytest.mark.parametrize("damage", ["cut", "empty", "pickled", "other", "labels"])
def test_a_damaged_file_is_measured_again(extractor, part, tmp_path, capsys, damage):
    first = _measured(extractor, part, tmp_path)
    (path,) = tmp_path.iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "pickled":
        np.savez(path, count=np.array([{}], object))
    elif damage == "labels":
        with np.load(path) as stored:
            np.savez(path, **{**stored, "labels": np.full(60, 3)})
    else:
        with np.load(path) as stored:
            np.savez(path, **{**stored, "mean": np.full(3, np.nan)})
    again = _measured(extractor, part, tmp_path)
    assert "is damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(again.features, first.features)
    _measured(extractor, part, tmp_path)
    assert "is damaged" not in capsys.readouterr().out


def test_a_directory_that_cannot_be_written_is_warned_of(extractor, part, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    measured = _measured(extractor, part, blocked / "reference")
    assert measured.count == 60
    assert "warning: what was measured of real images is not kept" in capsys.readouterr().out


def test_an_interruption_leaves_no_file(extractor, part, tmp_path, monkeypatch):
    original = Extractor.__call__
    calls = []

    def interrupted(self, images):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, images)

    monkeypatch.setattr(Extractor, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _measured(extractor, part, tmp_path / "reference")
    assert not list(tmp_path.rglob("*.npz"))
    monkeypatch.undo()
    measured = _measured(extractor, part, tmp_path / "reference")
    plain = measurements.measure(extractor, part, keep=25, what="images")
    np.testing.assert_array_equal(measured.features, plain.features)
