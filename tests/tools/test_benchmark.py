"""The benchmark prints the line that comparisons read."""

import re
import subprocess
import sys

import pytest


def _benchmark(*arguments):
    command = [sys.executable, "-m", "tools.benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "strategy"),
    [
        ("workload=light", ["--logical_devices=2"]),
        ("workload=input", []),
        ("recipe=mnist_mlp", ["--baseline"]),
    ],
)
def test_benchmark_prints_its_figure(what, strategy):
    done = _benchmark(f"--{what}", "--batch=8", "--steps=2", "--dtype=bfloat16", *strategy)
    assert done.returncode == 0, done.stderr
    line = rf"{what} dtype=bfloat16 batch=8 median_step_s=\S+ images_per_second=(\S+)"
    figure = re.search(line, done.stdout)
    assert figure and float(figure.group(1)) > 0


def test_a_baseline_has_no_replicas():
    done = _benchmark("--baseline", "--logical_devices=2")
    assert done.returncode == 1
    assert "--baseline goes without --distribution and --logical_devices" in done.stderr
