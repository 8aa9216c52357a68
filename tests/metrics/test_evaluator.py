"""Scores of runs: the same on any number of devices, with their protocol, for each checkpoint."""

import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets.dataset import Part
from lsgan_tf.inference import checkpoint_scores, load
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.inference.sampler import Generated
from lsgan_tf.metrics.evaluator import Evaluator, RealImages
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Settings
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import devices, loop
from lsgan_tf.utils.errors import UserError
from tests import tiny
from tests.metrics import networks as made

SETTINGS = Settings(images=60, neighbours=40, kid_subsets=5, kid_subset_size=20)


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return made.keras_file(tmp_path_factory.mktemp("features") / "net.keras", classes=3)


@pytest.fixture
def choice(network_file, tmp_path):
    return Choice(str(network_file), data_dir=str(tmp_path))


@pytest.fixture
def dataset(data_dir):
    return datasets.load("tiny", str(data_dir))


def _values(scores):
    return {score.name: score.value for score in scores}


class TestGenerated:
    def test_an_image_follows_from_its_number(self):
        generator = tiny.TinyGenerator()
        images = Generated(generator, 600, seed=3)
        in_turn = np.concatenate([batch for batch, _ in images.batches(250)])
        assert in_turn.shape == (600, 8, 8, 1) and in_turn.dtype == np.uint8
        numbers = np.array([599, 0, 300, 255, 256])
        np.testing.assert_array_equal(images.at(numbers)[0], in_turn[numbers])
        fewer = Generated(generator, 10, seed=3)
        np.testing.assert_array_equal(next(fewer.batches(10))[0], in_turn[:10])
        other = Generated(generator, 10, seed=4)
        assert (next(other.batches(10))[0] != in_turn[:10]).any()
        z = np.stack([images._block(number // 256)[number % 256] for number in range(600)])
        assert len(np.unique(z, axis=0)) == 600

    def test_labels_are_asked_for(self):
        generator = tiny.TinyGenerator(num_classes=3)
        labels = np.arange(30) % 3
        images = Generated(generator, 30, labels=labels)
        batches = list(images.batches(20))
        assert [len(batch) for batch, _ in batches] == [20, 10]
        np.testing.assert_array_equal(np.concatenate([given for _, given in batches]), labels)

    def test_what_is_no_number_is_told(self):
        generator = tiny.TinyGenerator()
        kernel = generator.trainable_variables[0]
        kernel.assign(np.full(kernel.shape, np.nan, np.float32))
        with pytest.raises(UserError, match="NaN or infinity: this run has diverged"):
            Generated(generator, 4).at(np.arange(4))


class TestEvaluator:
    def test_batches_and_devices_change_nothing(self, choice, dataset, replicas):
        """Nor does what an earlier evaluation kept."""
        generator = tiny.TinyGenerator()
        data = RealImages.of_generators(dataset, 60)
        found = []
        for batch_size, strategy in ((50, None), (7, None), (5, replicas(2)), (3, replicas(4))):
            evaluator = Evaluator(
                dataclasses.replace(choice, data_dir=f"{choice.data_dir}/{batch_size}"),
                SETTINGS,
                data,
                strategy=strategy,
                batch_size=batch_size,
            )
            found.append(_values(score_generator(evaluator, generator)[0]))
        for other in found[1:]:
            assert other == pytest.approx(found[0], rel=1e-6, abs=1e-6)
        first, second = (
            _values(score_generator(Evaluator(choice, SETTINGS, data), generator)[0])
            for _ in range(2)
        )
        assert first == pytest.approx(second, rel=1e-12)

    def test_a_set_against_itself(self, choice, dataset):
        data = RealImages.of_generators(dataset, 60)
        scores, _ = Evaluator(choice, SETTINGS, data).score_test_split()
        found = _values(scores)
        assert found["fid"] < 1e-6
        assert found["precision"] == found["recall"] == found["coverage"] == 1.0
        assert found["duplicates"] == 1.0 and found["repeats"] < 0.1

    def test_a_generator_without_a_network_of_classes(self, choice, dataset):
        evaluator = Evaluator(choice, SETTINGS, RealImages.of_generators(dataset, 60))
        scores, fake, _ = score_generator(evaluator, tiny.TinyGenerator())
        assert [score.title for score in scores][:3] == ["FID-3", "KID-3", "class score"]
        assert "classes_covered" not in _values(scores)
        assert (fake.count, len(fake.features)) == (60, 40)

    def test_labels_come_as_often_as_among_real_images(self, choice, dataset):
        evaluator = Evaluator(choice, SETTINGS, RealImages.of_generators(dataset, 30))
        _, fake, _ = score_generator(evaluator, tiny.TinyGenerator(num_classes=3), ("a", "b", "c"))
        np.testing.assert_array_equal(fake.labels, np.tile(evaluator.reference.labels, 2))
        with pytest.raises(UserError, match="has other classes now"):
            score_generator(evaluator, tiny.TinyGenerator(num_classes=3), ("a", "b", "d"))

    def test_the_floor_takes_halves_where_there_is_no_test_split(self, dataset):
        data = RealImages.of_floor(dataset, None, 30)
        parts = data.reference, data.test
        numbers = [part.dataset.in_order(np.arange(part.start, part.stop)) for part in parts]
        assert [len(each) for each in numbers] == [30, 30]
        assert not set(numbers[0]) & set(numbers[1])
        assert (data.reference_split, data.test_split) == ("train", "train, second half")
        generators_part = RealImages.of_generators(dataset, 30).reference
        assert (data.reference.start, data.reference.stop) == (0, generators_part.stop)
        data = RealImages.of_floor(dataset, None, 50)
        assert (data.reference_split, data.reference.count) == ("train, first half", 48)
        data = RealImages.of_floor(dataset, dataset, 500)
        assert (data.reference.count, data.test.count, data.test_split) == (96, 96, "test")

    def test_fewer_images_than_features_are_warned_of(self, tmp_path, dataset, capsys):
        path = made.keras_file(tmp_path / "wide.keras", features=70)
        data = RealImages.of_generators(dataset, 60)
        evaluator = Evaluator(Choice(str(path), data_dir=str(tmp_path)), SETTINGS, data)
        evaluator.score_test_split()
        out = capsys.readouterr().out
        assert "warning: 60 real images for 70 features" in out and "FID says little" in out

    def test_grey_images_for_a_network_of_colour_are_said(self, tmp_path, dataset, capsys):
        path = made.saved_model(tmp_path / "means", made.channel_means)
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


def _job(config, choice, **changes):
    run = Run(config.run_dir)
    parts = {
        "run": run,
        "config": config,
        "data": run.read()[1],
        "choice": dataclasses.replace(choice, data_dir=config.data_dir),
        "settings": SETTINGS,
        "batch_size": 50,
        "strategy": devices.local_strategy(),
        "weights": "auto",
    }
    return checkpoint_scores.Job(**{**parts, **changes})


def _lines(config):
    return [json.loads(line) for line in Run(config.run_dir).scores.read_text().splitlines()]


def test_every_checkpoint_with_the_whole_protocol(tiny_config, choice, network_file, capsys):
    config = tiny_config(ema_decay=0.9)
    loop.train(config)
    checkpoint_scores.score_checkpoints(_job(config, choice), "all")
    out = capsys.readouterr().out
    assert all(f"step {step}, ema" in out for step in (4, 8, 12))
    lines = _lines(config)
    assert {line["step"] for line in lines} == {4, 8, 12}
    line = next(line for line in lines if line["score"] == "kid")
    assert line["title"] == "KID-3" and line["std"] >= 0.0
    assert line["images"] == "generated" and line["count"] == 60
    assert line["weights"] == "ema" and line["generator_dtype"] == "float32"
    assert line["extractor"]["name"] == f"{network_file.parent.name}/net.keras"
    assert len(line["extractor"]["sha256"]) == 64 and line["extractor"]["dimension"] == 3
    reference = line["reference"]
    assert (reference["dataset"], reference["split"], reference["images"]) == ("tiny", "train", 60)
    assert line["settings"]["seed"] == 0 and line["settings"]["kid_subsets"] == 5
    assert {"tensorflow", "keras"} <= line["versions"].keys()
    run = Run(config.run_dir)
    assert "KID-3" in run.gallery.read_text() and "--checkpoint=12" in run.gallery.read_text()
    picture = Image.open(run.directory / "neighbours-0000012.png")
    assert picture.size == (6 * 10 + 2, 8 * 10 + 2)


def test_the_floor_of_a_run(tiny_config, choice, capsys):
    config = tiny_config(train_steps=4)
    loop.train(config)
    checkpoint_scores.score_real(_job(config, choice))
    assert "real (train, second half)" in capsys.readouterr().out
    assert {line["step"] for line in _lines(config)} == {None}
    assert _lines(config)[0]["weights"] is None


def test_mistakes_about_runs(tiny_config, choice, data_dir, tmp_path):
    config = tiny_config(train_steps=4)
    loop.train(config)
    job = _job(config, choice)
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


class TestWhileTraining:
    @pytest.fixture
    def scored(self, tiny_config, network_file, tmp_path):
        """Makes the Config of a run that is scored every three steps."""

        def make(**changes):
            settings = {"eval_every": 3, "eval_images": 60, "features": str(network_file)}
            return tiny_config(**{**settings, **changes})

        return make

    def test_scores_are_written_everywhere(self, scored):
        from tests.training.test_loop import _events

        config = scored(eval_every=6)
        loop.train(config)
        assert [line["step"] for line in _lines(config) if line["score"] == "fid"] == [6, 12]
        assert _lines(config)[0]["generator_dtype"] == "float32"
        events = _events(config)
        for tag in ("scores/FID-3", "scores/KID-3", "scores/recall", "scores/class_score"):
            assert events[tag] == [6, 12]
        metrics = [json.loads(line) for line in Run(config.run_dir).metrics.open()]
        scores = [line for line in metrics if "scores" in line]
        assert [line["step"] for line in scores] == [6, 12]
        assert scores[0]["scores"]["fid"] == _lines(config)[0]["value"]

    def test_scoring_changes_no_weight(self, scored, tmp_path):
        from tests.training.test_loop import _assert_equal, _weights

        configs = [
            scored(run_dir=str(tmp_path / "scored"), ema_decay=0.5, logical_devices=2),
            scored(run_dir=str(tmp_path / "not"), ema_decay=0.5, logical_devices=2, eval_every=0),
        ]
        for config in configs:
            loop.train(config)
        _assert_equal(*(_weights(config, 12) for config in configs))

    def test_the_best_checkpoint_is_kept_and_found(self, scored, monkeypatch):
        """Scores 5, 3, 4, 6 at steps 3, 6, 9, 12; two checkpoints are kept besides."""
        from lsgan_tf.training import periodic_scores

        original = periodic_scores.PeriodicScores.compute
        values = iter([5.0, 3.0, 4.0, 6.0])

        def scores(self):
            found, count = original(self)
            return [dataclasses.replace(found[0], value=next(values)), *found[1:]], count

        monkeypatch.setattr(periodic_scores.PeriodicScores, "compute", scores)
        config = scored(keep_best="fid", keep_checkpoints=2, checkpoint_every=4, train_steps=12)
        loop.train(config)
        run = Run(config.run_dir)
        from lsgan_tf.runs.checkpoints import available

        assert available(run.checkpoints) == [6, 8, 12]
        assert (run.best().step, run.best().score, run.best().value) == (6, "fid", 3.0)
        assert (run.samples / "0000006.png").exists()
        assert load.load(config.run_dir, checkpoint="best").step == 6
        loop.train(dataclasses.replace(config, eval_every=0, keep_best="none", train_steps=20))
        assert available(run.checkpoints) == [6, 16, 20]

    def test_a_score_that_was_cut_off_is_made_up_for(self, scored, monkeypatch):
        from lsgan_tf.training import periodic_scores

        config = scored(checkpoint_every=3, train_steps=6, keep_best="fid")

        def dies(self, *_):
            raise KeyboardInterrupt

        for moment in ("compute", "write"):  # before the score, and after the best is kept
            with monkeypatch.context() as patch:
                patch.setattr(periodic_scores.PeriodicScores, moment, dies)
                with pytest.raises(KeyboardInterrupt):
                    loop.train(config)
        loop.train(config)
        assert [line["step"] for line in _lines(config) if line["score"] == "fid"] == [3, 6]
        assert Run(config.run_dir).best() is not None

    def test_a_score_that_the_last_step_owes_is_made_up_for(self, scored, choice, capsys):
        config = scored(eval_every=0, train_steps=4)
        loop.train(config)
        checkpoint_scores.score_checkpoints(
            _job(config, choice), "4"
        )  # not by the run's own protocol
        again = dataclasses.replace(config, eval_every=3, keep_best="fid")
        loop.train(again)
        assert "finished at step 4" in capsys.readouterr().out
        assert [line["by"] for line in _lines(config) if line["score"] == "fid"] == [
            "evaluate",
            "train",
        ]
        assert Run(config.run_dir).best().step == 4
        loop.train(again)
        assert "nothing to do" in capsys.readouterr().out

    def test_the_best_of_steps_that_are_done_again_is_forgotten(self, scored):
        config = scored(keep_best="fid", checkpoint_every=3, train_steps=6)
        loop.train(config)
        run = Run(config.run_dir)
        run.write_best(dataclasses.replace(run.best(), step=6, value=-1.0))
        (run.checkpoints / "step-6.index").write_bytes(b"damaged")
        loop.train(dataclasses.replace(config, train_steps=9))
        assert run.best().value >= 0.0

    def test_the_best_is_the_same_by_whatever_path_the_network_is_named(self, scored, network_file):
        config = scored(keep_best="fid", train_steps=3)
        loop.train(config)
        run = Run(config.run_dir)
        run.write_best(dataclasses.replace(run.best(), value=-1.0))
        copy = network_file.with_name("copy.keras")
        shutil.copy(network_file, copy)
        loop.train(dataclasses.replace(config, features=str(copy), train_steps=6))
        assert (run.best().step, run.best().value) == (3, -1.0)

    def test_a_signal_gives_a_score_up_and_the_resumed_run_makes_up_for_it(
        self, scored, monkeypatch, capsys
    ):
        config = scored(checkpoint_every=100, train_steps=6)
        original = Generated.batches

        def batches(self, size):
            signal.raise_signal(signal.SIGTERM)
            yield from original(self, size)

        with monkeypatch.context() as patch:
            patch.setattr(Generated, "batches", batches)
            loop.train(config)
        assert "SIGTERM: saved step 3" in capsys.readouterr().out
        assert not Run(config.run_dir).scores.exists()
        loop.train(config)
        assert [line["step"] for line in _lines(config) if line["score"] == "fid"] == [3, 6]

    def test_a_signal_while_the_reference_is_measured(self, scored, monkeypatch, capsys):
        config = scored(eval_images=59)
        original = Part.batches

        def batches(self, size):
            signal.raise_signal(signal.SIGTERM)
            yield from original(self, size)

        monkeypatch.setattr(Part, "batches", batches)
        loop.train(config)
        assert "SIGTERM: stopped while the reference" in capsys.readouterr().out
        assert not list(Run(config.run_dir).samples.glob("*.png"))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"keep_best": "class_accuracy", "conditional": True}, "give no such score"),
            ({"features": "nowhere.keras"}, "there is no such file"),
            ({"keep_best": "recall", "eval_images": 5}, "give no such score of 5 images"),
        ],
    )
    def test_what_cannot_be_scored_is_told_before_training(self, scored, changes, message):
        config = scored(**changes)
        with pytest.raises(UserError, match=message):
            loop.train(config)
        assert [path.name for path in Run(config.run_dir).directory.iterdir()] == [".lock"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"keep_best": "fid", "eval_every": 0}, "--keep_best=fid needs scores"),
            ({"keep_best": "class_accuracy"}, "needs --conditional"),
        ],
    )
    def test_flags_that_contradict_each_other(self, scored, changes, message):
        with pytest.raises(UserError, match=message):
            scored(**changes)

    def test_a_damaged_best_is_told(self, scored):
        config = scored(keep_best="fid", train_steps=3)
        loop.train(config)
        (Run(config.run_dir).directory / "best.json").write_text('{"step": "three"}')
        with pytest.raises(UserError, match=r"best.json is damaged.*Remove it"):
            loop.train(dataclasses.replace(config, train_steps=6))
