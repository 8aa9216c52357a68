"""What a run shows by time: a line a minute, a first grid, a bar; and that it changes nothing."""

import dataclasses
import sys

import pytest

from lsgan_tf.gan.model import GAN
from lsgan_tf.runs import logbook
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import devices, loop, recorder
from lsgan_tf.training.cluster import Alone
from lsgan_tf.utils.errors import UserError
from tests.run_contents import assert_same_variables, read_lines, read_variables


@pytest.fixture
def slow(tiny_config, trained_once, monkeypatch):
    """The Config of a run that takes minutes, as it were: each call of the graph is silent."""
    trained_once()  # which other tests share: it is not slow
    monkeypatch.setattr(logbook, "_SILENCE", 0.0)
    monkeypatch.setattr(recorder, "_FIRST_GRID", 0.0)
    rare = {"log_every": 100, "sample_every": 100, "checkpoint_every": 8}
    return tiny_config(**rare, steps_per_execution=1)


def _run(config, capsys):
    capsys.readouterr()
    loop.train(config)
    return capsys.readouterr()


def _sampled(config):
    return Run(config.run_dir).list_sampled_steps()


def test_the_first_line_names_the_device_and_a_run_that_speaks_often_says_no_more(
    tiny_config, capsys
):
    first, *lines = _run(tiny_config(), capsys).out.splitlines()
    assert first.startswith("training ") and first.endswith(f", on {devices.describe()}")
    assert devices.numerics()["device"] in first and " thread" in first
    assert [line.split()[1] for line in lines if " d_loss " in line] == [
        f"{step}/12" for step in (3, 6, 9, 12)
    ]
    assert _sampled(tiny_config()) == [0, 4, 6, 8, 12]


def test_lines_and_the_first_grid_come_by_time_as_well(slow, trained_once, capsys):
    """They neither reset the metrics nor enter metrics.jsonl, nor move a weight; no bar."""
    shown = _run(slow, capsys)
    assert shown.err == ""
    lines = shown.out.splitlines()
    told = [line for line in lines if " d_loss " in line]
    assert [line.split()[1] for line in told] == [f"{step}/12" for step in range(1, 13)]
    assert all(line.endswith(" left") for line in told)
    assert _sampled(slow) == [0, 1, 8, 12]
    assert_same_variables(read_variables(slow.run_dir), read_variables(trained_once().run_dir))
    (whole,) = read_lines(Run(slow.run_dir).metrics)
    assert whole["step"] == 12
    means = [line["d_loss"] for line in read_lines(Run(trained_once().run_dir).metrics)]
    assert whole["d_loss"] == pytest.approx(sum(means) / len(means), rel=1e-5)


def test_a_resumed_run_has_its_first_grid(slow, capsys):
    loop.train(dataclasses.replace(slow, train_steps=5))
    _run(slow, capsys)
    assert _sampled(slow) == [0, 1, 5, 8, 12]


def test_what_diverges_is_not_sampled_by_time(slow, monkeypatch):
    monkeypatch.setattr(recorder, "_FIRST_GRID", 1e9)
    original = GAN.run_steps

    def run_steps(self, iterator, steps, **kwargs):
        if int(self.step.numpy()) == 2:
            kernel = self.generator.trainable_variables[0]
            kernel.assign(kernel * float("nan"))
        return original(self, iterator, steps, **kwargs)

    monkeypatch.setattr(GAN, "run_steps", run_steps)
    with pytest.raises(UserError, match="NaN or infinite between step 1 and 3"):
        loop.train(slow)
    assert _sampled(slow) == [0]


def test_the_chief_of_several_workers_exchanges_nothing_for_it(slow, monkeypatch, capsys):
    """What the workers exchange are the metrics: at step 8, the checkpoint, and at the end."""
    monkeypatch.setattr(Alone, "count", 2)
    read, original = [], loop._finite_metrics

    def finite_metrics(gan, step, *rest):
        read.append(step)
        return original(gan, step, *rest)

    monkeypatch.setattr(loop, "_finite_metrics", finite_metrics)
    out = _run(slow, capsys).out
    assert read == [8, 12, 12]
    assert "step 5/12  " in out and out.count("d_loss") == 1
    assert _sampled(slow) == [0, 1, 8, 12]


def test_a_terminal_gets_a_bar_and_no_lines_by_time(slow, monkeypatch, capsys):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    shown = _run(slow, capsys)
    assert "\r" in shown.err and "/12 [" in shown.err  # it moves at most ten times a second
    assert shown.out.count("d_loss") == 1
    assert "finished at step 12" in shown.out
