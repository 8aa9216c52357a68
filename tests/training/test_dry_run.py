"""`--dry_run`: the flags and the networks are printed, nothing is written."""

import pytest

from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import dry_run, loop
from lsgan_tf.utils.errors import UserError


def test_it_prints_and_writes_nothing(tiny_config, capsys):
    config = tiny_config()
    dry_run.print_run(config)
    out = capsys.readouterr().out
    assert "--network=tiny" in out and "Total params" in out
    layer = next(line for line in out.splitlines() if "(Dense)" in line)
    assert "Param #" in out and " 384 " in layer  # 5 latents and a bias for each of 64 units
    assert not Run(config.run_dir).directory.exists()


def test_a_batch_above_the_data_is_told_as_training_tells_it(tiny_config, capsys):
    config = tiny_config(batch_size=100, train_steps=1)
    loop.train(config)
    trained = capsys.readouterr().err
    dry_run.print_run(config)
    assert capsys.readouterr().err == trained
    assert "--batch_size=100 is more than the 96 images of tiny" in trained
    dry_run.print_run(tiny_config(batch_size=96))
    assert capsys.readouterr().err == ""


def test_it_does_not_render_a_data_set(tmp_path, capsys):
    config = Config(
        dataset="digits_shift", network="digit", data_dir=str(tmp_path / "d"), run_dir="nowhere"
    )
    dry_run.print_run(config)
    assert "# 10000 images of (28, 28, 1)" in capsys.readouterr().out
    assert not (tmp_path / "d").exists()


def test_it_prints_the_networks_of_data_that_are_missing(tmp_path, capsys):
    config = Config(dataset="lsun_church", network="scene", data_dir=str(tmp_path))
    dry_run.print_run(config)
    out = capsys.readouterr().out
    assert "# not yet prepared: images of (112, 112, 3)" in out
    assert "Total params: 15,59" in out
    assert out.index("Total params") < out.index("The data are missing: ")
    assert "python -m tools.convert_lsun" in out


def test_unknown_data_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no data set 'unknown'"):
        dry_run.print_run(Config(dataset="unknown", data_dir=str(tmp_path)))
