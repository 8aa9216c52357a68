"""Scores of a run's checkpoints and of its real images, with their protocol."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.inference import checkpoint_scores
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.metrics.evaluator import Evaluator, RealImages
from lsgan_tf.metrics.features import Choice
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from tests import tiny
from tests.run_contents import read_lines
from tests.scoring import SETTINGS, make_job, values_by_name


@pytest.fixture
def make_evaluator(feature_network, data_dir, tmp_path):
    """Makes an evaluator of 60 generated images against so many real ones."""

    def make(real_images):
        data = RealImages.of_generators(datasets.load("tiny", str(data_dir)), real_images)
        return Evaluator(Choice(str(feature_network), data_dir=str(tmp_path)), SETTINGS, data)

    return make


def test_a_generator_without_a_network_of_classes(make_evaluator):
    scores, fake, _ = score_generator(make_evaluator(60), tiny.TinyGenerator())
    assert [score.title for score in scores][:3] == ["FID-3", "KID-3", "class score"]
    assert "classes_covered" not in values_by_name(scores)
    assert (fake.count, len(fake.features)) == (60, 40)


def test_labels_come_as_often_as_among_real_images(make_evaluator):
    evaluator = make_evaluator(30)
    _, fake, _ = score_generator(evaluator, tiny.TinyGenerator(num_classes=3), ("a", "b", "c"))
    np.testing.assert_array_equal(fake.labels, np.tile(evaluator.reference.labels, 2))
    with pytest.raises(UserError, match="has other classes now"):
        score_generator(evaluator, tiny.TinyGenerator(num_classes=3), ("a", "b", "d"))


def test_every_checkpoint_with_the_whole_protocol(trained_copy, feature_network, capsys):
    config = trained_copy(ema_decay=0.5)
    checkpoint_scores.score_checkpoints(make_job(config, feature_network), "all")
    out = capsys.readouterr().out
    assert all(f"step {step}, ema" in out for step in (4, 8, 12))
    lines = read_lines(Run(config.run_dir).scores)
    assert {line["step"] for line in lines} == {4, 8, 12}
    line = next(line for line in lines if line["score"] == "kid")
    assert line["title"] == "KID-3" and line["std"] >= 0.0
    assert line["images"] == "generated" and line["count"] == 60
    assert line["weights"] == "ema" and line["generator_dtype"] == "float32"
    assert line["extractor"]["name"] == f"{feature_network.parent.name}/net.keras"
    assert len(line["extractor"]["sha256"]) == 64 and line["extractor"]["dimension"] == 3
    reference = line["reference"]
    assert (reference["dataset"], reference["split"], reference["images"]) == ("tiny", "train", 60)
    assert line["settings"]["seed"] == 0 and line["settings"]["kid_subsets"] == 5
    assert {"tensorflow", "keras"} <= line["versions"].keys()
    run = Run(config.run_dir)
    assert "KID-3" in run.gallery.read_text() and "--checkpoint=12" in run.gallery.read_text()
    picture = Image.open(run.directory / "neighbours-0000012.png")
    assert picture.size == (6 * 10 + 2, 8 * 10 + 2)


def test_the_floor_of_a_run(trained_copy, feature_network, capsys):
    config = trained_copy()
    checkpoint_scores.score_real(make_job(config, feature_network))
    assert "real (train, second half)" in capsys.readouterr().out
    lines = read_lines(Run(config.run_dir).scores)
    assert {line["step"] for line in lines} == {None}
    assert lines[0]["weights"] is None


def test_mistakes_about_runs(trained_copy, feature_network):
    config = trained_copy()
    job = make_job(config, feature_network)
    with pytest.raises(UserError, match="no checkpoint of step 3"):
        checkpoint_scores.score_checkpoints(job, "3")
    with pytest.raises(UserError, match="no best checkpoint: it was trained without --keep_best"):
        checkpoint_scores.score_checkpoints(job, "best")
    other = dataclasses.replace(config, dataset="small")
    with pytest.raises(UserError, match=r"images of \(28, 28, 1\) now"):
        checkpoint_scores.score_checkpoints(dataclasses.replace(job, config=other), "latest")
    for path in Run(config.run_dir).checkpoints.iterdir():
        path.unlink()
    for chosen in ("all", "latest"):
        with pytest.raises(UserError, match="no checkpoint in"):
            checkpoint_scores.score_checkpoints(job, chosen)
