"""The oracles of the fuzz tests, and the watch over a converter's processes, see what is wrong."""

import sys

import hypothesis
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.stress import (
    conftest,
    gnt_oracle,
    gnt_strategies,
    lmdb_oracle,
    lmdb_pages,
    lmdb_strategies,
)
from tests.stress.gnt_oracle import Loss
from tests.tools import lmdbs
from tools import convert_lsun

pytestmark = pytest.mark.stress
TEXT = "啊阿埃挨哎唉"


def record(text, width=3, height=2, *, ink=b"\x80", size=None, tag=None):
    """The bytes of a record; `size` and `tag` are what its header says instead of what is right."""
    tag = tag or text.encode("gbk").ljust(2, b"\0")
    return gnt_strategies.record(tag, width, height, ink * (width * height), size)


def sound(count=6):
    return [record(text) for text in TEXT[:count]]


def test_what_must_become_of_a_gnt_file():
    whole = gnt_oracle.expect(sound())
    assert "".join(picture.text for picture in whole.pictures) == TEXT
    assert (whole.losses, whole.symbols) == ((), (0, 0))
    first, second, *others = sound()

    def losses(stretch):
        expected = gnt_oracle.expect([first, stretch, *others])
        certain = [picture.text for picture in expected.pictures if picture.certain]
        assert certain == [TEXT[0], *TEXT[2:6]]
        return expected.losses

    assert losses(record("阿", size=0)) == (Loss(16, 32, 1),)
    assert losses(record("阿", tag=b"\xff\xff")) == (Loss(16, 17, 1),)
    assert losses(second[:-1]) == (Loss(16, 31, 1),)
    assert losses(second[:12] + b"\0\0\0" + second[12:]) == (Loss(16, 35, 1),)
    symbol = gnt_oracle.expect([first, record("，"), *others])
    assert (len(symbol.pictures), symbol.losses, symbol.symbols) == (5, (), (1, 1))


def test_what_is_not_determined_in_a_gnt_file():
    # Neither number of the first is right, and what follows is no chain of three: it may be lost.
    bad = b"\x01" + record("啊")[1:6] + b"\x09" + record("啊")[7:]
    expected = gnt_oracle.expect([bad, *sound(2), bad, *sound(3)])
    assert [picture.certain for picture in expected.pictures] == [False] * 2 + [True] * 3
    assert expected.losses == (Loss(0, 64, 4),)
    # Sixteen bytes are missing, and the next record has sixteen: it ends where one begins.
    assert gnt_oracle.expect([record("啊", 8, 4)[:-16], *sound(4)]) is None
    # What was added repeats the first byte of the record it was added to, which thus is whole.
    one = record("啊")
    expected = gnt_oracle.expect([one[:1] + b"junk" + one[:1] + one[1:], *sound(3)])
    assert [picture.text for picture in expected.pictures] == ["啊", *TEXT[:3]]
    assert expected.losses == (Loss(0, 5, 1),)


def test_the_oracle_of_gnt_files_sees_what_is_wrong():
    expected = gnt_oracle.expect([*sound(2), record("挨", size=0), record("埃", ink=b"\x10")])
    grey, dark = b"\x80" * 784, b"\x10" * 784
    right = [("啊", grey), ("阿", grey), ("埃", dark)]
    assert expected.difference(right, [32]) is None
    for wrong, offsets, told in (
        (right[:2], [32], "picture 2 of 3 is missing"),
        ([right[0], *right[2:]], [32], "picture 1 of 3 is missing"),
        ([("哎", grey), *right[1:]], [32], "picture 0 of 3 is missing"),
        ([*right[:2], ("埃", grey)], [32], "picture 2 of 3 is missing"),
        ([*right, right[0]], [32], "4 pictures came out"),
        (right, [], "0 reports in "),
        (right, [32, 33], "2 reports in "),
        (right, [16, 32], "offset 16 is reported, but nothing is lost there"),
    ):
        assert told in expected.difference(wrong, offsets)


