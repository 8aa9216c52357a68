"""The fuzz tests catch bugs that are planted in the converters, and nothing without a bug."""

import dataclasses
from collections import Counter

import hypothesis
import pytest
from PIL import Image

from lsgan_tf.datasets import pictures
from tests.stress import lmdb_oracle, test_hostile_gnt, test_hostile_lmdb
from tools import convert_lsun
from tools.sources import gnt, gnt_survey, lmdb_source

pytestmark = [
    pytest.mark.stress,
    pytest.mark.usefixtures("in_this_process"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # what Pillow says of damaged pictures
]

FIRST_FAILURE = {
    "phases": [hypothesis.Phase.generate],
    "database": None,
    "report_multiple_bugs": False,
}


def believes_every_size(monkeypatch):
    """A record ends where its header says: one that is cut short takes the next one with it."""
    sound = gnt._follows
    monkeypatch.setattr(gnt, "_follows", lambda window, offset: sound(window, offset) or True)


def takes_any_tag(monkeypatch):
    """Two bytes that stand for no character are taken for one."""
    monkeypatch.setattr(gnt, "decode_character", lambda tag: tag.decode("gbk", "replace")[:1])


def shifts_pixels(monkeypatch):
    """A bitmap begins one pixel late."""
    sound = gnt._character

    def shifted(*arguments):
        item = sound(*arguments)
        if isinstance(item, gnt.Damage) or item.bitmap is None:
            return item
        return dataclasses.replace(item, bitmap=item.bitmap[1:] + item.bitmap[:1])

    monkeypatch.setattr(gnt, "_character", shifted)


def forgets_damages(monkeypatch):
    """Damages are not counted among the items of a file: as many are missing at its end."""
    monkeypatch.setattr(gnt_survey.FileSurvey, "add_damage", lambda survey: None)


def reports_the_end(monkeypatch):
    """A damage is reported at its end."""

    def describe_place(file, item):
        return f"{file.name}, offset {item.offset + item.size}"

    monkeypatch.setattr(gnt_survey, "describe_place", describe_place)


@pytest.mark.parametrize(
    "plant",
    [believes_every_size, takes_any_tag, shifts_pixels, forgets_damages, reports_the_end],
)
def test_bugs_in_the_reader_of_gnt(plant, tmp_path, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(AssertionError, match="picture .* is missing|reports in Loss"):
        fuzz_files(tmp_path, 20)


def test_the_reader_of_gnt_itself(tmp_path):
    tally = fuzz_files(tmp_path, 3)
    assert tally["files"] >= 300 and tally["characters kept"] and tally["places reported"]


def fuzz_files(folder, count):
    tally = Counter()
    convert = test_hostile_gnt.convert_here
    test_hostile_gnt.fuzz(convert, folder, tally, count, **FIRST_FAILURE)
    return tally


def keeps_what_does_not_decode(monkeypatch):
    """What cannot be decoded becomes a black picture."""
    sound = pictures.decode

    def decode(data, reading):
        try:
            return sound(data, reading)
        except pictures.BadImage:
            return Image.new("RGB", (8, 8))

    monkeypatch.setattr(pictures, "decode", decode)


def numbers_from_one(monkeypatch):
    """The entries of an LMDB are counted from 1."""
    sound = lmdb_source._value
    monkeypatch.setattr(
        lmdb_source, "_value", lambda key, value, number: sound(key, value, number + 1)
    )


@pytest.mark.parametrize(
    "plant, told",
    [
        (keeps_what_does_not_decode, "it came out, but is no picture"),
        (numbers_from_one, "there is no .*, entry"),
    ],
)
def test_bugs_in_the_reader_of_lmdbs(plant, told, tmp_path, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=told):
        fuzz_values(tmp_path, 20)


def test_the_reader_of_lmdbs_itself(tmp_path):
    tally = fuzz_values(tmp_path, 2)
    assert tally["values"] >= 200 and tally["pictures kept"] and tally["values reported"]


def fuzz_values(folder, count):
    def convert(source, target):
        options = convert_lsun.Options(lmdb_oracle.SIDE, max_bad=test_hostile_lmdb.MAX_BAD)
        convert_lsun.convert(source, target, options)

    tally = Counter()
    test_hostile_lmdb.fuzz(convert, folder, tally, count, **FIRST_FAILURE)
    return tally
