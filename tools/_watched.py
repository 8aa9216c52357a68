"""Runs a command and watches its time and the memory of all its processes."""

import dataclasses
import os
import subprocess
import time
from collections.abc import Sequence
from typing import BinaryIO

import psutil

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 5  # after SIGKILL; an orphan that nobody waits for never quite ends


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int | None  # exit status, negative for a signal; None: it took too long and was killed
    seconds: float
    peak_memory: int  # bytes: the largest sum of proportional set sizes


def run(
    command: Sequence[str | os.PathLike],
    *,
    output: BinaryIO | int = subprocess.DEVNULL,
    timeout: float | None = None,
) -> Outcome:
    """Runs `command` to its end, or for `timeout` seconds; what it prints goes to `output`."""
    begin = time.perf_counter()
    running = psutil.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    peak = 0
    while running.poll() is None:
        family = [running, *_children(running)]
        peak = max(peak, sum(map(_memory, family)))
        if timeout is not None and time.perf_counter() - begin > timeout:
            _kill(family)
            return Outcome(None, time.perf_counter() - begin, peak)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return Outcome(running.returncode, time.perf_counter() - begin, peak)


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0  # it has just ended


def _children(running: psutil.Popen) -> list[psutil.Process]:
    try:
        return running.children(recursive=True)
    except psutil.Error:
        return []


def _kill(family: Sequence[psutil.Process]) -> None:
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=_SECONDS_TO_END)
