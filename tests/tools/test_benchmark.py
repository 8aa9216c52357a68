"""The benchmark prints the line that comparisons read."""

import re
import subprocess
import sys

import pytest

from tests import forking


def _benchmark(*arguments):
    return forking.run("tools.benchmark", *arguments)


# Several command lines in one process, which spares the start of TensorFlow.
_ALL_IN_ONE = """
import sys
from absl import flags
from tools import benchmark

benchmark.INPUT_IMAGES = 32
for line in sys.argv[1:]:
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["benchmark", *line.split()])
    benchmark.main()
"""


@pytest.mark.slow
def test_benchmark_prints_its_figures():
    whats = {"workload=light": " --logical_devices=2", "workload=input": ""}
    whats["recipe=mnist_mlp"] = " --baseline"
    lines = [f"--{what} --batch=8 --steps=2 --dtype=bfloat16{more}" for what, more in whats.items()]
    command = [sys.executable, "-c", _ALL_IN_ONE, *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for what in whats:
        line = rf"{what} dtype=bfloat16 batch=8 median_step_s=\S+ images_per_second=(\S+)"
        figure = re.search(line, done.stdout)
        assert figure and float(figure.group(1)) > 0


def test_a_baseline_has_no_replicas():
    done = _benchmark("--baseline", "--logical_devices=2")
    assert done.returncode == 1
    assert "--baseline goes without --distribution and --logical_devices" in done.stderr
