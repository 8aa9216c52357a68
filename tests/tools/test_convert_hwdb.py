"""From GNT files to a data set; every damage is reported with its file and offset."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets import manifest
from tests.tools import conversions, gnt_files
from tests.tools.gnt_files import convert, failure, record, shade, write, write_damaged
from tools.sources import hwdb_characters

pytestmark = pytest.mark.usefixtures("no_pool")


@pytest.fixture
def source(tmp_path):
    return gnt_files.two_writers(tmp_path / "gnt")


def examples(target):
    """(grey of the upper left pixel, class name) of every record, in order."""
    names = manifest.load(target).class_names
    return [
        (int(record["image"][0, 0, 0]), names[record["label"]])
        for record in conversions.stored(target)
    ]


def images_of(target):
    """uint8 [N, H, W] of a converted set, in order."""
    return np.stack([record["image"][..., 0] for record in conversions.stored(target)])


def test_chinese_characters_of_all_writers_and_nothing_else(source, target, capsys):
    done = convert(source, target)
    assert done.class_names == ("中", "啊", "国", "龥")  # by code point
    assert done.image_shape == (28, 28, 1)
    assert done.extra_features == {"writer": ("w1", "w2")}
    assert done.left_out == {"symbols, letters and digits": 3}
    assert examples(target) == [
        (10, "中"), (12, "国"), (14, "啊"), (20, "中"), (21, "龥"), (23, "啊"), (24, "中")
    ]  # fmt: skip
    writers = [record["writer"] for record in conversions.stored(target)]
    assert writers == [0, 0, 0, 1, 1, 1, 1]
    printed = capsys.readouterr().out
    assert "2 files, 7 characters of 4 classes; 3 symbols, letters and digits are left" in printed
    assert "files of other kinds are ignored (1 without extension)" in printed
    assert "left" in done.summary(target)


def test_level1(source, target):
    done = convert(source, target, level1=True)
    assert done.class_names == ("中", "啊", "国")
    assert done.left_out == {"symbols, letters and digits": 3, "characters outside level 1": 1}
    assert len(examples(target)) == 6


def test_level1_has_3755_characters():
    every = [chr(code) for code in range(0x3400, 0xFFFF)]
    assert sum(map(hwdb_characters.is_level1, every)) == 3755


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_listed_characters_are_classes_whether_they_occur_or_not(
    encoding, source, target, tmp_path, capsys
):
    (tmp_path / "list.txt").write_text("啊 A\n龥\t书\u3000中\r\n中", encoding=encoding)
    done = convert(source, target, characters=tmp_path / "list.txt")
    assert done.class_names == ("A", "中", "书", "啊", "龥")
    assert "7 characters of 5 classes (1 of them do not occur)" in capsys.readouterr().out
    assert Counter(name for _, name in examples(target)) == {"中": 3, "啊": 2, "龥": 1, "A": 1}
    assert done.left_out == {"characters not listed": 3}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("中文".encode("gbk"), "is not UTF-8 text (byte 0). Save it as UTF-8"),
        (b" \n\t", "lists no characters"),
        ("中\0".encode(), "holds the unprintable character U+0000"),
        (b"a" * (1 << 20) + b"b", "is larger than 1048576 bytes"),
        (None, "list.txt cannot be read: No such file"),
    ],
)
def test_lists_that_cannot_be_used(data, expected, source, target, tmp_path):
    if data is not None:
        (tmp_path / "list.txt").write_bytes(data)
    assert expected in failure(source, target, characters=tmp_path / "list.txt")


def test_level1_and_a_list_exclude_each_other(source, target, tmp_path):
    (tmp_path / "list.txt").write_text("中")
    message = failure(source, target, level1=True, characters=tmp_path / "list.txt")
    assert "--level1 and --characters exclude each other" in message


def test_classes_on_the_command_line(source, target, tmp_path):
    done = convert(source, target, classes=("龥", "中"))
    assert done.class_names == ("中", "龥")
    (tmp_path / "list").write_text("中龥")
    assert convert(source, target, characters=tmp_path / "list") == done  # says the same
    assert "--classes: 'AB' is not one character" in failure(source, target, classes=("AB",))
    message = failure(source, target, classes=("中",), level1=True)
    assert "--level1 and --classes exclude each other" in message


def test_so_many_of_the_first(source, target):
    done = convert(source, target, max_images=4)
    whole = target.with_name("whole")
    convert(source, whole)
    assert examples(target) == examples(whole)[:4]
    assert done.left_out["images beyond --max_images=4"] == 3
    assert "already holds a data set" in failure(source, target, max_images=5)


def test_none_of_the_characters_is_kept(tmp_path, target):
    write(tmp_path / "w.gnt", record("A"))
    assert "none of the characters in" in failure(tmp_path / "w.gnt", target)


def test_files_of_which_nothing_can_be_used_say_why(tmp_path, target):
    write(tmp_path / "w.gnt")
    message = failure(tmp_path / "w.gnt", target, max_bad=10)
    assert "is one to keep; 1 records cannot be used:" in message
    assert "\n  w.gnt, offset 0: the file is empty" in message


def test_stretched_without_inversion(tmp_path, target):
    ink = bytes([0] * 4 + [255] * 4)  # 4x2: the upper row black
    write(tmp_path / "w.gnt", record("中", 4, 2, ink=ink))
    convert(tmp_path / "w.gnt", target, image_size=4)
    # Bilinear from 2 rows to 4: centres of the new rows at 1/4, 3/4, 5/4, 7/4.
    assert images_of(target)[0].tolist() == [
        [0] * 4, [64] * 4, [191] * 4, [255] * 4
    ]  # fmt: skip


@pytest.mark.parametrize("sideways", [False, True])
def test_padded_with_white_in_the_middle(sideways, tmp_path, target):
    shape = (4, 8) if sideways else (8, 4)
    write(tmp_path / "w.gnt", shade("中", 0, *shape))
    convert(tmp_path / "w.gnt", target, image_size=8, fit="pad")
    expected = np.full((8, 8), 255)
    expected[2:6] = 0
    assert np.array_equal(images_of(target)[0], expected.T if sideways else expected)


def test_padding_scales_the_longer_side(tmp_path, target):
    write(tmp_path / "w.gnt", shade("中", 0, 40, 10), shade("中", 0, 500, 1))
    convert(tmp_path / "w.gnt", target, image_size=8, fit="pad")
    # 8 by 2 pixels (40 and 10 divided by 5), and 8 by 1, which is the least.
    assert [(image == 0).sum(axis=1).tolist() for image in images_of(target)] == [
        [0, 0, 0, 8, 8, 0, 0, 0], [0, 0, 0, 8, 0, 0, 0, 0]
    ]  # fmt: skip


def test_shards_begin_within_files_and_nothing_is_lost(tmp_path, target):
    done = convert(write_damaged(tmp_path / "gnt", files=3), target, image_size=4, max_bad=6)
    one = [(n % 250, "中国啊"[n % 4]) for n in range(300) if n % 4 != 3 and n != 250]
    assert [shard.count for shard in done.shards] == [336, 336]
    assert examples(target) == one * 3
    assert [skip.where for skip in done.skipped] == [
        f"w{number}.gnt, offset {offset}" for number in range(3) for offset in (1919, 4780)
    ]


def test_real_handwriting(target, real_data, capsys):
    folder = real_data / "casia_hwdb"
    done = convert(folder / "hwdb1.1_test_100chars_gnt.zip", target)
    assert "62 files, 5973 characters of 100 classes" in capsys.readouterr().out
    lines = (folder / "classes.txt").read_text(encoding="utf-8").split("\n")[:100]
    assert done.class_names == tuple(line.split()[1] for line in lines)
    assert [int(line.split()[0]) for line in lines] == list(range(100))
    assert len(done.extra_features["writer"]) == 62 and done.left_out == {}
    assert sum(shard.count for shard in done.shards) == 5973
    stored = next(conversions.stored(target))
    first = (folder / "gnt" / "w01.gnt").read_bytes()
    width, height = np.frombuffer(first, "<u2", 2, 6)
    glyph = Image.frombytes("L", (width, height), first[10 : 10 + width * height])
    expected = np.asarray(glyph.resize((28, 28), Image.Resampling.BILINEAR))
    assert np.array_equal(stored["image"][..., 0], expected)
    assert done.class_names[stored["label"]] == first[4:6].decode("gbk")
    assert stored["writer"] == 0
    assert datasets.load("set", str(target.parent)).num_examples == 5973


def test_damage_is_reported_with_file_and_offset_and_skipped_up_to_max_bad(tmp_path, target):
    records = [shade("中", n, 3, 3) for n in range(8)]
    records[2] = record("爱", 3, 3, size=1)
    records[5] = record(tag=b"\xff\xff", width=3, height=3)
    write(tmp_path / "gnt" / "a" / "w1.gnt", *records)
    write(tmp_path / "gnt" / "w2.gnt", shade("中", 9, 3, 3), shade("国", 9, 3, 3)[:-1])
    message = failure(tmp_path / "gnt", target, image_size=4, max_bad=2)
    assert message.splitlines() == [
        "3 records cannot be used, more than --max_bad=2:",
        "  a/w1.gnt, offset 38: its size field says 1 bytes, its width 3 and height 3 make 19",
        "  a/w1.gnt, offset 95: its two bytes FF FF stand for no visible character",
        "  w2.gnt, offset 19: the record has 19 bytes, but the file ends after 18",
        "Skip them with --max_bad=3 or more, or get these files again.",
    ]
    assert not target.exists()
    done = convert(tmp_path / "gnt", target, image_size=4, max_bad=3)
    assert [skip.where for skip in done.skipped] == [
        "a/w1.gnt, offset 38", "a/w1.gnt, offset 95", "w2.gnt, offset 19"
    ]  # fmt: skip
    assert [grey for grey, _ in examples(target)] == [0, 1, 3, 4, 6, 7, 9]


def test_many_damages_are_counted(tmp_path, target):
    write(tmp_path / "w.gnt", record(), *[record(tag=b"\xff\xff")] * 7)
    message = failure(tmp_path / "w.gnt", target)
    assert "7 records cannot be used" in message and message.count("offset") == 5
    assert "\n  and 2 more\n" in message


def test_an_empty_file_is_named(source, target):
    (source / "w3.gnt").touch()
    assert "w3.gnt, offset 0: the file is empty" in failure(source, target)
    done = convert(source, target, max_bad=1)
    assert done.skipped_count == 1 and done.extra_features["writer"] == ("w1", "w2", "w3")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(300), b"GNT", b"\xff" * 99])
def test_no_gnt_file_at_all(data, source, target):
    write(source / "photo.gnt", data)
    message = failure(source, target, max_bad=100)
    assert f"{source / 'photo.gnt'} is not a GNT file" in message
    assert "photo.gnt, offset 0: " in message


@pytest.mark.parametrize("options", [{"level1": True}, {"fit": "pad"}, {"image_size": 32}])
def test_other_flags_are_another_data_set(options, source, target):
    convert(source, target)
    assert "already holds a data set" in failure(source, target, **options)


def test_the_command_and_a_folder_whose_name_is_no_text(source, target, tmp_path):
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat_\xe9dir"))
    source.rename(other)
    (other / "b").rename(other / os.fsdecode(b"\xe9"))
    arguments = (f"--source={other}", f"--output_dir={target}", "--level1", "--processes=1")
    refused = conversions.run("convert_hwdb", *arguments)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "Rename the file" in refused.stderr
    (other / os.fsdecode(b"\xe9")).rename(other / "b")
    done = conversions.run("convert_hwdb", *arguments)
    assert done.returncode == 0, done.stderr
    assert "2 files, 6 characters of 3 classes" in done.stdout
    assert f"{target}: 6 images, 28x28x1, 3 classes" in done.stdout
    assert "lat_\\xe9dir" in manifest.load(target).source
