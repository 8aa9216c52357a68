"""Training runs that faults interrupt: they end bit-equal to an uninterrupted run.

    python -m pytest -m stress tests/stress/test_run_interruptions.py -rP
    LSGAN_STRESS_REPEATS=1 python -m pytest -m stress tests/stress/test_run_interruptions.py -k kill

Each fault hits a run at random moments, ten times or LSGAN_STRESS_REPEATS; each time the run is
started again. -rP shows how many steps the hits have cost. The faults:

- kill: SIGKILL, every fifth time while the process starts
- kill_in_save: SIGKILL while a checkpoint is written
- sigterm, sighup: SIGTERM or SIGHUP; status 0, and no step is lost
- sigint_kill: SIGINT, as a notebook's Stop sends it, and SIGKILL three seconds later
- full_disk: a checkpoint does not fit on the disk; status 1, and the one before is intact
- truncated: SIGKILL, then a file of the newest checkpoint is truncated; the next start prints a
  warning and resumes from the one before
- clock_back: SIGKILL, then Python's clock is set back by two days
- kill_chief, kill_worker: SIGKILL to worker 0 or 1 of two; the other names it, with status 1
- sigterm_worker: SIGTERM to worker 1 of two; both end with status 0, and no step is lost
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.runs.run_directory import Run
from tests.stress.faults import CHECKPOINT_EVERY, FAULTS, Attempt, Hit, ReferenceRun
from tests.stress.run_comparison import assert_same_run, assert_time_fell
from tests.stress.training_processes import POLL_SECONDS, TrainingProcesses, last_logged_step

pytestmark = pytest.mark.stress

REPEATS = int(os.environ.get("LSGAN_STRESS_REPEATS", "10"))
STEPS = 200
FLAGS = (
    *("--dataset=small", "--network=light", "--discriminator_norm=spectral", "--batch_size=16"),
    f"--train_steps={STEPS}",
    *(f"--checkpoint_every={CHECKPOINT_EVERY}", "--log_every=1", "--sample_every=50"),
    "--steps_per_execution=1",
)
_EARLIEST, _LATEST = 0.02, 0.9  # of the steps: when to hit
_SECONDS_BACK = 2 * 24 * 3600  # at each start, against the one before


@pytest.fixture(scope="session")
def reference_run(tmp_path_factory, data_dir):
    """Trains an uninterrupted run of so many workers, once; returns the `ReferenceRun`."""
    made = {}

    def make(workers):
        if workers not in made:
            run = Run(tmp_path_factory.mktemp("reference") / f"workers-{workers}")
            made[workers] = train_reference(run, workers, (*FLAGS, f"--data_dir={data_dir}"))
        return made[workers]

    return make


def train_reference(run, workers, train_flags):
    begin = time.monotonic()
    with TrainingProcesses(run, 0, train_flags, workers) as processes:
        while None in processes.statuses and processes.begun_at is None:
            time.sleep(POLL_SECONDS)
        start_seconds = time.monotonic() - begin
        processes.finish(600)
    seconds = time.monotonic() - begin
    return ReferenceRun(run, workers, train_flags, STEPS, seconds, start_seconds)


@pytest.mark.parametrize("name", FAULTS)
def test_an_interrupted_run_ends_bit_equal(name, reference_run, tmp_path, hangups):
    fault = FAULTS[name]
    rng = random.Random(name)
    hits = interrupt(fault, reference_run(fault.workers), tmp_path, REPEATS, rng)
    repeated = [hit.repeated for hit in hits]
    print(f"{name}: {len(hits)} hits, {sum(repeated)} steps repeated, at most {max(repeated)}")
    seconds = [hit.seconds for hit in hits if hit.seconds is not None]
    if seconds:
        print(f"{name}: the other worker had ended after at most {max(seconds):.1f} s")


def interrupt(fault, reference, directory, repeats, rng):
    """Hits runs so often and compares each with the reference; returns the `Hit`s."""
    hits = []
    for number in itertools.count():
        interrupted = InterruptedRun(fault, reference, Run(directory / f"run-{number}"), rng)
        before = len(hits)
        steps = reference.steps
        targets = [rng.uniform(_EARLIEST, _LATEST) * steps for _ in range(repeats - before)]
        for target in sorted(targets):
            hit = interrupted.hit(target, len(hits))
            if hit is None:
                break
            hits.append(hit)
        interrupted.finish()
        assert_same_run(reference.run, interrupted.run)
        if fault.sets_clock_back:
            assert_time_fell(interrupted.run)
        if len(hits) == repeats:
            return hits
        assert len(hits) > before, "the run finished before it was hit: give it more steps"


class InterruptedRun:
    """A run that a fault hits again and again; each start must resume where it should."""

    def __init__(self, fault, reference, run, rng):
        self.run = run
        self._fault, self._reference, self._rng = fault, reference, rng
        self._starts = 0
        self._last_hit = None  # until a start has resumed from it

    def hit(self, target, number):
        """Starts the run until the fault has hit it; returns the `Hit`, None if it finished."""
        while True:
            with self._start() as processes:
                attempt = Attempt(self.run, processes, self._reference, target, number, self._rng)
                hit = self._fault.strike(attempt)
                self._check_resumed(processes)
                if hit is not None:
                    assert hit.repeated <= self._fault.most_repeated, hit
                    self._last_hit = hit
                    return hit
                if not any(processes.statuses):
                    return None

    def finish(self):
        """Starts the run once more and lets it end."""
        with self._start() as processes:
            processes.finish(self._reference.timeout)
            self._check_resumed(processes)

    def _start(self):
        back = self._starts * _SECONDS_BACK if self._fault.sets_clock_back else 0
        self._starts += 1
        reference = self._reference
        return TrainingProcesses(
            self.run, self._starts, reference.train_flags, reference.workers, back
        )

    def _check_resumed(self, processes):
        step = processes.begun_at
        if step is None:  # it was hit before it began to train: the next start resumes
            return
        if self._last_hit is not None:
            check_resumed(self._last_hit, step, processes.output(0))
        self._last_hit = None


def check_resumed(hit, step, output):
    """AssertionError unless a start that printed `output` resumed where the hit demands."""
    assert step == hit.kept, f"hit after step {hit.reached}: not resumed from {hit.kept}"
    assert hit.warning in output


# What follows shows that the checks can fail.


def write_run(directory):
    """A run directory of twelve steps and a checkpoint of two variables."""
    run = Run(directory)
    run.checkpoints.mkdir(parents=True)
    run.samples.mkdir()
    write_checkpoint(run, 12, 0.0)
    for step in range(1, 13):
        run.append_metrics({"step": step, "d_loss": 0.5 * step, "time": time.time()})
    run.write_sample(12, np.zeros((2, 2, 1), np.uint8))
    return run


def write_checkpoint(run, step, value):
    tf.raw_ops.SaveV2(
        prefix=str(run.checkpoints / f"step-{step}"),
        tensor_names=["generator/w", "discriminator_optimizer/m"],
        shape_and_slices=["", ""],
        tensors=[tf.constant([value]), tf.constant([1.0])],
    )


def change_metrics(run, change):
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    change(lines)
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))


SPOILT = {
    "variable": (lambda run: write_checkpoint(run, 12, -0.0), "variables: .'generator/w'"),
    "last step": (lambda run: write_checkpoint(run, 16, 0.0), "ended at step 16 instead of 12"),
    "no line": (lambda run: change_metrics(run, lambda lines: lines.pop(3)), "metrics.jsonl"),
    "line twice": (
        lambda run: change_metrics(run, lambda lines: lines.append(lines[-1])),
        "metrics.jsonl",
    ),
    "metric": (
        lambda run: change_metrics(run, lambda lines: lines[3].update(d_loss=0.0)),
        "metrics.jsonl",
    ),
    "sample": (lambda run: run.write_sample(12, np.ones((2, 2, 1), np.uint8)), "0000012.png"),
    "no sample": (lambda run: (run.samples / "0000012.png").unlink(), "0000012.png"),
    "unfinished": (lambda run: (run.checkpoints / "unfinished-12").touch(), "unfinished files"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_a_difference_is_found(tmp_path, spoil, message):
    expected, run = (write_run(tmp_path / name) for name in ("expected", "run"))
    assert_same_run(expected, run)
    spoil(run)
    with pytest.raises(AssertionError, match=message):
        assert_same_run(expected, run)


@pytest.mark.parametrize(("step", "output"), [(4, "step-12 is damaged"), (8, "")])
def test_a_wrong_resumption_is_found(step, output):
    hit = Hit(reached=14, kept=8, warning="step-12 is damaged")
    check_resumed(hit, 8, "warning: step-12 is damaged; trying the one before")
    with pytest.raises(AssertionError):
        check_resumed(hit, step, output)


def test_a_run_that_is_never_hit_proves_nothing(monkeypatch, tmp_path):
    run = write_run(tmp_path / "run-0")
    reference = ReferenceRun(run, 1, (), 12, 1.0, 0.5)
    monkeypatch.setattr(InterruptedRun, "hit", lambda *_: None)
    monkeypatch.setattr(InterruptedRun, "finish", lambda _: None)
    with pytest.raises(AssertionError, match="finished before it was hit"):
        interrupt(FAULTS["kill"], reference, tmp_path, 1, random.Random(0))


def test_a_clock_that_never_fell_is_found(tmp_path):
    run = write_run(tmp_path)
    with pytest.raises(AssertionError, match="never set back"):
        assert_time_fell(run)
    run.append_metrics({"step": 13, "time": 0.0})
    assert_time_fell(run)


def test_the_last_complete_line_has_the_last_logged_step(tmp_path):
    run = Run(tmp_path)
    assert last_logged_step(run) == 0
    run.metrics.write_bytes(b'{"step": 3}\n{"st\n{"step": 4}\n{"step": 5}')
    assert last_logged_step(run) == 4


def test_a_module_runs_with_its_clock_set_back():
    printed = subprocess.run(
        [sys.executable, "-m", "tests.stress.set_back_clock", "86400", "timeit", "-n1", "-r1", "-s"]
        + ["import time; print(time.time(), time.time_ns())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    seconds, nanoseconds = float(printed[0]), int(printed[1])
    assert seconds == pytest.approx(nanoseconds / 1e9, abs=1)
    assert seconds == pytest.approx(time.time() - 86400, abs=60)
