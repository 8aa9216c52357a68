"""Runs that are asked to stop: the checkpoint first, whatever is due."""

import signal

import pytest

from lsgan_tf.gan.model import GAN
from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import loop


def test_a_signal_during_a_sample_saves_too(tiny_config, monkeypatch, capsys, hangups):
    config = tiny_config(train_steps=50, sample_every=3, checkpoint_every=100)
    original = Run.write_sample

    def write_sample(self, step, picture):
        if step == 3:
            signal.raise_signal(signal.SIGHUP)
        return original(self, step, picture)

    monkeypatch.setattr(Run, "write_sample", write_sample)
    loop.train(config)
    assert checkpoints.available(Run(config.run_dir).checkpoints) == [3]
    assert "SIGHUP: saved step 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "step_of_signal"), [(signal.SIGTERM, 12), (signal.SIGINT, 5), (signal.SIGHUP, 6)]
)
def test_a_stop_finishes_the_step_and_saves_before_all_else(
    tiny_config, monkeypatch, capsys, hangups, number, step_of_signal
):
    """At step 5 nothing is due, at step 6 a line and a sample, at step 12 everything."""
    config = tiny_config(train_steps=50, steps_per_execution=1)
    order = []

    def note(owner, name):
        original = getattr(owner, name)

        def noting(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            order.append(name)
            if name == "run_steps" and int(self.step.numpy()) == step_of_signal:
                order.clear()
                signal.raise_signal(number)
            return result

        monkeypatch.setattr(owner, name, noting)

    note(GAN, "run_steps")
    note(checkpoints.Checkpoints, "save")
    note(Run, "append_metrics")
    note(Run, "write_sample")
    handler = signal.getsignal(number)
    loop.train(config)
    assert signal.getsignal(number) is handler
    assert order == ["save", "append_metrics", "write_sample"]
    assert checkpoints.available(Run(config.run_dir).checkpoints)[-1] == step_of_signal
    out = capsys.readouterr().out
    assert f"{signal.Signals(number).name}: saved step {step_of_signal}" in out
    assert f"--run_dir={config.run_dir}" in out


def test_a_second_interrupt_does_not_lose_the_save_and_is_told(tiny_config, monkeypatch, capsys):
    config = tiny_config(train_steps=50, steps_per_execution=1)
    run_steps, save = GAN.run_steps, checkpoints.Checkpoints._write

    def interrupted_step(self, *args, **kwargs):
        results = run_steps(self, *args, **kwargs)
        if int(self.step.numpy()) == 5:
            signal.raise_signal(signal.SIGINT)
        return results

    def interrupted_save(self, step):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        save(self, step)

    monkeypatch.setattr(GAN, "run_steps", interrupted_step)
    monkeypatch.setattr(checkpoints.Checkpoints, "_write", interrupted_save)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config)
    run = Run(config.run_dir)
    assert checkpoints.available(run.checkpoints) == [4, 5]
    assert not run.sample_path(5).exists()  # it was obeyed once the checkpoint was there
    resume = f"python -m lsgan_tf.train --run_dir={config.run_dir} --data_dir={config.data_dir}"
    assert capsys.readouterr().out.endswith(
        f"SIGINT: interrupted; step 5 is saved. Resume with:\n  {resume}\n"
    )


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (0, "SIGINT: interrupted; no checkpoint is saved yet. Resume with:"),
        (2, "finished at step 2."),
    ],
)
def test_an_interrupt_of_the_first_or_the_last_sample_tells_what_is_saved(
    tiny_config, monkeypatch, capsys, step, told
):
    def write_sample(self, number, picture):
        if number == step:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "write_sample", write_sample)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_config(train_steps=2, checkpoint_every=100, sample_every=100))
    assert f"\n{told}" in capsys.readouterr().out


def test_a_checkpoint_comes_before_its_sample(tiny_config, monkeypatch):
    """A kill while the sample is drawn, at a step where both are due, costs no step."""

    def write_sample(self, step, picture):
        if step == 12:
            raise MemoryError

    monkeypatch.setattr(Run, "write_sample", write_sample)
    with pytest.raises(MemoryError):
        loop.train(tiny_config())
    assert checkpoints.available(Run(tiny_config().run_dir).checkpoints)[-1] == 12
