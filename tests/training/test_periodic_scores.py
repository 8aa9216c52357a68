"""Scores while a run trains: when, where they are written, which checkpoint is the best."""

import dataclasses
import shutil
import signal

import pytest

from lsgan_tf.datasets.dataset import Part
from lsgan_tf.inference import checkpoint_scores, load
from lsgan_tf.inference.sampler import Generated
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import loop
from lsgan_tf.training.periodic_scores import PeriodicScores
from lsgan_tf.utils.errors import UserError
from tests.run_contents import assert_same_variables, read_events, read_lines, read_variables
from tests.scoring import make_job, read_fid_lines


@pytest.fixture
def scored_flags(feature_network):
    """The flags of a run that is scored every three steps."""
    return {"eval_every": 3, "eval_images": 60, "features": str(feature_network)}


@pytest.fixture
def scored_config(tiny_config, scored_flags):
    return lambda **changes: tiny_config(**{**scored_flags, **changes})


@pytest.fixture
def scored_copy(trained_copy, scored_flags):
    """The Config of a run that was scored at steps 3 and 6 and has a best checkpoint."""
    return trained_copy(**scored_flags, keep_best="fid", checkpoint_every=3, train_steps=6)


def test_scores_are_written_everywhere(scored_copy):
    run = Run(scored_copy.run_dir)
    fid_lines = read_fid_lines(scored_copy)
    assert [line["step"] for line in fid_lines] == [3, 6]
    assert fid_lines[0]["generator_dtype"] == "float32"
    events = read_events(run.directory)
    for tag in ("scores/FID-3", "scores/KID-3", "scores/recall", "scores/class_score"):
        assert list(events[tag]) == [3, 6]
    logged = [line for line in read_lines(run.metrics) if "scores" in line]
    assert [line["step"] for line in logged] == [3, 6]
    assert logged[0]["scores"]["fid"] == fid_lines[0]["value"]


def test_scoring_changes_no_weight(scored_config, tmp_path):
    variables = []
    for eval_every in (3, 0):
        config = scored_config(
            **{"run_dir": str(tmp_path / str(eval_every)), "eval_every": eval_every},
            **{"train_steps": 6, "ema_decay": 0.5, "logical_devices": 2},
        )
        loop.train(config)
        assert Run(config.run_dir).scores.exists() == bool(eval_every)
        variables.append(read_variables(config.run_dir))
    assert_same_variables(*variables)


def test_the_best_checkpoint_is_kept_and_found(scored_config, monkeypatch):
    """Scores 5, 3, 4, 6 at steps 3, 6, 9, 12; two checkpoints are kept besides."""
    original = PeriodicScores.compute
    values = iter([5.0, 3.0, 4.0, 6.0])

    def compute(self):
        (first, *others), count = original(self)
        return [dataclasses.replace(first, value=next(values)), *others], count

    monkeypatch.setattr(PeriodicScores, "compute", compute)
    config = scored_config(keep_best="fid", keep_checkpoints=2, checkpoint_every=4, train_steps=12)
    loop.train(config)
    run = Run(config.run_dir)
    assert available(run.checkpoints) == [6, 8, 12]
    assert (run.best().step, run.best().score, run.best().value) == (6, "fid", 3.0)
    assert (run.samples / "0000006.png").exists()
    assert load.load(config.run_dir, checkpoint="best").step == 6
    loop.train(dataclasses.replace(config, eval_every=0, keep_best="none", train_steps=20))
    assert available(run.checkpoints) == [6, 16, 20]


def test_a_score_that_was_cut_off_is_made_up_for(scored_config, monkeypatch):
    config = scored_config(checkpoint_every=3, train_steps=6, keep_best="fid")

    def interrupt(self, *_):
        raise KeyboardInterrupt

    for moment in ("compute", "write"):  # before the score, and after the best is kept
        with monkeypatch.context() as patch:
            patch.setattr(PeriodicScores, moment, interrupt)
            with pytest.raises(KeyboardInterrupt):
                loop.train(config)
    loop.train(config)
    assert [line["step"] for line in read_fid_lines(config)] == [3, 6]
    assert Run(config.run_dir).best() is not None


def test_a_score_that_the_last_step_owes_is_made_up_for(
    trained_copy, scored_flags, feature_network, capsys
):
    config = trained_copy()
    checkpoint_scores.score_checkpoints(make_job(config, feature_network), "12")  # settings differ
    scored = dataclasses.replace(config, **scored_flags, keep_best="fid")
    loop.train(scored)
    assert "finished at step 12" in capsys.readouterr().out
    assert [line["by"] for line in read_fid_lines(config)] == ["evaluate", "train"]
    assert Run(config.run_dir).best().step == 12
    loop.train(scored)
    assert "nothing to do" in capsys.readouterr().out


def test_the_best_of_steps_that_are_done_again_is_forgotten(scored_copy):
    run = Run(scored_copy.run_dir)
    run.write_best(dataclasses.replace(run.best(), step=6, value=-1.0))
    (run.checkpoints / "step-6.index").write_bytes(b"damaged")
    loop.train(dataclasses.replace(scored_copy, train_steps=9))
    assert run.best().value >= 0.0


def test_the_best_is_the_same_by_whatever_path_the_network_is_named(
    scored_copy, feature_network, tmp_path
):
    run = Run(scored_copy.run_dir)
    run.write_best(dataclasses.replace(run.best(), step=3, value=-1.0))
    moved = shutil.copy(feature_network, tmp_path / "moved.keras")
    loop.train(dataclasses.replace(scored_copy, features=str(moved), train_steps=9))
    assert (run.best().step, run.best().value) == (3, -1.0)


def test_a_signal_gives_a_score_up_and_the_resumed_run_makes_up_for_it(
    scored_config, monkeypatch, capsys
):
    config = scored_config(checkpoint_every=100, train_steps=6)
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
    assert [line["step"] for line in read_fid_lines(config)] == [3, 6]


def test_a_signal_while_the_reference_is_measured(scored_config, monkeypatch, capsys):
    config = scored_config(eval_images=59)
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
def test_what_cannot_be_scored_is_told_before_training(scored_config, changes, message):
    config = scored_config(**changes)
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
def test_flags_that_contradict_each_other(scored_config, changes, message):
    with pytest.raises(UserError, match=message):
        scored_config(**changes)


def test_a_damaged_best_is_told(scored_copy):
    (Run(scored_copy.run_dir).directory / "best.json").write_text('{"step": "three"}')
    with pytest.raises(UserError, match=r"best.json is damaged.*Remove it"):
        loop.train(dataclasses.replace(scored_copy, train_steps=9))
