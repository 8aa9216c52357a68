"""Checkpoints that are damaged, unfinished, or do not fit on the disk."""

import dataclasses
import resource
import signal

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import build, loop
from lsgan_tf.utils.errors import UserError


def _gan(config):
    return build.gan(config, (8, 8, 1), ("a", "b", "c"))


def _restore(config):
    gan = _gan(config)
    return gan, checkpoints.Checkpoints(gan, Run(config.run_dir).checkpoints, 3).restore_latest()


@pytest.fixture
def trained(trained_copy):
    config = trained_copy(ema_decay=0.5)
    return config, Run(config.run_dir).checkpoints


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _clear(path):
    path.write_bytes(b"")


def _assert_same_state(gan, expected):
    for variable, other in zip(gan.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), other.numpy(), err_msg=variable.path)


@pytest.mark.parametrize("part", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("damage", [_flip, _truncate, _clear])
def test_a_damaged_latest_checkpoint_falls_back(trained, capsys, part, damage):
    config, directory = trained
    damage(directory / f"step-12.{part}")
    gan, step = _restore(config)
    assert step == int(gan.step.numpy()) == 8
    assert "step-12 is damaged" in capsys.readouterr().out
    for path in directory.glob("step-12.*"):
        path.unlink()
    expected, _ = _restore(config)
    _assert_same_state(gan, expected)


def test_from_a_damaged_checkpoint_a_run_trains_to_the_weights_of_a_sound_one(trained):
    config, directory = trained
    sound, _ = _restore(config)
    _flip(directory / "step-12.data-00000-of-00001")
    loop.train(config)
    trained_again, step = _restore(config)
    assert step == 12
    _assert_same_state(trained_again, sound)


def test_damaged_later_checkpoints_do_not_push_out_new_ones(trained):
    config, directory = trained
    for step in (8, 12):
        _truncate(directory / f"step-{step}.data-00000-of-00001")
    shorter = dataclasses.replace(config, train_steps=6, checkpoint_every=5, keep_checkpoints=2)
    loop.train(shorter)  # from step 4, with two damaged ones ahead
    assert checkpoints.available(directory) == [5, 6, 8, 12]
    assert _restore(config)[1] == 6


def test_no_sound_checkpoint_is_an_error_not_a_fresh_start(trained):
    config, directory = trained
    for path in directory.glob("step-*.data*"):
        _truncate(path)
    with pytest.raises(UserError, match=r"None of the checkpoints.*\[4, 8, 12\]"):
        _restore(config)


def test_leftovers_of_a_killed_save_are_removed(trained):
    config, directory = trained
    (directory / "unfinished-16_temp").mkdir()
    (directory / "unfinished-16_temp" / "part-00000").write_bytes(b"half")
    (directory / "step-16.data-00000-of-00001").write_bytes(b"half")
    (directory / "step-4-best.data-00000-of-00001").write_bytes(b"the user's own copy")
    _, step = _restore(config)
    assert step == 12
    assert not list(directory.glob("*-16*"))
    assert (directory / "step-4-best.data-00000-of-00001").exists()


def test_a_checkpoint_of_other_networks_is_refused(trained):
    config, directory = trained
    before = Run(config.run_dir).read()
    for changes in ({"conditional": True}, {"optimizer": "rmsprop"}, {"ema_decay": 0.0}):
        other = dataclasses.replace(config, **changes, train_steps=20)
        with pytest.raises(UserError, match="is of other networks or optimizers"):
            loop.train(other, allow_config_change=True)
        assert Run(config.run_dir).read() == before
    assert checkpoints.available(directory) == [4, 8, 12]


def test_generators_are_restored_alone(trained):
    config, directory = trained
    gan, _ = _restore(config)
    for weights, expected in (("raw", gan.generator), ("ema", gan.generator_ema)):
        generator, _ = networks.build(config.network, (8, 8, 1))
        step = checkpoints.restore_generator(generator, directory, weights=weights)
        assert step == 12
        for one, other in zip(generator.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [("5", r"no checkpoint of step 5.*\[4, 8, 12\]"), ("newest", "neither a step nor 'latest'")],
)
def test_unknown_checkpoints_are_refused(trained, checkpoint, message):
    config, directory = trained
    generator, _ = networks.build(config.network, (8, 8, 1))
    with pytest.raises(UserError, match=message):
        checkpoints.restore_generator(generator, directory, checkpoint=checkpoint)


def test_a_damaged_checkpoint_is_named_when_sampling(trained, capsys):
    config, directory = trained
    _truncate(directory / "step-12.data-00000-of-00001")
    generator, _ = networks.build(config.network, (8, 8, 1))
    with pytest.raises(UserError, match="step-12 cannot be read.*Choose another"):
        checkpoints.restore_generator(generator, directory, checkpoint="12")
    assert checkpoints.restore_generator(generator, directory) == 8
    assert "step-12 is damaged" in capsys.readouterr().out


def test_a_full_disk_keeps_the_checkpoint_before(trained, monkeypatch, capsys):
    """A limit on the size of files stands for the full disk: writing past it fails the same way."""
    config, directory = trained
    longer = dataclasses.replace(config, train_steps=14)
    original = tf.train.Checkpoint.write

    def write_limited(checkpoint, path):
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**10, limits[1]))  # a checkpoint takes 20 KB
        try:
            return original(checkpoint, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", write_limited)
        with pytest.raises(UserError, match="checkpoint of step 14 could not be written") as error:
            loop.train(longer)
    assert "(File too large)" in str(error.value)
    assert "That of step 12 is intact" in str(error.value)
    assert sorted(path.name.split(".")[0] for path in directory.glob("*.index")) == [
        *("step-12", "step-4", "step-8"),
    ]
    capsys.readouterr()
    loop.train(longer)
    out = capsys.readouterr().out
    assert "resuming" in out and "from step 12 to 14" in out
    assert checkpoints.available(directory) == [8, 12, 14]
