"""`convert_hwdb` keeps what is sound in damaged and hostile GNT files, and reports the rest."""

import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from lsgan_tf.utils.errors import UserError
from tests.stress import converted_set, gnt_oracle, gnt_strategies
from tools import convert_hwdb

pytestmark = pytest.mark.stress

FILES = 20_000
FILES_AT_ONCE = 100
MAX_BAD = 1 << 30
_WHERE = re.compile(r"(\d+)\.gnt, offset (\d+)")

# A conversion of some short files, and of one that is long enough to be cut into shards.
batches = st.builds(
    lambda short, long: [*short, long],
    st.lists(gnt_strategies.files(6, 12), min_size=FILES_AT_ONCE - 1, max_size=FILES_AT_ONCE - 1),
    gnt_strategies.files(260, 600),
)


def convert_here(source: Path, target: Path) -> None:
    """Converts without a process of its own; for `in_this_process`."""
    options = convert_hwdb.Options(image_size=gnt_oracle.SIDE, max_bad=MAX_BAD)
    convert_hwdb.convert([source], target, options)


def fuzz(convert, folder: Path, tally: Counter, count: int, **settings) -> None:
    """Converts so many batches of files and checks each; the folder keeps the one that fails."""

    @hypothesis.settings(max_examples=count, **settings)
    @hypothesis.given(batches)
    def check_batch(batch):
        source, target = new_folder(folder / "source"), folder / "set"
        shutil.rmtree(target, ignore_errors=True)
        for number, file in enumerate(batch):
            (source / f"{number:02}.gnt").write_bytes(file.data)
        convert(source, target)
        check(batch, target, tally)

    check_batch()


def check(batch: list[gnt_strategies.HostileFile], target: Path, tally: Counter) -> None:
    """Compares a data set with what must have become of the files."""
    contents = converted_set.manifest(target)
    names, writers = contents["class_names"], contents["extra_features"]["writer"]
    pictures, offsets = defaultdict(list), defaultdict(list)
    for item in converted_set.items(target, contents):
        writer = int(writers[item.values["writer"]])
        pictures[writer].append((names[item.values["label"]], item.pixels))
    for skip in contents["skipped"]:
        writer, offset = map(int, _WHERE.fullmatch(skip["where"]).groups())
        offsets[writer].append(offset)
    for number, file in enumerate(batch):
        difference = file.expected.difference(pictures[number], offsets[number])
        assert difference is None, f"file {number} ({file.damage}): {difference}"
        tally["files"] += 1
        tally["characters kept"] += len(pictures[number])
        tally["places reported"] += len(offsets[number])
    assert len(contents["skipped"]) == contents["skipped_count"]
    left_out = sum(contents["left_out"].values())
    least, most = (sum(file.expected.symbols[end] for file in batch) for end in (0, 1))
    assert least <= left_out <= most, f"{left_out} symbols are left out, not {least} to {most}"


def new_folder(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def test_hostile_files(in_this_process, tmp_path, tally):
    fuzz(convert_here, tmp_path, tally, FILES // FILES_AT_ONCE)


def test_hostile_files_by_command(run_converter, tmp_path, tally):
    def convert(source, target):
        flags = [f"--image_size={gnt_oracle.SIDE}", f"--max_bad={MAX_BAD}"]
        outcome = run_converter("convert_hwdb", target, f"--source={source}", *flags)
        assert outcome.status == 0, outcome.output

    fuzz(convert, tmp_path, tally, 10)


def test_a_file_of_which_nothing_can_be_read(in_this_process, tmp_path, tally):
    @hypothesis.settings(max_examples=200)
    @hypothesis.given(gnt_strategies.unreadable(), st.booleans())
    def check_refused(data, beside_a_sound_file):
        source = new_folder(tmp_path / "source")
        (source / "bad.gnt").write_bytes(data)
        if beside_a_sound_file:
            (source / "sound.gnt").write_bytes(gnt_strategies.RECORDS[0])
        told = f"{source / 'bad.gnt'} is not a GNT file: no record in it can be read"
        with pytest.raises(UserError, match=re.escape(told)):
            convert_here(source, tmp_path / "set")
        assert not (tmp_path / "set" / "manifest.json").exists()
        tally["files refused by name"] += 1

    check_refused()
