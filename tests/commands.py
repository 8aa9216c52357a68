"""The commands, in a process of their own or in this one."""

import os
import subprocess
import sys

import pytest
from absl import flags

from lsgan_tf.inference import load


def command_line(name, *arguments):
    return [sys.executable, "-m", f"lsgan_tf.{name}", *arguments]


def run_command(name, *arguments):
    """Runs a command to its end, which must show no traceback."""
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL")  # that of the tests, which hides what users see
    done = subprocess.run(
        command_line(name, *arguments), env=environment, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_main(module, **arguments):
    """Runs `sample` or `export` in this process with these values of its flags."""
    if "run_dir" not in flags.FLAGS:
        load.define_flags()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in arguments.items():
            patch.setattr(flags.FLAGS[name], "value", value)
        module.main()
