import shutil

import pytest

from tests.datasets import making
from tests.tools import lmdbs, verified_sets
from tests.tools.conversions import save


@pytest.fixture
def target(tmp_path):
    """Where a test converts to: the data set `set` of the data directory `data`."""
    return tmp_path / "data" / "set"


@pytest.fixture
def no_pool(monkeypatch):
    """What one process is to do for a conversion or a check is done by that of the test."""
    making.run_without_pool(monkeypatch)


@pytest.fixture
def flat(tmp_path):
    """Six colour pictures; a nested hidden file and a text file to be ignored."""
    for number in range(6):
        save(tmp_path / "flat" / f"{number}.png", number)
    save(tmp_path / "flat" / ".hidden" / "x.png")
    (tmp_path / "flat" / "README.txt").write_text("not a picture")
    return tmp_path / "flat"


@pytest.fixture
def classes(tmp_path):
    """A folder per class, the even and the odd numbers."""
    for number in range(8):
        save(tmp_path / "classes" / ("odd" if number % 2 else "even") / f"{number}.png", number, 1)
    return tmp_path / "classes"


@pytest.fixture
def lmdb_dir(tmp_path):
    """An LMDB of 20 pictures that are 8x8 already."""
    return lmdbs.of_pictures(tmp_path / "tiny_train_lmdb", 20)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A sound set of 24 images in two shards of 12: not to be changed."""
    return verified_sets.write(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def tiny(made, tmp_path):
    """A copy of `made` that a test may damage."""
    return shutil.copytree(made, tmp_path / "tiny")
