"""The faults: each waits for its moment, strikes, and tells what it has left."""

import dataclasses
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from tools.faults.reference import Reference
from tools.faults.trainers import LOOK, Trainers, logged_step

_EACH = 5  # of so many kills one comes while the process starts
_LONGEST_DELAY = 0.02  # seconds from the first sight of an unfinished checkpoint to the kill
_UNTIL_THE_OTHERS_END = 120  # seconds
_MEGABYTE = 2**20
_NOT_WRITTEN = re.compile(r"^error: The checkpoint of step \d+ could not be written", re.MULTILINE)
_SAVED = re.compile(r": saved step (\d+)\. (?:To r|R)esume", re.MULTILINE)
_INTACT = re.compile(r"That of step (\d+) is intact")


@dataclasses.dataclass(frozen=True)
class Hit:
    """What a fault has left."""

    reached: int  # the last step that was logged
    kept: int  # the step from which the next start must go on
    seconds: float | None = None  # until the other worker had ended
    warning: str | None = None  # what the next start must say
    wrong: tuple[str, ...] = ()  # what should not have happened


@dataclasses.dataclass(frozen=True)
class Scene:
    """A run that goes, and about when it is to be hit."""

    run_dir: Path
    trainers: Trainers
    reference: Reference
    target: float  # step
    number: int  # of hits before
    chance: random.Random

    def moment(self, least=0):
        """Waits for a random moment about the target step, and after the step `least`.

        Returns False if the run was at its end before.
        """
        step = max(self.target, least)
        if not self._wait(lambda: self.trainers.begun_at is not None):
            return False
        if not self._wait(lambda: logged_step(self.run_dir) >= step):
            return False
        time.sleep(self.chance.uniform(0, 3) * self.reference.step_seconds)
        return self._goes()

    def saving(self):
        """Waits until a checkpoint is being written; False if the run was at its end before."""
        return self._wait(lambda: unfinished(self.run_dir), LOOK / 10)

    def _wait(self, condition, look=LOOK):
        end = time.monotonic() + self.reference.patience
        while not condition():
            if not self._goes():
                return False
            if time.monotonic() > end:
                raise UserError(f"a start hangs; see {self.trainers.logs[0]}")
            time.sleep(look)
        return True

    def _goes(self):
        if any(self.trainers.statuses):
            raise UserError(self.trainers.failure())
        return None in self.trainers.statuses

    def left(self, **more):
        """The `Hit` of a run that was killed now."""
        steps = available(Run(self.run_dir).checkpoints)
        kept = steps[-1] if steps else 0
        # One that had not begun has done no step; the lines are those of the one before.
        reached = kept if self.trainers.begun_at is None else logged_step(self.run_dir)
        return Hit(reached, kept, **more)


def unfinished(run_dir):
    """The files of checkpoints that were not written to their end."""
    return list(Run(run_dir).checkpoints.glob("unfinished-*"))


def kill(scene):
    """SIGKILL, at times while the process starts."""
    if scene.number % _EACH == _EACH - 1:
        time.sleep(scene.chance.uniform(0, 1) * scene.reference.start_seconds)
    elif not scene.moment():
        return None
    return scene.left() if scene.trainers.kill() else None


def kill_in_save(scene):
    """SIGKILL while a checkpoint is written."""
    if not scene.moment() or not scene.saving():
        return None
    time.sleep(scene.chance.uniform(0, _LONGEST_DELAY))
    killed = scene.trainers.kill()
    return scene.left() if killed and unfinished(scene.run_dir) else None


def term(scene, index=0):
    """SIGTERM to one process: all end, and nothing has to be done again."""
    if not scene.moment():
        return None
    scene.trainers.signal(signal.SIGTERM, index)
    statuses = scene.trainers.wait(scene.reference.patience)
    wrong = () if not any(statuses) and None not in statuses else (f"SIGTERM: status {statuses}",)
    step = stopped_at(scene.trainers.output(0), logged_step(scene.run_dir))
    return Hit(step, step, wrong=wrong)


def stopped_at(output, logged):
    """The last step of a run that was asked to stop, from what it printed and the last it logged.

    A step at which a checkpoint was due has no line if none was due.
    """
    saved = _SAVED.search(output)
    return max(logged, int(saved.group(1)) if saved else 0)


def term_worker(scene):
    return term(scene, index=1)


def kill_chief(scene):
    return _kill_one_of_two(scene, 0)


