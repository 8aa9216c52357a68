"""Checkpoints that are damaged, unfinished, or do not fit on the disk."""

import dataclasses
import resource
import subprocess
import sys

import numpy as np
import pytest

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
def trained(tiny_config):
    config = tiny_config(ema_decay=0.9)
    loop.train(config)
    return config, Run(config.run_dir).checkpoints


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("part", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("damage", [_flip, _truncate, lambda path: path.write_bytes(b"")])
def test_a_damaged_latest_checkpoint_falls_back(trained, capsys, part, damage):
    config, directory = trained
    sound, _ = _restore(config)
    damage(directory / f"step-12.{part}")
    gan, step = _restore(config)
    assert step == int(gan.step.numpy()) == 8
    assert "step-12 is damaged" in capsys.readouterr().out
    loop.train(config)  # and trains on, to the weights of the run that was never damaged
    again, step = _restore(config)
    assert step == 12
    for one, other in zip(again.variables, sound.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


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


def test_a_checkpoint_of_other_networks_is_refused(trained, tiny_config):
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


@pytest.mark.slow
def test_a_full_disk_keeps_the_checkpoint_before(data_dir, tmp_path):
    """A limit on the size of files stands for the full disk: writing past it fails the same way."""
    command = [
        *(sys.executable, "-m", "lsgan_tf.train", "--dataset=small", f"--data_dir={data_dir}"),
        *("--network=light", "--batch_size=4", f"--run_dir={tmp_path}/run", "--sample_every=100"),
        "--checkpoint_every=2",
    ]
    first = subprocess.run([*command, "--train_steps=2"], capture_output=True, text=True)
    assert first.returncode == 0, first.stderr

    def limit():
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # a checkpoint takes 15 MB

    second = subprocess.run(
        [*command, "--train_steps=4"], capture_output=True, text=True, preexec_fn=limit
    )
    assert second.returncode == 1
    assert "error: The checkpoint of step 4 could not be written" in second.stderr
    assert "(File too large)" in second.stderr
    assert "That of step 2 is intact" in second.stderr
    assert "Traceback" not in second.stderr
    third = subprocess.run([*command, "--train_steps=4"], capture_output=True, text=True)
    assert third.returncode == 0, third.stderr
    assert "resuming" in third.stdout and "from step 2 to 4" in third.stdout
    assert checkpoints.available(tmp_path / "run" / "checkpoints") == [2, 4]
