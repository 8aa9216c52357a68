"""The processes of a training run: started together, signalled, waited for."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.local_cluster import environment, free_addresses

POLL_SECONDS = 0.01
_PROJECT = Path(__file__).resolve().parent.parent.parent
_TAIL = 65536  # bytes; they hold the last lines of metrics.jsonl
_BEGUN = re.compile(
    r"^(?:(?:training|resuming) .* from step (\d+) to "
    r"|.* is at step (\d+), and --train_steps=\d+: nothing to do)",
    re.MULTILINE,
)


class TrainingProcesses:
    """All workers of one start of a run. Leaving the context kills those that still run.

    Args:
        run: the `Run`; the logs are written beside its directory.
        number: of this start, for the names of the logs.
        train_flags: flags of lsgan_tf.train, `--name=value`, without --run_dir.
        workers: how many; one trains without a cluster.
        seconds_back: by how much their clocks are set back.

    Attributes:
        addresses: host:port of each worker.
        logs: the file with the output of each worker.
    """

    def __init__(self, run, number, train_flags, workers=1, seconds_back=0):
        directory = run.directory
        name = f"{directory.name}.start-{number}"
        self.logs = [directory.parent / f"{name}.worker-{i}.log" for i in range(workers)]
        self.addresses = free_addresses(workers)
        clock = ["tests.stress.set_back_clock", str(seconds_back)] if seconds_back else []
        command = [sys.executable, "-u", "-m", *clock, "lsgan_tf.train", *train_flags]
        command.append(f"--run_dir={directory}")
        if workers > 1:
            command.append("--distribution=multi_worker")
        self._processes = [self._start(command, index) for index in range(workers)]

    def _start(self, command, index):
        with open(self.logs[index], "wb") as log:
            return subprocess.Popen(
                command,
                cwd=_PROJECT,
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
        """The exit status of each: negative for a signal, None while it runs."""
        return [process.poll() for process in self._processes]

    @property
    def begun_at(self):
        """The step that worker 0 said it starts or resumes from; None before it said so."""
        line = _BEGUN.search(self.output(0))
        return int(line.group(1) or line.group(2)) if line else None

    def output(self, index):
        """What a worker has printed so far."""
        return self.logs[index].read_text(encoding="utf-8", errors="replace")

    def signal(self, number, index=0):
        """Sends a signal to one worker."""
        self._processes[index].send_signal(number)

    def kill(self, index=0):
        """Kills one worker; returns whether that ended it: it may have ended before."""
        self.signal(signal.SIGKILL, index)
        return self._processes[index].wait() == -signal.SIGKILL

    def limit_file_size(self, size):
        """From now on, a write beyond `size` bytes of a file fails."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))

    def wait(self, seconds):
        """Waits for all to end; returns their statuses, None of one that still runs."""
        deadline = time.monotonic() + seconds
        while None in self.statuses and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return self.statuses

    def finish(self, seconds):
        """Waits for all to end; AssertionError unless each has status 0."""
        statuses = self.wait(seconds)
        if any(status != 0 for status in statuses):
            raise AssertionError(f"statuses {statuses} (None: still running); see {self.logs[0]}")


def last_logged_step(run):
    """The step of the last complete line of metrics.jsonl; 0 before the first."""
    try:
        with open(run.metrics, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return 0
    for line in reversed(lines[:-1]):  # no line end follows the last one
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return json.loads(line)["step"]
    return 0
