"""The benchmark prints the line that comparisons read."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("what", ["workload=light", "workload=input", "recipe=mnist_mlp"])
def test_benchmark_prints_its_figure(what):
    command = [
        *(sys.executable, "-m", "tools.benchmark", f"--{what}"),
        *("--batch=8", "--steps=2", "--dtype=bfloat16"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = rf"{what} dtype=bfloat16 batch=8 median_step_s=\S+ images_per_second=(\S+)"
    found = re.search(line, done.stdout)
    assert found and float(found.group(1)) > 0
