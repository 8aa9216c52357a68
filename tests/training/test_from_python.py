"""`lsgan_tf.train_run(Config(...))`: a run from Python, and the commands called from there."""

import importlib
import subprocess
import sys
import threading

import keras
import pytest

import lsgan_tf
from lsgan_tf.utils.errors import UserError
from tests.run_contents import read_variables


def test_a_run_from_a_thread_is_the_run_of_the_command(tiny_config, trained_once, tmp_path):
    reference = trained_once()
    result = []

    def work():
        result.append(lsgan_tf.train_run(tiny_config(dtype_policy="float32")))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert result == [tmp_path / "run"]
    ours, theirs = read_variables(result[0]), read_variables(reference.run_dir)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_a_run_has_a_directory_and_leaves_the_process_as_it_was(tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny_config(run_dir="", dtype_policy="mixed_bfloat16", train_steps=1)
    assert str(lsgan_tf.train_run(config)) == "runs/tiny"
    assert (tmp_path / "runs" / "tiny" / "config.json").exists()
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(UserError, match="--label_a"):
        lsgan_tf.Config(label_a=1.0, label_b=1.0)


@pytest.mark.parametrize("name", ["train", "sample", "evaluate", "export", "train_classifier"])
def test_a_commands_main_names_what_there_is_for_python(name):
    code = f"""
import lsgan_tf.{name}
from lsgan_tf.utils.errors import UserError
try:
    lsgan_tf.{name}.main()
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "lsgan_tf.train_run(lsgan_tf.Config(...)), and take" in done.stdout, done.stderr


def test_the_names_in_that_sentence_exist():
    for name in ("train_run", "Config", "load"):
        assert getattr(lsgan_tf, name).__module__ in sys.modules
    assert importlib.import_module("lsgan_tf.train").main
