"""Runs that meet faults: a small version of the command, and what it must find wrong."""

import dataclasses
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.config import Config
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError, exit_on_user_error
from tools import fault_test
from tools.faults import comparing, ordeal, outcomes, reference, strikes, trainers

_STEPS, _EVERY = 12, 4


@pytest.mark.slow
def test_a_killed_run_ends_bit_equal(tmp_path, capsys):
    train_flags = [
        *("--dataset=mixture", "--batch_size=16", "--train_steps=24", "--checkpoint_every=8"),
        *("--log_every=1", "--sample_every=1000", "--steps_per_execution=1", "--ema_decay=0.9"),
    ]
    found = fault_test.run_all(["kill"], 1, 0, train_flags, tmp_path)
    assert "kill 1: hit after step" in capsys.readouterr().out
    outcomes.check(found)
    assert (found[0].hits, found[0].resumed, found[0].lost) == (1, 1, [])
    assert found[0].total > 30  # of both networks, the average and both optimizers


def _command(*arguments):
    command = [sys.executable, "-m", "tools.fault_test", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_used_work_dir_is_refused(tmp_path):
    (tmp_path / "something").touch()
    done = _command(f"--work_dir={tmp_path}", "--fault=kill")
    assert done.returncode == 1
    assert "is not empty" in done.stderr and "Traceback" not in done.stderr


class _Trainers:
    """Stands for processes that train: in no time, one number, which is the step."""

    flaw = None  # what is wrong with a run that is resumed

    def __init__(self, run_dir, number, train_flags, workers=1, back=0):
        self._run, self.statuses, self.logs = Run(run_dir), [None], [run_dir]
        self._run.checkpoints.mkdir(parents=True, exist_ok=True)
        self._run.samples.mkdir(exist_ok=True)
        config = Config(dataset="x", train_steps=_STEPS, checkpoint_every=_EVERY, log_every=1)
        data = {"image_shape": [1], "num_examples": 1, "class_names": None, "fingerprint": ""}
        stored = {"format": 1, "config": dataclasses.asdict(config), "data": data}
        (self._run.directory / "config.json").write_text(json.dumps(stored))
        steps = available(self._run.checkpoints)
        self.begun_at = steps[-1] if steps else 0
        self._resumed = bool(steps)
        if self._resumed and self.flaw == "checkpoint":
            self.begun_at -= _EVERY
        self._run.forget_after(self.begun_at)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _has(self, flaw):
        return self._resumed and self.flaw == flaw

    def train(self, end):
        for step in range(self.begun_at + 1, end + 1):
            if not (self._has("line") and step == end):
                loss = step + 0.5 * self._has("metric")
                self._run.append_metrics({"step": step, "d_loss": loss, "time": 0.0})
            if step % _EVERY == 0:
                _save(self._run, step, float(step) + self._has("variable"))
                pixels = np.full((2, 2, 1), step + self._has("sample"), np.uint8)
                self._run.write_sample(step, pixels)

    def wait(self, seconds=None):
        self.train(_STEPS)
        self.statuses = [0]
        return self.statuses

    finish = wait


def _save(run, step, value):
    prefix = str(run.checkpoints / f"step-{step}")
    tensors = {"generator/w": [value], "discriminator_optimizer/m": [0.0]}
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(each) for each in tensors.values()],
    )


def _at_step_10(scene):
    scene.trainers.train(10)
    scene.trainers.statuses = [-9]
    return scene.left()


@pytest.fixture
def hit(monkeypatch, tmp_path):
    """Hits a run of `_Trainers` of a flaw; returns the only `Outcome`."""

    def run(flaw):
        for module in (ordeal, reference):
            monkeypatch.setattr(module, "Trainers", _Trainers)
        monkeypatch.setattr(_Trainers, "flaw", flaw)
        monkeypatch.setitem(strikes.FAULTS, "kill", strikes.Fault(_at_step_10, 1))
        (outcome,) = fault_test.run_all(["kill"], 1, 0, [], tmp_path)
        return outcome

    return run


def test_what_is_lost_is_known(hit, capsys):
    outcome = hit(None)
    outcomes.check([outcome])
    assert (outcome.hits, outcome.resumed, outcome.repeated) == (1, 1, [2])
    assert (outcome.equal, outcome.total, outcome.lost) == (2, 2, [])
    assert "kill 1: hit after step 10, went on from 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flaw", "sentence"),
    [
        ("variable", "different variables: generator/w"),
        ("metric", "metrics.jsonl has other values at steps 9, 10, 11 ..."),
        ("line", "metrics.jsonl lacks steps 12"),
        ("sample", "other or no samples: 0000012.png"),
        ("checkpoint", "hit after step 10, went on from step 4 instead of 8"),
    ],
)
def test_whatever_is_lost_makes_it_fail(hit, capsys, flaw, sentence):
    outcome = hit(flaw)
    assert sentence in outcome.lost
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        outcomes.check([outcome])
    assert ended.value.code == 1
    assert "error: not everything was kept after: kill" in capsys.readouterr().err