def kill_worker(scene):
    return _kill_one_of_two(scene, 1)


def _kill_one_of_two(scene, index):
    """SIGKILL to one of two workers: the other must end, and say why."""
    if not scene.moment() or not scene.trainers.kill(index):
        return None
    begin = time.monotonic()
    other = 1 - index
    while scene.trainers.statuses[other] is None:
        if time.monotonic() - begin > _UNTIL_THE_OTHERS_END:
            break
        time.sleep(LOOK)
    seconds = time.monotonic() - begin
    name = f"worker {index} of 2 ({scene.trainers.addresses[index]})"
    wrong = tuple(_wrong_end(scene.trainers.statuses[other], scene.trainers.output(other), name))
    if wrong:
        scene.trainers.kill(other)
        wrong = (f"worker {other}, its other dead: {' and '.join(wrong)}",)
    return scene.left(seconds=seconds, wrong=wrong)


def _wrong_end(status, output, name):
    """What is wrong with the end of a worker whose other, of this name, was killed."""
    if status is None:
        yield f"still there after {_UNTIL_THE_OTHERS_END} s"
    elif status != 1:
        yield f"status {status}"
    if not re.search(rf"^error: .*{re.escape(name)}", output, re.MULTILINE):
        yield f"no line 'error: ...' names {name}"


def full_disk(scene):
    """A limit on the size of files, which is met when a checkpoint is written, stands for it."""
    reference = scene.reference
    least = reference.other_size + _MEGABYTE
    if least >= reference.checkpoint_size:
        raise UserError(
            "checkpoints are no larger than the other files of this run, and only they should not "
            "fit on the disk; choose a larger network"
        )
    if not scene.moment(least=reference.config.checkpoint_every):
        return None
    scene.trainers.limit_file_size(scene.chance.randrange(least, reference.checkpoint_size))
    statuses = scene.trainers.wait(reference.patience)
    if statuses == [0]:
        return None
    hit = scene.left()
    wrong = _wrong_message(scene.trainers.output(0), hit.kept)
    if statuses != [1]:
        wrong.append(f"full disk: status {statuses}")
    if unfinished(scene.run_dir):
        wrong.append("full disk: unfinished files are left")
    return dataclasses.replace(hit, wrong=tuple(wrong))


def _wrong_message(output, kept):
    """What is wrong with what a run says whose disk is full, and whose last checkpoint is that of
    step `kept`."""
    if not _NOT_WRITTEN.search(output):
        return ["full disk: no line 'error: The checkpoint of step ...'"]
    intact = _INTACT.search(output)
    named = int(intact.group(1)) if intact else 0
    return [] if named == kept else [f"full disk: step {named} is called intact, not {kept}"]


def truncated(scene):
    """SIGKILL; then a file of the newest checkpoint is cut."""
    # Two checkpoints are needed; after this step both have been written.
    if not scene.moment(least=2 * scene.reference.config.checkpoint_every + 1):
        return None
    if not scene.trainers.kill():
        return None
    folder = Run(scene.run_dir).checkpoints
    newest = available(folder)[-1]
    path = scene.chance.choice(sorted(folder.glob(f"step-{newest}.*")))
    # Of length 0 it may be from the time before: then it is cut already.
    os.truncate(path, scene.chance.randrange(max(1, path.stat().st_size)))
    hit = scene.left(warning=f"step-{newest} is damaged")
    return dataclasses.replace(hit, kept=available(folder)[-2])


@dataclasses.dataclass(frozen=True)
class Fault:
    """How a fault strikes, and what it may cost.

    Attributes:
      strike: takes a `Scene` and returns a `Hit`; None if it missed, or the run was at its end.
      intervals: how many times `--checkpoint_every` steps may have to be done again.
      workers: how many train together.
      sets_clock_back: whether each start finds the clock set back.
    """

    strike: Callable[[Scene], Hit | None]
    intervals: int
    workers: int = 1
    sets_clock_back: bool = False


FAULTS = {
    "kill": Fault(kill, 1),
    "kill_in_save": Fault(kill_in_save, 1),
    "term": Fault(term, 0),
    "kill_chief": Fault(kill_chief, 1, workers=2),
    "kill_worker": Fault(kill_worker, 1, workers=2),
    "term_worker": Fault(term_worker, 0, workers=2),
    "full_disk": Fault(full_disk, 1),
    "truncated": Fault(truncated, 2),
    "clock_back": Fault(kill, 1, sets_clock_back=True),
}
