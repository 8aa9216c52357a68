"""A small run of the fuzzing of converters; and that its oracles see what is wrong."""

import random
import struct
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.tools import lmdbs
from tools import _watched, convert_lsun
from tools.fuzzing import (
    batches,
    gnt_fuzz,
    gnt_mutations,
    gnt_oracle,
    lmdb_fuzz,
    lmdb_mutations,
    lmdb_page_fuzz,
)
from tools.fuzzing.gnt_oracle import Loss

TEXT = "啊阿埃挨哎唉哀皑癌蔼矮艾碍爱隘"


def record(text, width=3, height=2, *, ink=b"\x80", **changed):
    """The bytes of a record; `changed` are header fields that are not as they should be."""
    fields = {
        "size": 10 + width * height,
        "tag": text.encode("gbk").ljust(2, b"\0"),
        "width": width,
        "height": height,
    }
    return struct.pack("<I2sHH", *(fields | changed).values()) + ink * (width * height)


def sound(count=6):
    return [record(text) for text in TEXT[:count]]


def fuzz(*arguments):
    command = [sys.executable, "-m", "tools.fuzz_converters", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def gnt_source(tmp_path):
    """A folder with a writer of 15 characters with strokes on paper."""
    folder = tmp_path / "gnt"
    folder.mkdir()
    rng = np.random.default_rng(0)
    parts = []
    for text in TEXT:
        width, height = rng.integers(20, 40, 2).tolist()
        ink = np.full(width * height, 255, np.uint8)
        ink[width:-width] = rng.integers(0, 255, width * (height - 2))
        parts.append(record(text, width, height)[:10] + ink.tobytes())
    (folder / "w1.gnt").write_bytes(b"".join(parts))
    return folder


@pytest.fixture
def lmdb_source(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {
        lmdbs.key(number): lmdbs.webp(rng.integers(0, 256, (40, 48, 3), np.uint8))
        for number in range(6)
    }
    return lmdbs.write(tmp_path / "lmdb", pictures)


def test_a_small_run(gnt_source, lmdb_source, tmp_path):
    work = tmp_path / "work"
    done = fuzz(
        f"--work_dir={work}", f"--gnt_source={gnt_source}", f"--lmdb_source={lmdb_source}",
        "--gnt=100", f"--lmdb={len(lmdb_mutations.MUTATIONS)}", "--lmdb_pages=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 checks failed") == 5
    lines = [line.split() for line in done.stdout.splitlines()]
    for kind in gnt_mutations.MUTATIONS:
        assert any(line[:2] == [kind, "5"] for line in lines), kind
    for kind in lmdb_mutations.MUTATIONS:
        assert any(line[:2] == [kind, "1"] for line in lines), kind
    assert ["sound", "100", "100", "0"] in lines
    assert not list(work.iterdir())


def test_a_failed_check_keeps_the_input(gnt_source, tmp_path):
    work = tmp_path / "work"
    flags = [f"--work_dir={work}", f"--gnt_source={gnt_source}", "--gnt=5", "--seed=7"]
    done = fuzz(*flags, "--megabytes=1")
    assert done.returncode == 1
    assert "FAILED gnt-0000: it needed " in done.stdout
    assert done.stderr == f"error: --seed=7: 2 checks failed; the input is in {work}\n"
    assert len(list((work / "gnt-0000" / "source").iterdir())) == 5
    done = fuzz(*flags)
    assert done.returncode == 1
    assert "is not empty" in done.stderr


def test_a_missing_source_is_told(tmp_path):
    done = fuzz(f"--work_dir={tmp_path}", "--lmdb_pages=1")
    assert done.returncode == 1
    assert done.stderr == "error: --lmdb_source says what to mutate; it is missing\n"


def test_what_must_become_of_a_gnt_file():
    whole = gnt_oracle.expect(sound())
    assert "".join(picture.text for picture in whole.pictures) == TEXT[:6]
    assert (whole.losses, whole.left_out) == ((), (0, 0))
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
    assert (len(symbol.pictures), symbol.losses, symbol.left_out) == (5, (), (1, 1))


def test_what_cannot_be_told_of_a_gnt_file():
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
    assert gnt_fuzz.differs(expected, right, [32]) is None
    for wrong, offsets, told in (
        (right[:2], [32], "picture 2 of 3 did not come out"),
        ([right[0], *right[2:]], [32], "picture 1 of 3 did not come out"),
        ([("哎", grey), *right[1:]], [32], "picture 0 of 3 did not come out"),
        ([*right[:2], ("埃", grey)], [32], "picture 2 of 3 did not come out"),
        ([*right, right[0]], [32], "4 pictures came out"),
        (right, [], "0 reports in "),
        (right, [32, 33], "2 reports in "),
        (right, [16, 32], "offset 16 is reported, but sound"),
    ):
        assert told in gnt_fuzz.differs(expected, wrong, offsets)


def test_every_mutation_makes_other_bytes():
    rng = random.Random(0)
    for name, mutation in gnt_mutations.MUTATIONS.items():
        assert mutation(rng, sound(12)) != sound(12), name
    value = lmdbs.webp(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))
    for name, mutation in lmdb_mutations.MUTATIONS.items():
        assert mutation(rng, value) != value, name


def test_the_oracle_of_lmdbs_sees_what_is_wrong(tmp_path):
    grey, dark = (lmdbs.webp(np.full((8, 8, 3), level, np.uint8)) for level in (128, 9))
    values = {b"0a": grey, b"1b": b"no picture", b"2c": dark}
    lmdbs.write(tmp_path / "source", values)
    options = convert_lsun.Options(image_size=32, max_bad=1)
    convert_lsun.convert(tmp_path / "source", tmp_path / "set", options)
    right = {b"0a": b"\x80" * 3072, b"1b": None, b"2c": b"\x09" * 3072}

    def failures(**changed):
        pixels = right | {key.encode(): value for key, value in changed.items()}
        report = batches.Report()
        made = {key: ("kind", values[key], pixels[key]) for key in values}
        lmdb_fuzz.check(tmp_path, made, report)
        return [failure.partition("kind: ")[2] for failure in report.failures]

    assert failures() == []
    assert failures(**{"0a": None}) == ["it came out, but is no picture"]
    assert failures(**{"1b": right[b"0a"]}) == ["it is reported, but sound"]
    assert failures(**{"2c": right[b"0a"]}) == ["it has other pixels"]
    assert (tmp_path / "2c.kind").read_bytes() == dark


def test_expected_pixels():
    picture = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    expected = Image.fromarray(picture).resize((32, 32), Image.Resampling.BILINEAR).tobytes()
    assert lmdb_fuzz.pixels(lmdbs.webp(picture)) == expected
    assert lmdb_fuzz.pixels(b"no picture") is None


def test_the_tree_of_an_lmdb_without_its_values(tmp_path):
    large = b"v" * 10_000
    small = b"w" * 100
    keys = [b"key %03d" % number for number in range(200)]
    lmdbs.write(tmp_path / "lmdb", {key: large if key == keys[7] else small for key in keys})
    data = (tmp_path / "lmdb" / "data.mdb").read_bytes()
    places = lmdb_page_fuzz.tree(data)
    assert len(places["meta"]) == 2 * 152
    assert len(places["overflow"]) == 16
    assert places["branch"] and places["leaf"]
    assert b"v" not in bytes(data[place] for place in places["leaf"] + places["branch"])


def test_a_command_that_is_watched():
    ended = _watched.run([sys.executable, "-c", "import time; x = b'x' * 10**8; time.sleep(0.5)"])
    assert ended.status == 0
    assert 1e8 < ended.peak_memory < 2e8
    assert ended.seconds > 0.5
    assert _watched.run(["false"]).status == 1
    ended = _watched.run(["sh", "-c", "sleep 61.5 & sleep 61.5"], timeout=0.3)
    assert ended.status is None and ended.seconds < 5
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61.5"]
    ]
