"""The processes of a training run: started together, hit, waited for."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from tools.local_cluster import environment, free_addresses

LOOK = 0.01  # seconds between two looks
_TAIL = 65536  # bytes that hold the last lines of metrics.jsonl
_BEGUN = re.compile(
    r"^(?:(?:training|resuming) .* from step (\d+) to \d+:"
    r"|.* is at step (\d+), and --train_steps=\d+: nothing to do)",
    re.MULTILINE,
)


class Trainers:
    """All workers of one start of a run; at the end of the context none of them is left.

    Args:
      run_dir: the run's directory; what they print goes beside it.
      number: of this start, for the names of those files.
      train_flags: flags of lsgan_tf.train.
      workers: how many; one is a run without others.
      back: seconds by which their clocks are set back.

    Attributes:
      addresses: host:port of each worker.
      logs: what each printed.
    """

    def __init__(self, run_dir, number, train_flags, workers=1, back=0):
        self._run_dir = run_dir
        name = f"{run_dir.name}.start-{number}"
        self.logs = [run_dir.parent / f"{name}.worker-{i}.log" for i in range(workers)]
        self.addresses = free_addresses(workers)
        in_the_past = ["tools.faults.set_back", str(back)] if back else []
        command = [sys.executable, "-u", "-m", *in_the_past, "lsgan_tf.train", *train_flags]
        command.append(f"--run_dir={run_dir}")
        if workers > 1:
            command.append("--distribution=multi_worker")
        self._processes = [self._start(command, i) for i in range(workers)]

    def _start(self, command, index):
        with open(self.logs[index], "wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(self.addresses, index),
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def statuses(self):
        """The exit status of each, negative for a signal, None while it runs."""
        return [process.poll() for process in self._processes]

    @property
    def begun_at(self):
        """The step at which they said to begin or go on; None before."""
        found = _BEGUN.search(self.output(0))
        return int(found.group(1) or found.group(2)) if found else None

    def output(self, index):
        """What a worker has printed."""
        return self.logs[index].read_text(encoding="utf-8", errors="replace")

    def signal(self, number, index=0):
        self._processes[index].send_signal(number)

    def kill(self, index=0):
        """Kills one of them at once; returns whether that ended it: it may have ended before."""
        self.signal(signal.SIGKILL, index)
        return self._processes[index].wait() == -signal.SIGKILL

    def limit_file_size(self, size):
        """From now on, writing beyond so many bytes of a file fails."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))

    def wait(self, seconds=None):
        """Waits for all to end; returns their exit statuses, None of one that is still there."""
        end = None if seconds is None else time.monotonic() + seconds
        while None in self.statuses and (end is None or time.monotonic() < end):
            time.sleep(LOOK)
        return self.statuses

    def finish(self, seconds=None):
        """Waits for all to end; `UserError` unless each has status 0."""
        if any(self.wait(seconds)) or None in self.statuses:
            raise UserError(self.failure())

    def failure(self):
        """What to say of a start that failed by itself."""
        return f"a start ended with status {self.statuses} (None: never); see {self.logs[0]}"


def logged_step(run_dir):
    """The step of the last whole line of a run's metrics.jsonl; 0 before the first."""
    try:
        with open(Run(run_dir).metrics, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return 0
    for line in reversed(lines[:-1]):  # the last has no end yet
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return json.loads(line)["step"]
    return 0
