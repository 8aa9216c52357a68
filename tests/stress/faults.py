"""Faults that interrupt a training run: each waits for its moment, strikes, checks how it ended."""

import dataclasses
import os
import random
import re
import signal
import time
from collections.abc import Callable

from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from tests.stress.training_processes import POLL_SECONDS, TrainingProcesses, last_logged_step

CHECKPOINT_EVERY = 10  # steps; every step is logged
_START_EVERY = 5  # one of so many kills comes while the process starts
_LONGEST_DELAY = 0.02  # seconds from the first sight of an unfinished checkpoint to the kill
_SECONDS_TO_NOTICE = 120  # in which a worker must end whose other was killed
_SECONDS_TO_STOP = 3  # from a notebook's Stop to the kill
_MEGABYTE = 2**20


@dataclasses.dataclass(frozen=True)
class ReferenceRun:
    """A run that nothing interrupted, and how long it took."""

    run: Run
    workers: int
    train_flags: tuple[str, ...]
    steps: int
    seconds: float  # the whole command
    start_seconds: float  # until training began

    @property
    def timeout(self):
        """Seconds after which a start of the same run counts as hanging."""
        return 300 + 5 * self.seconds

    @property
    def step_seconds(self):
        return (self.seconds - self.start_seconds) / self.steps

    def largest_file(self, in_checkpoint):
        """Bytes of the largest file of the checkpoints, or of the largest one besides them."""
        files = [path for path in self.run.directory.rglob("*") if path.is_file()]
        return max(
            path.stat().st_size
            for path in files
            if (self.run.checkpoints in path.parents) == in_checkpoint
        )


