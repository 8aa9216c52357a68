"""The package as it is installed: the command `lsgan`, and a wheel's layout in another folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import lsgan_tf
from lsgan_tf.__main__ import COMMANDS

CHECKOUT = Path(lsgan_tf.__file__).resolve().parent.parent


def _lsgan(*arguments, **options):
    command = [sys.executable, "-m", "lsgan_tf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Runs `lsgan` in an empty folder, of a package that is laid out as in a wheel."""
    site, empty = (tmp_path_factory.mktemp(name) for name in ("site", "empty"))
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    inside = build["targets"]["wheel"]["force-include"]
    for source, target in {"lsgan_tf": "lsgan_tf", **inside}.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / source, site / target, ignore=ignored)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return lambda *arguments: _lsgan(*arguments, cwd=empty, env=environment)


def test_help_names_each_command_without_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('hidden by the test')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(CHECKOUT)))}
    for arguments in ((), ("--help",), ("help",)):
        done = _lsgan(*arguments, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        named = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
        assert [name for name in named if name != "lsgan"] == list(COMMANDS)
    assert _lsgan("--version").stdout == f"lsgan-tf {lsgan_tf.__version__}\n"


def test_an_unknown_command_is_told_in_a_sentence():
    done = _lsgan("trian")
    assert done.returncode == 1
    assert done.stderr.startswith("error: lsgan has no command 'trian'. It has: ")
    assert not done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_a_module(name):
    module, _ = COMMANDS[name]
    assert importlib.util.find_spec(module)


def test_a_command_shows_the_help_and_the_mistakes_of_its_module():
    module = subprocess.run(
        [sys.executable, "-m", "lsgan_tf.sample", "--help"], capture_output=True, text=True
    )
    assert "--[no]separate" in module.stdout
    assert _lsgan("sample", "--help").stdout == module.stdout
    mistaken = _lsgan("sample", "--colums=3")
    assert mistaken.returncode == 1
    assert "Unknown command line flag 'colums'" in mistaken.stderr


def test_in_a_wheel_the_recipes_are_found(wheel):
    listed = wheel("train", "--list_recipes")
    assert listed.returncode == 0, listed.stderr
    assert "printed_digits" in listed.stdout
    assert listed.stdout == _lsgan("train", "--list_recipes").stdout


def test_in_a_wheel_the_tools_are_found(wheel, tmp_path):
    source, data = tmp_path / "noise.npz", tmp_path / "noise"
    np.savez(source, images=np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    converted = wheel(
        *("convert-images", f"--source={source}", f"--output_dir={data}"),
        *("--image_size=8", "--processes=2"),
    )
    assert converted.returncode == 0, converted.stderr
    verified = wheel("verify", f"--dataset_dir={data}", "--processes=1")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.slow
def test_in_a_wheel_advice_names_the_tools_where_they_are(wheel):
    helped = wheel("convert-lsun", "--help").stdout
    assert "python -m lsgan_tf.tools.convert_lsun --lmdb_dir=" in helped
    advised = wheel("train", "--dataset=lsun_church", "--dry_run")
    assert "\n  python -m lsgan_tf.tools.convert_lsun --lmdb_dir=" in advised.stdout
