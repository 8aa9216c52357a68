"""For tests that fuzz: conversions within this process, and commands whose memory is watched."""

import dataclasses
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hypothesis
import psutil
import pytest

from lsgan_tf.datasets import process_pool

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 5  # after SIGKILL; an orphan that nobody waits for never quite ends
_MAX_SECONDS = 120  # of one conversion
_MAX_MEMORY = 600_000_000  # bytes, of all its processes together

hypothesis.settings.register_profile(
    "stress",
    deadline=None,  # examples are whole conversions
    print_blob=True,  # how to repeat a failure
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("stress")


def pytest_terminal_summary(terminalreporter):
    """Says what the tests have counted."""
    for report in terminalreporter.stats.get("", []):
        if report.when == "teardown" and report.user_properties:
            counts = ", ".join(f"{count} {what}" for what, count in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid}: {counts}")


@pytest.fixture
def tally(record_property) -> Iterator[Counter]:
    """What a test counts, which is printed at the end."""
    counts = Counter()
    yield counts
    for what, count in counts.items():
        record_property(what, count)


@pytest.fixture
def in_this_process(monkeypatch):
    """Conversions work in this process instead of a pool, which takes a second to start."""

    def run(tasks, processes, bar):
        while tasks:
            task = tasks.pop(0)
            yield task.function(*task.arguments)

    monkeypatch.setattr(process_pool, "run", run)
    monkeypatch.setattr(process_pool, "count", lambda number=1: None)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int | None  # exit status, negative for a signal; None: it took too long and was killed
    seconds: float
    peak_memory: int  # bytes: the largest sum of proportional set sizes
    output: str


@pytest.fixture
def run_watched(tmp_path) -> Callable[..., Outcome]:
    """Runs a command to its end or for `timeout` seconds, and watches all its processes."""

    def run(command: Sequence[str | os.PathLike], timeout: float = _MAX_SECONDS) -> Outcome:
        begin, peak, status = time.perf_counter(), 0, None
        with open(tmp_path / "output", "wb") as output:
            process = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        while (status := process.poll()) is None:
            family = _family(process)
            peak = max(peak, sum(map(_memory, family)))
            if time.perf_counter() - begin > timeout:
                _kill(family)
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        text = (tmp_path / "output").read_text("utf-8", "replace")
        return Outcome(status, time.perf_counter() - begin, peak, text)

    return run


@pytest.fixture
def run_converter(run_watched, tally) -> Callable[..., Outcome]:
    """Runs a converter with two processes: it must end with status 0 or 1 within its limits."""

    def run(converter: str, target: Path, *flags: str) -> Outcome:
        command = [sys.executable, "-m", f"tools.{converter}", f"--output_dir={target}", *flags]
        outcome = run_watched([*command, "--processes=2"])
        assert outcome.status in (0, 1), outcome
        assert "Traceback" not in outcome.output, outcome.output
        assert outcome.peak_memory < _MAX_MEMORY, outcome
        tally["MB at most"] = max(tally["MB at most"], outcome.peak_memory // 1_000_000)
        return outcome

    return run


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0  # it has just ended


def _kill(family: Sequence[psutil.Process]) -> None:
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=_SECONDS_TO_END)