def seen_damages(strategy, sound):
    """The damages of some examples that differ from all that is sound."""
    damages = set()

    @hypothesis.settings(max_examples=300, database=None)
    @hypothesis.given(strategy)
    def note(hostile):
        if hostile.data not in sound:
            damages.add(hostile.damage)

    note()
    return damages


def test_every_damage_makes_other_bytes():
    records = 2 * gnt_strategies.RECORDS
    sound = {b"".join(records[start : start + 6]) for start in range(60)}
    made = seen_damages(gnt_strategies.files(6, 6), sound)
    assert made == {damage.__name__ for damage in gnt_strategies.DAMAGES}
    photographs = map(lmdb_strategies.photograph, range(lmdb_strategies.PHOTOGRAPHS))
    made = seen_damages(lmdb_strategies.values, set(photographs))
    assert made == {damage.__name__.replace("_", " ") for damage in lmdb_strategies.DAMAGES}


def test_the_oracle_of_lmdbs_sees_what_is_wrong(tmp_path):
    grey, dark = (lmdbs.webp(np.full((8, 8, 3), level, np.uint8)) for level in (128, 9))
    values = {b"0a": grey, b"1b": b"no picture", b"2c": dark}
    source, target = lmdbs.write(tmp_path / "source", values), tmp_path / "set"
    convert_lsun.convert(source, target, convert_lsun.Options(image_size=32, max_bad=1))

    def check(source=source, **decoded_as):
        made = {
            key: lmdb_strategies.Value("kind", value, decoded_as.get(key.decode(), value))
            for key, value in values.items()
        }
        return lmdb_oracle.check(made, source, target)

    assert check() == 2
    for wrong, told in (
        ({"0a": b"no picture"}, "0a', kind: it came out, but is no picture"),
        ({"1b": grey}, "1b', kind: it is reported, but is a picture"),
        ({"2c": grey}, "2c', kind: it has other pixels"),
    ):
        with pytest.raises(AssertionError, match=told):
            check(**wrong)
    with pytest.raises(AssertionError, match="there is no .*, entry 1, key 1b"):
        check(source=tmp_path / "other")


def test_expected_pixels():
    picture = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    expected = Image.fromarray(picture).resize((32, 32), Image.Resampling.BILINEAR).tobytes()
    assert lmdb_oracle.pixels(lmdbs.webp(picture)) == expected
    assert lmdb_oracle.pixels(b"no picture") is None


def test_the_tree_of_an_lmdb_without_its_values(tmp_path):
    large = b"v" * 10_000
    small = b"w" * 100
    keys = [b"key %03d" % number for number in range(200)]
    lmdbs.write(tmp_path / "lmdb", {key: large if key == keys[7] else small for key in keys})
    data = (tmp_path / "lmdb" / "data.mdb").read_bytes()
    places = lmdb_pages.tree(data)
    assert len(places["meta"]) == 2 * 152
    assert len(places["overflow"]) == 16
    assert places["branch"] and places["leaf"]
    assert b"v" not in bytes(data[place] for place in places["leaf"] + places["branch"])


def test_a_command_that_is_watched(run_watched):
    ended = run_watched([sys.executable, "-c", "import time; x = b'x' * 10**8; time.sleep(0.5)"])
    assert ended.status == 0
    assert 1e8 < ended.peak_memory < 2e8
    assert ended.seconds > 0.5
    assert run_watched(["false"]).status == 1
    assert run_watched(["echo", "words"]).output == "words\n"
    ended = run_watched(["sh", "-c", "sleep 61.5 & sleep 61.5"], timeout=0.3)
    assert ended.status is None and ended.seconds < 5
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61.5"]
    ]


def test_a_converter_beyond_its_memory(run_converter, tmp_path, monkeypatch):
    flags = [f"--source={tmp_path / 'nothing'}"]
    assert run_converter("convert_hwdb", tmp_path / "set", *flags).status == 1
    monkeypatch.setattr(conftest, "_MAX_MEMORY", 1)
    with pytest.raises(AssertionError, match="peak_memory"):
        run_converter("convert_hwdb", tmp_path / "set", *flags)
