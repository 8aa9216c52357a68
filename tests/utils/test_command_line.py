"""What is printed ends no command, whoever reads it and whatever it is."""

import contextlib
import os
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from lsgan_tf import command
from lsgan_tf.utils.errors import UserError

def main():
    for _ in range(3):
        print("啊", flush=True)
        print("中", file=sys.stderr, flush=True)
    open("reached_the_end", "w").close()
    raise UserError("a\\x1b[31m\\udce9\\nsecond line: 啊\\t.")

command.run(main)
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
    assert (done.returncode, done.stderr) == (1, b"")  # absl's status for --help
