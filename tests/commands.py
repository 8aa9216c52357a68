"""The commands, in a process of their own or in this one."""

import sys

import pytest
from absl import flags

from lsgan_tf.inference import load
from tests import forking


def command_line(name, *arguments):
    return [sys.executable, "-m", f"lsgan_tf.{name}", *arguments]


def run_command(name, *arguments):
    """Runs a command to its end, which must show no traceback."""
    done = forking.run(f"lsgan_tf.{name}", *arguments)
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
