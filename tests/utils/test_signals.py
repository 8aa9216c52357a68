"""Signals that ask a run to stop are noted; a terminal may close while it prints."""

import os
import pty
import signal
import sys

import pytest

from lsgan_tf.utils.signals import StopRequest

_PROGRAM = """
import sys
import time
from lsgan_tf.utils import command_line
from lsgan_tf.utils.signals import StopRequest

def main():
    with StopRequest() as stop:
        print("started", flush=True)
        while not stop.received:
            time.sleep(0.01)
        for stream in (sys.stdout, sys.stderr):
            print("stopping", file=stream, flush=True)
    with open("saved", "w") as file:
        file.write(stop.received.name)

command_line.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_and_its_handler_comes_back(number, hangups):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.received is None
        signal.raise_signal(number)
        assert stop.received == number
    assert signal.getsignal(number) == before


def test_a_second_interrupt_is_obeyed():
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_second_interrupt_waits_while_something_is_saved_and_a_third_does_not():
    done = []
    with StopRequest() as stop, pytest.raises(KeyboardInterrupt):
        with stop.holding():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("saved")
        done.append("sampled")
    assert done == ["saved"]
    with StopRequest() as stop, pytest.raises(KeyboardInterrupt), stop.holding():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        done.append("interrupted")
    assert done == ["saved", "interrupted"]


def test_hangups_that_nohup_ignores_stay_ignored(hangups):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
    assert stop.received is None
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_terminal_that_closes_asks_to_stop_and_printing_goes_on(tmp_path):
    process, terminal = pty.fork()
    if not process:  # the child, whose terminal this is
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.chdir(tmp_path)
        environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
        os.execve(sys.executable, [sys.executable, "-c", _PROGRAM], environment)
    printed = b""
    while b"started" not in printed:
        printed += os.read(terminal, 1000)  # OSError if it ends before
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "saved").read_text() == "SIGHUP"