def test_a_run_that_cannot_be_hit_proves_nothing(hit, monkeypatch):
    monkeypatch.setattr(ordeal.Ordeal, "_strike", lambda *_: True)
    monkeypatch.setattr(ordeal.Ordeal, "_compare", lambda *_: None)
    assert hit(None).lost == ["a run ended before it could be hit; give it more steps"]


def test_the_table_has_a_line_for_each_fault():
    good = outcomes.Outcome("kill_worker", 2, 2, [3, 7], [0.25, 1.5], equal=8, total=8)
    bad = outcomes.Outcome("term", 2, 1, [0], equal=7, total=8, lost=["this", "that"])
    headings, first, second = (line.split() for line in outcomes.table([good, bad]))
    assert first == ["kill_worker", "2", "2", "10", "7", "1.5", "s", "8", "of", "8", "nothing"]
    assert second == ["term", "2", "1", "0", "0", "-", "7", "of", "8", "this;", "that"]
    outcomes.check([good])
    with pytest.raises(UserError, match="after: term"):
        outcomes.check([good, bad])
    for each in (outcomes.Outcome("kill"), outcomes.Outcome("kill", 2, 1, equal=8, total=8)):
        assert not each.is_good and "not all" in each.cells()[-1]


@pytest.mark.parametrize(
    ("values", "different"), [((1.0, 1.0), ()), ((0.0, -0.0), ("generator/w",))]
)
def test_variables_are_compared_bit_by_bit(tmp_path, values, different):
    for name, value in zip(("one", "two"), values, strict=True):
        run = Run(tmp_path / name)
        run.checkpoints.mkdir(parents=True)
        _save(run, 5, value)
    found = comparing.compare_checkpoints(tmp_path / "one", tmp_path / "two")
    assert found == comparing.Variables(5, 2, different)
    _save(Run(tmp_path / "two"), 6, 1.0)
    with pytest.raises(UserError, match=r"ended at step 5, .* at 6"):
        comparing.compare_checkpoints(tmp_path / "one", tmp_path / "two")


def _metrics(directory, values):
    directory.mkdir()
    for step, value in values.items():
        Run(directory).append_metrics({"step": step, "d_loss": value, "time": value})
    return directory


def test_a_mean_that_was_begun_anew_may_differ(tmp_path):
    one = _metrics(tmp_path / "one", {5: 1.0, 10: 2.0, 15: 3.0})
    two = _metrics(tmp_path / "two", {5: 1.0, 7: 9.0, 10: 2.5, 15: 3.0})  # stopped after step 7
    assert list(comparing.compare_metrics(one, two, 5, [0, 7])) == []
    assert list(comparing.compare_metrics(one, two, 5, [0, 5])) == [
        "metrics.jsonl has more steps: 7",
        "metrics.jsonl has other values at steps 10",
    ]


def test_steps_must_rise(tmp_path):
    one, two = (_metrics(tmp_path / name, {1: 1.0, 2: 2.0}) for name in ("one", "two"))
    Run(two).append_metrics({"step": 1, "d_loss": 1.0, "time": 9.0})
    assert list(comparing.compare_metrics(one, two, 1, [])) == [
        "the steps in metrics.jsonl do not rise"
    ]


def test_a_run_that_is_asked_to_stop_says_at_which_step():
    said = "step 248/600  d_loss 1\nSIGTERM: saved step 250. Resume with:\n  python\n"
    assert strikes.stopped_at(said, 248) == 250
    assert strikes.stopped_at("SIGTERM: stopped before the first step. Resume with:\n", 0) == 0


def test_the_last_whole_line_tells_the_step(tmp_path):
    assert trainers.logged_step(tmp_path) == 0
    Run(tmp_path).metrics.write_bytes(b'{"step": 3}\n{"st\n{"step": 4}\n{"step": 5}')
    assert trainers.logged_step(tmp_path) == 4


def test_a_module_runs_in_the_past():
    printed = subprocess.run(
        [sys.executable, "-m", "tools.faults.set_back", "86400", "timeit", "-n1", "-r1", "-s"]
        + ["import time; print(time.time(), time.time_ns())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    seconds, nanoseconds = float(printed[0]), int(printed[1])
    assert seconds == pytest.approx(nanoseconds / 1e9, abs=1)
    assert seconds == pytest.approx(time.time() - 86400, abs=60)
