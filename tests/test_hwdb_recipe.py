"""The character experiment as a user types it, on a small labelled set of its shape."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def hwdb(data_dir, tmp_path):
    """A --data_dir whose `hwdb` has 96 images of 28x28 in three classes."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hwdb").symlink_to(data_dir / "small")
    return tmp_path / "data"


def _train(directory, *arguments):
    command = [sys.executable, "-m", "lsgan_tf.train", "--dataset=hwdb", f"--data_dir={directory}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def test_dry_run_shows_the_conditional_pair(hwdb, tmp_path):
    done = _train(hwdb, "--dry_run", f"--run_dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    for line in ("--network=character", "--conditional=true", "--label_c=1.0", "--batch_size=64"):
        assert f"{line}\n" in done.stdout
    assert "--train_steps=1000000\n" in done.stdout
    assert "8,461,185" in done.stdout and "20,435,483" in done.stdout  # with three classes
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_recipe_trains(hwdb, tmp_path):
    run = tmp_path / "run"
    done = _train(hwdb, "--train_steps=2", "--batch_size=8", "--log_every=1", f"--run_dir={run}")
    assert done.returncode == 0, done.stderr
    assert "step 2/2" in done.stdout and "finished at step 2" in done.stdout
    reals = np.asarray(Image.open(run / "reals.png"))
    assert (reals.min(), reals.max()) == (0, 255)
    # Three columns, one a class, and eight rows of the same latents before and after.
    sample = np.asarray(Image.open(run / "samples" / "0000002.png"))
    assert sample.shape == (8 * 30 + 2, 3 * 30 + 2)


def test_without_labels_the_recipe_says_so(hwdb, tmp_path):
    done = _train(hwdb, "--noconditional", "--dry_run", f"--run_dir={tmp_path}/run")
    assert done.returncode == 1
    assert "--network=character needs labels: add --conditional" in done.stderr
    assert "Traceback" not in done.stderr
