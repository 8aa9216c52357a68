"""The three commands as a user types them, one after the other, and how they are interrupted."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import export, sample
from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError
from tests.commands import command_line, run_command, run_main
from tests.feature_networks import keras_file


@pytest.fixture(scope="module")
def run_dir(data_dir, tmp_path_factory):
    directory = tmp_path_factory.mktemp("commands") / "run"
    done = run_command(
        *(
            "train",
            "--dataset=small",
            f"--data_dir={data_dir}",
            "--network=light",
            "--conditional",
            "--penalty=none",
        ),
        *(f"--run_dir={directory}", "--batch_size=4", "--train_steps=4", "--ema_decay=0.5"),
        *("--log_every=2", "--checkpoint_every=2"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "step 4/4" in done.stdout and "finished at step 4" in done.stdout
    return directory


@pytest.mark.slow
def test_sample_and_export(run_dir, tmp_path):
    run_main(sample, run_dir=str(run_dir), num=4)
    assert Image.open(run_dir / "sample-0000004-ema-seed0.png").size == (92, 98)  # names above
    strip = tmp_path / "strip.png"
    walk = run_command(
        "sample", f"--run_dir={run_dir}", "--num=2", "--interpolate", f"--output={strip}"
    )
    assert walk.returncode == 0, walk.stderr
    assert Image.open(strip).size == (302, 32)
    exported = run_command("export", f"--run_dir={run_dir}", "--version=3", "--checkpoint=2")
    assert exported.returncode == 0, exported.stderr
    assert (run_dir / "export" / "3" / "saved_model.pb").exists()
    assert "ema weights of step 2" in exported.stdout
    assert "differs by 0 of 255 grey levels" in exported.stdout
    assert (run_dir / "export" / "model_card.md").exists()


@pytest.mark.slow
def test_a_run_remembers_where_its_data_are(run_dir, data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.chdir(tmp_path)
    resumed = run_command("train", f"--run_dir={run_dir}", "--dry_run")
    assert resumed.returncode == 0, resumed.stderr
    assert f"--data_dir={data_dir}\n" in resumed.stdout


def test_a_timelapse_needs_neither_tensorflow_nor_a_checkpoint(tmp_path, monkeypatch):
    run = Run(tmp_path / "run")
    run.claim(Config(dataset="small", run_dir="run"), DataFacts((8, 8, 1), 50, None, "f00d"))
    run.write_sample(0, np.zeros((82, 82, 1), np.uint8))
    (tmp_path / "tensorflow.py").write_text("raise ImportError('hidden by the test')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run_command("sample", f"--run_dir={run.directory}", "--timelapse=gif")
    assert done.returncode == 0, done.stderr
    path = run.directory / "timelapse.gif"
    assert done.stdout == f"{path}: grids shown: 1, from step 0 to 0\n"
    assert Image.open(path).format == "GIF"


@pytest.mark.slow
def test_evaluate_and_compare(run_dir, data_dir, tmp_path, monkeypatch):
    network = keras_file(tmp_path / "net.keras", features=4, side=28)
    scored = run_command(
        *("evaluate", f"--run_dir={run_dir}", "--checkpoint=all", "--images=50"),
        *(f"--features={network}", "--logical_devices=2", "--batch_size=20"),
    )
    assert scored.returncode == 0, scored.stderr
    assert "step 2, ema" in scored.stdout and "FID-4 ↓" in scored.stdout
    assert {"scores.jsonl", "gallery.html", "neighbours-0000004.png"} <= {
        path.name for path in run_dir.iterdir()
    }
    alone = run_command("evaluate", "--compare")
    assert alone.returncode == 1 and "which runs?" in alone.stderr
    again = tmp_path / "again"
    shutil.copytree(run_dir, again)
    picture = tmp_path / "curves.png"
    monkeypatch.setenv("MPLBACKEND", "no_backend_at_all")
    compared = run_command("evaluate", "--compare", run_dir, again, f"--output={picture}")
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.count(" 2     ema") == compared.stdout.count(" 4     ema") == 2
    assert Image.open(picture).format == "PNG"


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("sample", "--[no]separate"),
        ("export", "--version"),
        ("evaluate", "--features"),
        ("train_classifier", "--epochs"),
    ],
)
def test_help_shows_the_flags(name, flag):
    done = run_command(name, "--help")
    out = done.stdout
    assert done.returncode == 0 and done.stderr == ""
    assert flag in out
    if name != "train_classifier":
        assert "--run_dir" in out and "--checkpoint" in out


def test_the_help_of_training_is_in_groups():
    done = run_command("train", "--flagfile=flags/cifar10.flags", "--help")
    assert done.returncode == 0 and done.stderr == ""
    places = [
        *("What to learn from:", "--dataset: ", "--data_dir: ", "The networks:", "--network: "),
        *("How to train:", "--learning_rate: ", "What to keep:", "--run_dir: ", "--[no]dry_run: "),
    ]
    assert [done.stdout.index(place) for place in places] == sorted(map(done.stdout.index, places))
    assert done.stdout.index("What to learn from:") < 100
    assert "(default 64; a positive integer)" in " ".join(done.stdout.split())
    assert "--pdb" not in done.stdout  # of absl
    full = run_command("train", "--helpfull")
    assert full.returncode == 0
    assert "--[no]pdb" in full.stdout and "--dataset" in full.stdout


def test_mistakes_are_told_in_a_sentence(tmp_path):
    done = run_command("evaluate", f"--run_dir={tmp_path}")
    assert done.returncode == 1
    assert "is not a run directory" in done.stderr
    for command in (sample, export):
        with pytest.raises(UserError, match="is not a run directory"):
            run_main(command, run_dir=str(tmp_path))


def test_an_early_interrupt_leaves_no_traceback():
    process = subprocess.Popen(
        command_line("train", "--dataset=nothing"), stderr=subprocess.PIPE, text=True
    )
    while "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.05)  # Python itself is still starting
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in stderr, stderr
