"""Printing ends no command; TensorFlow starts quietly, and says what matters."""

import contextlib
import os
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

def main():
    for _ in range(3):
        print("啊", flush=True)
        print("中", file=sys.stderr, flush=True)
    open("reached_the_end", "w").close()
    raise UserError("a\\x1b[31m\\udce9\\nsecond line: 啊\\t.")

command_line.run(main)
"""


@contextlib.contextmanager
def _pipe_whose_reader_left():
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def _shell(command, **options):
    """Runs a command in which {left} is a pipe whose reader has left."""
    with _pipe_whose_reader_left() as left:
        command = command.replace("{left}", str(left))
        return subprocess.run(
            ["bash", "-c", command], capture_output=True, timeout=60, pass_fds=[left], **options
        )


def _run(redirection, folder, encoding="utf-8"):
    """Runs the program in a folder; returns what the shell's stdout and stderr get."""
    environment = {"PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)}
    command = f"exec {sys.executable} -c '{_PROGRAM}' {redirection}"
    done = _shell(command, cwd=folder, env=environment)
    assert done.returncode == 1, done.stderr
    assert (folder / "reached_the_end").exists()
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr, done.stderr
    return done.stdout.decode(encoding), done.stderr.decode(encoding)


_ERROR = "error: a\\x1b[31m\\udce9\nsecond line: 啊\\t.\n"


def test_unprintable_characters_of_errors_are_escaped(tmp_path):
    assert _run("", tmp_path) == ("啊\n" * 3, "中\n" * 3 + _ERROR)


def test_characters_that_the_terminal_lacks_are_escaped(tmp_path):
    out, err = _run("", tmp_path, "ascii")
    assert out == "\\u554a\n" * 3
    assert err == "\\u4e2d\n" * 3 + _ERROR.replace("啊", "\\u554a")


@pytest.mark.parametrize("redirection", [">&{left}", ">&-"])
def test_nobody_reads_stdout(redirection, tmp_path):
    assert _run(redirection, tmp_path)[1] == "中\n" * 3 + _ERROR


@pytest.mark.parametrize("redirection", ["2>&{left}", "2>&-"])
def test_nobody_reads_stderr(redirection, tmp_path):
    assert _run(redirection, tmp_path)[0] == "啊\n" * 3


@pytest.mark.parametrize("redirection", [">&{left} 2>&1", ">&- 2>&-", "<&- >&- 2>&-"])
def test_nobody_reads_anything(redirection, tmp_path):
    assert _run(redirection, tmp_path) == ("", "")


def test_the_help_may_be_cut_short():
    done = _shell(f"exec {sys.executable} -m tools.convert_images --help >&{{left}}")
    assert (done.returncode, done.stderr) == (0, b"")


_STARTS = """
import pathlib
import sys
from lsgan_tf.utils import command_line
command_line._NVIDIA_DRIVERS = (pathlib.Path({driver!r}),)
command_line.start_tensorflow()
print("started", file=sys.stderr)
"""
# A stand-in that prints to the descriptor, as C++ does: the real one cannot be made to fail.
_TENSORFLOW = """
import logging
import os
from types import SimpleNamespace
os.write(2, b"a notice\\n")
{end}
get_logger = logging.getLogger
__version__ = "2.21.0"
config = SimpleNamespace(list_physical_devices=lambda kind: [])
"""


def _start(folder, end="", driver="/nowhere", **environment):
    """What stderr gets when TensorFlow is started; `end` is code at the end of its import."""
    (folder / "tensorflow.py").write_text(_TENSORFLOW.format(end=end))
    environment["PYTHONPATH"] = ":".join([str(folder), *sys.path])
    code = _STARTS.format(driver=driver)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    ).stderr


def test_the_notices_of_a_start_are_shown_only_if_asked_for(tmp_path):
    assert _start(tmp_path) == "started\n"
    assert _start(tmp_path, TF_CPP_MIN_LOG_LEVEL="0") == "a notice\nstarted\n"


def test_a_start_that_fails_shows_everything(tmp_path):
    shown = _start(tmp_path, end="raise ImportError('no library')")
    assert shown.startswith("a notice\nTraceback") and "ImportError: no library" in shown


def test_a_gpu_that_cannot_be_used_is_reported(tmp_path):
    driver = tmp_path / "version"
    driver.touch()
    warning, started = _start(tmp_path, driver=str(driver)).splitlines()
    assert "an NVIDIA GPU, but TensorFlow was installed without CUDA" in warning
    assert warning.endswith(f"{sys.executable} -m pip install 'tensorflow[and-cuda]==2.21.0'")
    assert started == "started"
    assert _start(tmp_path, driver=str(driver), CUDA_VISIBLE_DEVICES="-1") == "started\n"
    (tmp_path / "nvidia").mkdir()  # as the wheels of CUDA
    warning, _ = _start(tmp_path, driver=str(driver)).splitlines()
    assert "though CUDA is installed" in warning and "TF_CPP_MIN_LOG_LEVEL=0" in warning


def test_tensorflow_itself_starts_without_a_word():
    code = "from lsgan_tf.utils import command_line; command_line.start_tensorflow()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
