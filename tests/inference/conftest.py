"""Runs to draw from, and the command that draws."""

import sys

import pytest

from lsgan_tf import sample
from tests.commands import run_main


@pytest.fixture
def trained(trained_once):
    """The directory of a run without labels."""
    return trained_once(ema_decay=0.5).run_dir


@pytest.fixture
def conditional(trained_once):
    """The directory of a run of three classes."""
    return trained_once(conditional=True).run_dir


@pytest.fixture
def run_sample(capsys):
    """Runs the command in this process; returns the path that it prints. What it says on stderr
    stays to be read."""

    def run(**arguments):
        capsys.readouterr()
        run_main(sample, **arguments)
        printed = capsys.readouterr()
        sys.stderr.write(printed.err)
        return printed.out.split(":")[0]

    return run
