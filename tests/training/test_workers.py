"""Two real workers on this machine, started by deploy/local_workers.sh."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import loop
from tests.local_cluster import environment, free_addresses
from tests.run_contents import assert_same_variables, read_variables

PROJECT = Path(__file__).resolve().parents[2]
LAUNCHER = PROJECT / "deploy" / "local_workers.sh"
SETTINGS = {
    "dataset": "small",
    "network": "mlp",
    "penalty": "none",
    "batch_size": 32,
    "train_steps": 40,
    "learning_rate_schedule": "linear",
    "decay_steps": 80,
    "mirror": True,
    "log_every": 4,
    "sample_every": 20,
    "checkpoint_every": 8,
    "steps_per_execution": 1,
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _data(data_dir):
    SETTINGS["data_dir"] = str(data_dir)


def _start(run_dir, **changes):
    flags = {**SETTINGS, "run_dir": run_dir, **changes}
    line = [LAUNCHER, "2", *(f"--{name}={value}" for name, value in flags.items())]
    return subprocess.Popen(
        line,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _train(run_dir, **changes):
    running = _start(run_dir, **changes)
    output, _ = running.communicate(timeout=120)
    return running.returncode, output


def _worker(launcher, index):
    """The process of a worker, once it is there."""
    deadline = time.monotonic() + 60
    task = json.dumps({"type": "worker", "index": index})
    while time.monotonic() < deadline:
        for process in psutil.Process(launcher.pid).children():
            try:
                if task in process.environ().get("TF_CONFIG", ""):
                    return process
            except psutil.Error:
                pass  # between fork and exec, or gone
        time.sleep(0.05)
    raise AssertionError(f"no worker {index}")


def _wait_for_step(run_dir, step):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        path = Run(run_dir).metrics
        if path.exists() and any(line["step"] >= step for line in Run(run_dir).read_metrics()):
            return
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


def _losses(run_dir):
    """{(step, name): loss}"""
    lines = Run(run_dir).read_metrics()
    return {(line["step"], name): line[name] for line in lines for name in ("d_loss", "g_loss")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(run directory, output) of two workers that nobody stopped."""
    run_dir = tmp_path_factory.mktemp("workers") / "run"
    status, output = _train(run_dir)
    assert status == 0, output
    return run_dir, output


def test_two_workers_train_as_one_process(undisturbed, tmp_path):
    run_dir, _ = undisturbed
    together, _ = Run(run_dir).read()
    alone = dataclasses.replace(together, distribution="mirrored", run_dir=str(tmp_path / "alone"))
    loop.train(alone)
    assert _losses(run_dir) == pytest.approx(_losses(alone.run_dir), rel=1e-3)
    variables, expected = read_variables(run_dir), read_variables(alone.run_dir)
    assert variables.keys() == expected.keys()
    for name, value in variables.items():
        if "/.ATTRIBUTES" in name and "optimizer" not in name:
            np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_one_worker_writes_and_speaks(undisturbed):
    run_dir, output = undisturbed
    assert "[0] training" in output and "2 replicas x 16 images a step" in output
    assert output.count("finished at step 40") == 1
    assert len(list(run_dir.glob("events*"))) == 1
    assert [line["step"] for line in Run(run_dir).read_metrics()] == list(range(4, 41, 4))
    assert checkpoints.available(Run(run_dir).checkpoints) == [24, 32, 40]


def test_a_signal_to_one_worker_saves_and_loses_nothing(undisturbed, tmp_path):
    """SIGTERM to worker 1, then on to the end; `make stress` kills workers as well."""
    run_dir = tmp_path / "run"
    launcher = _start(run_dir)
    _wait_for_step(run_dir, 4)
    _worker(launcher, 1).send_signal(signal.SIGTERM)
    output, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 0, output
    assert "[0] another worker's signal: saved step " in output
    saved = checkpoints.available(Run(run_dir).checkpoints)[-1]

    status, output = _train(run_dir)
    assert status == 0, output
    assert f"[0] resuming {run_dir} from step {saved}" in output
    assert_same_variables(read_variables(run_dir), read_variables(undisturbed[0]))
    losses, expected = _losses(run_dir), _losses(undisturbed[0])
    stops = {step for step, _ in losses.keys() - expected.keys()}  # no line is due there
    after_stops = {step - step % 4 + 4 for step in stops}  # whose means are over fewer steps
    for step, name in expected:
        if step not in after_stops:
            assert losses[step, name] == expected[step, name]


def test_workers_that_differ_are_told_both_values(tmp_path):
    """Each is started by hand, as on two hosts."""
    addresses = free_addresses(2)
    running = []
    for index, rate in enumerate(("0.001", "0.002")):
        line = [sys.executable, "-m", "lsgan_tf.train", "--distribution=multi_worker"]
        flags = {**SETTINGS, "run_dir": tmp_path / "run", "learning_rate": rate}
        running.append(
            subprocess.Popen(
                [*line, *(f"--{name}={value}" for name, value in flags.items())],
                cwd=PROJECT,
                env=environment(addresses, index),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for process in running:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 1, output
        assert "--learning_rate: 0.001 on worker 0, 0.002 on worker 1" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.stress
def test_batch_norm_of_each_worker_s_own(tmp_path):
    run_dir = tmp_path / "run"
    status, output = _train(run_dir, network="light", train_steps=2, sync_batch_norm=False)
    assert status == 0, output
    assert checkpoints.available(Run(run_dir).checkpoints) == [2]
