"""The commands that a row consists of, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

_POLL_SECONDS = 0.2
_SHOWN = 2000  # bytes at the end of a log in which its error is looked for


class Stopped(UserError):
    """A signal asked to stop; what was done is kept."""

    def __init__(self):
        super().__init__("stopped; nothing is lost: the same command goes on from here.")


def run(module: str, arguments: list[str], log: Path, stop: StopRequest) -> None:
    """Runs `python -m lsgan_tf.MODULE` to its end; what it prints is added to `log`.

    Raises:
        Stopped: a signal came. The process has got it too, and has ended.
        UserError: it failed; repeats its message.
    """
    if stop.received:
        raise Stopped
    files.make_parent(log)
    command = [sys.executable, "-m", f"lsgan_tf.{module}", *arguments]
    try:
        with open(log, "ab") as output:
            before = output.tell()
            process = subprocess.Popen(command, stdout=output, stderr=output)
            status = _wait(process, stop)
    except OSError as error:
        raise files.write_error(error, log) from error
    if stop.received:
        raise Stopped
    if status:
        message = _last_error(log, before) or f"it ended with status {status}."
        raise UserError(f"lsgan_tf.{module} failed: {message} The whole log is {log}.")


def _wait(process, stop):
    told = False
    while True:
        try:
            return process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.received and not told:
                process.terminate()  # Ctrl-C has reached it too, other signals have not
                told = True


def _last_error(log, before):
    """The last message of an error in a log behind what was there before, or its last line."""
    with open(log, "rb") as file:
        file.seek(max(before, log.stat().st_size - _SHOWN))
        text = file.read().decode(errors="replace").strip()
    _, found, message = text.rpartition("error: ")
    return message if found else text.rpartition("\n")[2]
