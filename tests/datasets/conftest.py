import shutil

import pytest

from lsgan_tf.datasets import writer
from tests.datasets import making


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A labelled grey set of 50 in two shards, alone in its data directory: not to be changed."""
    directory = tmp_path_factory.mktemp("data") / "tiny"
    writer.write(directory, making.plan(50), processes=2)
    return directory


@pytest.fixture
def tiny(made, tmp_path):
    """A copy of `made` that a test may damage."""
    return shutil.copytree(made, tmp_path / "tiny")


@pytest.fixture
def no_pool(monkeypatch):
    """What one process is to do for a conversion is done by that of the test."""
    making.run_without_pool(monkeypatch)
