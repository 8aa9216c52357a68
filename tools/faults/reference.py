"""The uninterrupted run that others are compared with."""

import dataclasses
import time
from pathlib import Path

from lsgan_tf.config import Config
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from tools.faults.trainers import LOOK, Trainers


@dataclasses.dataclass(frozen=True)
class Reference:
    """An uninterrupted run, and how long it took."""

    run_dir: Path
    workers: int
    config: Config
    seconds: float  # all in all
    start_seconds: float  # until training began
    step_seconds: float

    @property
    def patience(self):
        """Seconds after which a run of the same kind counts as hanging."""
        return 300 + 5 * self.seconds

    @property
    def checkpoint_size(self):
        """Bytes of the largest file of a checkpoint."""
        folder = Run(self.run_dir).checkpoints
        return max(path.stat().st_size for path in folder.glob(f"step-{available(folder)[-1]}.*"))

    @property
    def other_size(self):
        """Bytes of the largest file besides checkpoints."""
        folder = Run(self.run_dir).checkpoints
        files = (path for path in self.run_dir.rglob("*") if path.is_file())
        return max(path.stat().st_size for path in files if folder not in path.parents)


def train(run_dir, train_flags, workers):
    """Trains from the first step to the last; returns the `Reference`.

    Raises:
      UserError: if that fails.
    """
    begin = time.monotonic()
    with Trainers(run_dir, 0, train_flags, workers) as trainers:
        while None in trainers.statuses and trainers.begun_at is None:
            time.sleep(LOOK)
        started = time.monotonic() - begin
        trainers.finish()
    seconds = time.monotonic() - begin
    config, _ = Run(run_dir).read()
    step_seconds = (seconds - started) / config.train_steps
    return Reference(run_dir, workers, config, seconds, started, step_seconds)