@dataclasses.dataclass(frozen=True)
class Hit:
    """What a fault has left."""

    reached: int  # the last step that was logged
    kept: int  # the step from which the next start must resume
    seconds: float | None = None  # until the other worker had ended
    warning: str = ""  # what the next start must print

    @property
    def repeated(self):
        """How many steps must be done again."""
        return self.reached - self.kept


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A start of a run that is to be hit at about the step `target`."""

    run: Run
    processes: TrainingProcesses
    reference: ReferenceRun
    target: float
    number: int  # of hits before
    rng: random.Random

    def wait_for_moment(self, least=0):
        """Waits for a random moment near the target, after the step `least`.

        Returns:
            Whether the run still goes; False if it finished before.
        """
        step = max(self.target, least)
        if not self._wait(lambda: self.processes.begun_at is not None):
            return False
        if not self._wait(lambda: last_logged_step(self.run) >= step):
            return False
        time.sleep(self.rng.uniform(0, 3) * self.reference.step_seconds)
        return self._runs()

    def wait_for_save(self):
        """Waits until a checkpoint is being written; False if the run finished before."""
        return self._wait(lambda: unfinished(self.run), POLL_SECONDS / 10)

    def _wait(self, condition, poll_seconds=POLL_SECONDS):
        deadline = time.monotonic() + self.reference.timeout
        while not condition():
            if not self._runs():
                return False
            assert time.monotonic() < deadline, f"a start hangs; see {self.processes.logs[0]}"
            time.sleep(poll_seconds)
        return True

    def _runs(self):
        statuses = self.processes.statuses
        assert not any(statuses), f"failed by itself: {statuses}; see {self.processes.logs[0]}"
        return None in statuses

    def hit(self, **more):
        """The `Hit` of a run whose processes have just ended."""
        steps = available(self.run.checkpoints)
        kept = steps[-1] if steps else 0
        # Before it begins to train, the lines are those of the start before.
        begun = self.processes.begun_at is not None
        return Hit(last_logged_step(self.run) if begun else kept, kept, **more)


def unfinished(run):
    """The files of checkpoints that are not complete."""
    return list(run.checkpoints.glob("unfinished-*"))


def kill(attempt):
    if attempt.number % _START_EVERY == _START_EVERY - 1:
        time.sleep(attempt.rng.uniform(0, 1) * attempt.reference.start_seconds)
    elif not attempt.wait_for_moment():
        return None
    return attempt.hit() if attempt.processes.kill() else None


def kill_in_save(attempt):
    if not attempt.wait_for_moment() or not attempt.wait_for_save():
        return None
    time.sleep(attempt.rng.uniform(0, _LONGEST_DELAY))
    killed = attempt.processes.kill()
    return attempt.hit() if killed and unfinished(attempt.run) else None


def terminate(attempt, number=signal.SIGTERM, index=0):
    if not attempt.wait_for_moment():
        return None
    attempt.processes.signal(number, index)
    attempt.processes.finish(attempt.reference.timeout)
    return attempt.hit()


def terminate_worker(attempt):
    return terminate(attempt, index=1)


def hang_up(attempt):
    return terminate(attempt, signal.SIGHUP)


def stop_notebook(attempt):
    if not attempt.wait_for_moment():
        return None
    attempt.processes.signal(signal.SIGINT)
    attempt.processes.wait(_SECONDS_TO_STOP)
    attempt.processes.kill()
    return attempt.hit()


def kill_chief(attempt):
    return _kill_one_of_two(attempt, 0)


def kill_worker(attempt):
    return _kill_one_of_two(attempt, 1)


def _kill_one_of_two(attempt, index):
    processes, other = attempt.processes, 1 - index
    if not attempt.wait_for_moment() or not processes.kill(index):
        return None
    begin = time.monotonic()
    processes.wait(_SECONDS_TO_NOTICE)
    seconds = time.monotonic() - begin
    output = processes.output(other)
    assert processes.statuses[other] == 1, f"the other's status is {processes.statuses[other]}"
    name = f"worker {index} of 2 ({processes.addresses[index]})"
    assert re.search(rf"^error: .*{re.escape(name)}", output, re.MULTILINE), output[-2000:]
    return attempt.hit(seconds=seconds)


def fill_disk(attempt):
    """A limit on the size of files stands for the full disk; only a checkpoint exceeds it."""
    reference, processes = attempt.reference, attempt.processes
    least = reference.largest_file(in_checkpoint=False) + _MEGABYTE
    most = reference.largest_file(in_checkpoint=True)
    assert least < most, "the other files are as large as checkpoints: take a larger network"
    if not attempt.wait_for_moment(least=CHECKPOINT_EVERY + 1):
        return None
    processes.limit_file_size(attempt.rng.randrange(least, most))
    statuses = processes.wait(reference.timeout)
    if statuses == [0]:
        return None
    hit, output = attempt.hit(), processes.output(0)
    assert statuses == [1], f"the status is {statuses}; see {processes.logs[0]}"
    for sentence in ("\nerror: The checkpoint of step", f"That of step {hit.kept} is intact"):
        assert sentence in output, f"{sentence!r} is missing in {processes.logs[0]}"
    assert not unfinished(attempt.run), "unfinished files are left"
    return hit


def truncate_checkpoint(attempt):
    # Two checkpoints are needed; after this step both are complete.
    if not attempt.wait_for_moment(least=2 * CHECKPOINT_EVERY + 1) or not attempt.processes.kill():
        return None
    folder = attempt.run.checkpoints
    before, newest = available(folder)[-2:]
    path = attempt.rng.choice(sorted(folder.glob(f"step-{newest}.*")))
    # Its length is 0 if the hit before truncated it.
    os.truncate(path, attempt.rng.randrange(max(1, path.stat().st_size)))
    hit = attempt.hit(warning=f"step-{newest} is damaged")
    return dataclasses.replace(hit, kept=before)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A kind of fault, and what it may cost.

    Attributes:
        strike: takes an `Attempt`; returns the `Hit`, or None if it missed or the run finished.
        most_repeated: how many steps may have to be done again.
        workers: how many train together.
        sets_clock_back: whether each start finds the clock set back.
    """

    strike: Callable[[Attempt], Hit | None]
    most_repeated: int = CHECKPOINT_EVERY
    workers: int = 1
    sets_clock_back: bool = False


FAULTS = {
    "kill": Fault(kill),
    "kill_in_save": Fault(kill_in_save),
    "sigterm": Fault(terminate, most_repeated=0),
    "sighup": Fault(hang_up, most_repeated=0),
    "sigint_kill": Fault(stop_notebook),
    "full_disk": Fault(fill_disk),
    "truncated": Fault(truncate_checkpoint, most_repeated=2 * CHECKPOINT_EVERY),
    "clock_back": Fault(kill, sets_clock_back=True),
    "kill_chief": Fault(kill_chief, workers=2),
    "kill_worker": Fault(kill_worker, workers=2),
    "sigterm_worker": Fault(terminate_worker, most_repeated=0, workers=2),
}
