"""A run that is killed and resumed ends bit-equal to one that never was (the small version)."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("signal", "kills"), [("KILL", 5), ("TERM", 2)])
def test_stopped_runs_end_bit_equal(data_dir, tmp_path, signal, kills):
    command = [
        *(
            sys.executable,
            "-m",
            "tools.kill_test",
            f"--work_dir={tmp_path}/runs",
            f"--kills={kills}",
        ),
        *(f"--signal={signal}", "--", "--dataset=small", f"--data_dir={data_dir}"),
        *("--network=light", "--batch_size=4", "--train_steps=100", "--checkpoint_every=20"),
        *("--log_every=5", "--sample_every=50", "--ema_decay=0.9"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SIG{signal} after step" in done.stdout
    assert "step 100: " in done.stdout


def test_a_used_work_dir_is_refused(tmp_path):
    (tmp_path / "something").touch()
    command = [sys.executable, "-m", "tools.kill_test", f"--work_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr and "Traceback" not in done.stderr
