"""What a result depends on besides its flags: the code, the processor and the versions."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from lsgan_tf.utils.processor import processor_name

_ROOT = Path(__file__).resolve().parent.parent.parent
# What decides a result: to commit results, or rows, changes nothing.
_CODE = ("lsgan_tf", "flags", "requirements.txt", ":(exclude)lsgan_tf/experiments/rows")
_PACKAGES = ("tensorflow", "keras", "numpy")
_FIND_GPUS = (
    "import tensorflow as tf; gpus = tf.config.list_physical_devices('GPU'); "
    "name = tf.config.experimental.get_device_details; "
    "print(*(name(gpu)['device_name'] for gpu in gpus), sep='\\n')"
)
DIRTY, UNKNOWN = "-dirty", "unknown"


def commit() -> str:
    """The last commit of the code, with "-dirty" if the code differs; "unknown" without git."""
    last = _output("git", "log", "-1", "--format=%h", "--abbrev=12", "--", *_CODE)
    if not last:
        return UNKNOWN
    return last + (DIRTY if _output("git", "status", "--porcelain", "--", *_CODE) else "")


@functools.cache
def processor() -> str:
    """The GPUs that TensorFlow finds, or else the processor and how many of its cores are ours."""
    found = _output(sys.executable, "-c", _FIND_GPUS).splitlines()
    if found:
        return f"{len(found)} x {found[0]}"
    cores = len(os.sched_getaffinity(0))  # TensorFlow has as many threads, which round in an order
    return f"{processor_name()}, {cores} core{'s' if cores > 1 else ''}"


def versions() -> str:
    """Python and the packages that compute."""
    packages = (f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return ", ".join([f"python {platform.python_version()}", *packages])


def _output(*command):
    """What a command prints; "" if it fails."""
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
