"""`convert_lsun` on LMDBs with damaged and hostile values, and on LMDBs whose tree is damaged."""

import shutil
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.stress import converted_set, lmdb_oracle, lmdb_pages, lmdb_strategies
from tests.tools import lmdbs

pytestmark = pytest.mark.stress

VALUES = 5_000
VALUES_AT_ONCE = 100  # and SOUND among them
SOUND = 20
DAMAGED_TREES = 100
PICTURES_OF_TREE = 150
MAX_BAD = 1 << 30

batches = st.lists(lmdb_strategies.values, min_size=VALUES_AT_ONCE, max_size=VALUES_AT_ONCE)


def fuzz(convert, folder: Path, tally: Counter, count: int, **settings) -> None:
    """Converts so many batches of values and checks each; the folder keeps the one that fails."""

    @hypothesis.settings(max_examples=count, **settings)
    @hypothesis.given(batches)
    def check_batch(batch):
        convert_and_check(convert, batch, folder, tally)

    check_batch()


def convert_and_check(
    convert, batch: list[lmdb_strategies.Value], folder: Path, tally: Counter
) -> None:
    """Converts an LMDB of these values and some sound ones, and checks the data set."""
    source, target = folder / "source", folder / "set"
    for path in (source, target):
        shutil.rmtree(path, ignore_errors=True)
    values = [*batch, *map(lmdb_strategies.sound, range(SOUND))]
    made = {lmdbs.key(number): value for number, value in enumerate(values)}
    lmdbs.write(source, {key: value.data for key, value in made.items()})
    convert(source, target)
    kept = lmdb_oracle.check(made, source, target)
    tally["values"] += len(batch)
    tally["pictures kept"] += kept
    tally["values reported"] += len(values) - kept


@pytest.fixture
def convert(run_converter):
    """Converts by the command, for a decoder may crash the process."""

    def run(source, target):
        flags = [f"--image_size={lmdb_oracle.SIDE}", f"--max_bad={MAX_BAD}"]
        outcome = run_converter("convert_lsun", target, f"--lmdb_dir={source}", *flags)
        assert outcome.status == 0, outcome.output

    return run


def test_hostile_values(convert, tmp_path, tally):
    fuzz(convert, tmp_path, tally, VALUES // VALUES_AT_ONCE)


def test_values_that_cost_memory_and_time(convert, tmp_path, tally):
    convert_and_check(convert, lmdb_strategies.costly(), tmp_path, tally)


def test_damaged_trees(run_converter, tmp_path, tally):
    photographs = [lmdb_strategies.sound(number).data for number in range(PICTURES_OF_TREE)]
    values = {lmdbs.key(number): value for number, value in enumerate(photographs)}
    sound = (lmdbs.write(tmp_path / "sound", values) / "data.mdb").read_bytes()
    source, target = tmp_path / "source", tmp_path / "set"
    source.mkdir()

    @hypothesis.settings(max_examples=DAMAGED_TREES)
    @hypothesis.given(lmdb_pages.damaged(sound))
    def check_converted_or_refused(damaged):
        shutil.rmtree(target, ignore_errors=True)
        (source / "data.mdb").write_bytes(damaged.data)
        flags = [f"--lmdb_dir={source}", f"--max_bad={MAX_BAD}", "--image_size=8"]
        outcome = run_converter("convert_lsun", target, *flags)
        if outcome.status == 0:
            contents = converted_set.manifest(target)
            kept = sum(1 for _ in converted_set.items(target, contents))
            assert kept + contents["skipped_count"] == PICTURES_OF_TREE
            tally["LMDBs converted"] += 1
        else:
            lines = outcome.output.replace("\r", "\n").splitlines()
            assert sum(line.startswith("error: ") for line in lines) == 1, outcome.output
            assert not (target / "manifest.json").exists()
            tally["LMDBs refused"] += 1

    check_converted_or_refused()
