"""From GNT files to a data set, and a clear word about everything that is wrong."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets import manifest
from lsgan_tf.utils.errors import UserError
from tests.tools.test_gnt import record
from tools import convert_hwdb, converter_flags
from tools.convert_hwdb import Options
from tools.sources import gnt_survey, hwdb_characters

COMMAND = [sys.executable, "-m", "tools.convert_hwdb"]


def write(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def shade(text, grey, width=28, height=28):
    """A record of one grey."""
    return record(text, width, height, ink=bytes([grey]) * (width * height))


@pytest.fixture
def source(tmp_path):
    """Two writers: 3 and 4 Chinese characters, of which 龥 is not of level 1; three symbols."""
    folder = tmp_path / "gnt"
    write(folder / "b" / "w2.GNT", *[shade(t, 20 + n) for n, t in enumerate("中龥!啊中")])
    write(folder / "w1.gnt", *[shade(t, 10 + n) for n, t in enumerate("中A国3啊")])
    (folder / ".hidden.gnt").write_bytes(b"junk")
    (folder / "README").write_text("ignored")
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "set"


def convert(source, target, **options):
    sources = source if isinstance(source, list) else [source]
    return convert_hwdb.convert(sources, target, Options(**options))


def failure(source, target, **options):
    with pytest.raises(UserError) as error:
        convert(source, target, **options)
    return str(error.value)


def zipped(folder, path, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def examples(target):
    """(grey of the upper left pixel, class name) of every record, in the order of the shards."""
    done = manifest.load(target)
    names = done.class_names
    return [
        (int(image[0, 0, 0]), names[label])
        for shard in done.shards
        for image, label, _ in stored(target / shard.file)
    ]


def stored(shard):
    """Image [H, W, C], label and writer of every record of a shard, in order."""
    kinds = {"image": tf.string, "label": tf.int64, "writer": tf.int64}
    features = {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
    for payload in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
        record = tf.io.parse_single_example(payload, features)
        image = tf.io.decode_png(record["image"]).numpy()
        yield image, int(record["label"]), int(record["writer"])


def images_of(target):
    """uint8 [N, H, W] of a converted set of one shard, in order."""
    (shard,) = manifest.load(target).shards
    return np.stack([image[..., 0] for image, _, _ in stored(target / shard.file)])


def files_of(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_chinese_characters_of_all_writers_and_nothing_else(source, target, capsys):
    done = convert(source, target)
    assert done.class_names == ("中", "啊", "国", "龥")  # by code point
    assert done.image_shape == (28, 28, 1)
    assert done.extra_features == {"writer": ("w1", "w2")}
    assert done.left_out == {"symbols, letters and digits": 3}
    assert examples(target) == [
        (10, "中"), (12, "国"), (14, "啊"), (20, "中"), (21, "龥"), (23, "啊"), (24, "中")
    ]  # fmt: skip
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


def test_none_of_the_characters_is_kept(tmp_path, target):
    write(tmp_path / "w.gnt", record("A"))
    assert "none of the characters in" in failure(tmp_path / "w.gnt", target)


def test_files_of_which_nothing_can_be_used_say_why(tmp_path, target):
    write(tmp_path / "w.gnt")
    message = failure(tmp_path / "w.gnt", target, max_bad=10)
    assert "is one to keep; 1 records cannot be used:" in message
    assert "\n  w.gnt, offset 0: the file is empty" in message


def test_a_zip_and_single_files_give_the_same_shards_as_their_folder(source, target, tmp_path):
    from_folder = convert(source, target)
    archive = zipped(source, tmp_path / "gnt.zip")
    from_zip = convert(archive, tmp_path / "zip" / "set")
    singly = [source / "b" / "w2.GNT", source / "w1.gnt"]
    from_files = convert(singly, tmp_path / "files" / "set")
    assert from_zip.fingerprint() == from_folder.fingerprint() == from_files.fingerprint()
    assert from_zip.extra_features == from_folder.extra_features


def test_writers_are_stored_with_the_records(source, target):
    done = convert(source, target)
    writers = [writer for _, _, writer in stored(target / done.shards[0].file)]
    assert writers == [0, 0, 0, 1, 1, 1, 1]


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


def many(folder, files=3, count=300):
    """Several files, each of `count` characters with damage in between."""
    for number in range(files):
        records = [shade("中国啊A"[n % 4], n % 250, 3, 3) for n in range(count)]
        records[100] += b"\xff" * 30
        records[250] = record("爱", 3, 3, size=1)
        write(folder / f"w{number}.gnt", *records)
    return folder


def test_one_and_two_processes_write_the_same_bytes(tmp_path):
    source = many(tmp_path / "gnt")
    for processes in (1, 2):
        target = tmp_path / str(processes) / "set"
        convert(source, target, image_size=4, max_bad=6, processes=processes)
    one, two = files_of(tmp_path / "1" / "set"), files_of(tmp_path / "2" / "set")
    assert one == two
    assert sum(name.count(".tfrecord") for name in one) == 4  # two shards and their indexes


def test_shards_begin_within_files_and_nothing_is_lost(tmp_path, target):
    done = convert(many(tmp_path / "gnt"), target, image_size=4, max_bad=6)
    one = [(n % 250, "中国啊"[n % 4]) for n in range(300) if n % 4 != 3 and n != 250]
    assert [shard.count for shard in done.shards] == [336, 336]
    assert examples(target) == one * 3
    assert [skip.where for skip in done.skipped] == [
        f"w{number}.gnt, offset {offset}" for number in range(3) for offset in (1919, 4780)
    ]


def test_surveys_are_small_and_find_their_way():
    survey = gnt_survey.FileSurvey()
    for number in range(1_000_000):
        survey.add_damage() if number % 1000 < 300 else survey.add_character(50 * number)
    for item in (0, 299, 300, 600, 700, 999_999):
        offset, number = survey.start(item)
        assert offset == 50 * number and item - 700 < number <= item
    assert survey.start(600) == (50 * 556, 556)
    assert len(survey._offsets) < 4000


def interrupted(source, target, at_least):
    process = subprocess.Popen(
        [*COMMAND, f"--source={source}", f"--output_dir={target}", "--processes=2", "--max_bad=16"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 60
    while process.poll() is None and time.time() < deadline:
        if len(list(target.glob("unfinished/*.tfrecord*.json"))) >= at_least:
            break
        time.sleep(0.002)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def test_killed_and_started_again_ends_with_the_same_bytes(tmp_path):
    source = many(tmp_path / "gnt", files=8, count=600)
    target = tmp_path / "killed" / "set"
    assert interrupted(source, target, at_least=2)
    assert not (target / "manifest.json").exists()
    convert(source, target, max_bad=16)
    convert(source, tmp_path / "whole" / "set", max_bad=16)
    assert files_of(target) == files_of(tmp_path / "whole" / "set")


def test_real_handwriting(target, real_data, capsys):
    folder = real_data / "casia_hwdb"
    done = convert(folder / "hwdb1.1_test_100chars_gnt.zip", target, processes=2)
    assert "62 files, 5973 characters of 100 classes" in capsys.readouterr().out
    lines = (folder / "classes.txt").read_text(encoding="utf-8").split("\n")[:100]
    assert done.class_names == tuple(line.split()[1] for line in lines)
    assert [int(line.split()[0]) for line in lines] == list(range(100))
    assert len(done.extra_features["writer"]) == 62 and done.left_out == {}
    assert sum(shard.count for shard in done.shards) == 5973
    image, label, writer = next(stored(target / done.shards[0].file))
    first = (folder / "gnt" / "w01.gnt").read_bytes()
    width, height = np.frombuffer(first, "<u2", 2, 6)
    glyph = Image.frombytes("L", (width, height), first[10 : 10 + width * height])
    expected = np.asarray(glyph.resize((28, 28), Image.Resampling.BILINEAR))
    assert np.array_equal(image[..., 0], expected)
    assert (done.class_names[label], writer) == (first[4:6].decode("gbk"), 0)
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.gntx", "is GNTX, the format of CASIA-AHCDB, which is not supported"),
        ("a.DGRL", "holds pages of text (HWDB2)"),
        ("a.dgr", "holds pages of text (HWDB2)"),
        ("a.pot", "holds strokes of a pen"),
        ("a.alz", "is an ALZip archive; unpack it (unalz FILE.alz) and pass the folder"),
        ("a.txt", "is neither a folder nor a .zip nor a .gnt"),
    ],
)
def test_other_formats_are_refused_by_name(name, expected, target, tmp_path):
    file = write(tmp_path / "only" / name, record())
    assert f"--source={file} {expected}" in failure(file, target)
    if name != "a.txt":
        for other in (file.parent, zipped(file.parent, tmp_path / "only.zip")):
            message = failure(other, target)
            assert f"no .gnt files in {other}; {name} in it {expected}" in message


def test_a_folder_of_zips(source, target, tmp_path):
    (tmp_path / "zips").mkdir()
    zipped(source, tmp_path / "zips" / "one.zip")
    assert "but one.zip. Pass each zip as a --source" in failure(tmp_path / "zips", target)


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_nothing_there(name, target, tmp_path):
    (tmp_path / "empty").mkdir()
    expected = {"empty": "there are no .gnt files in", "absent": "does not exist"}[name]
    assert expected in failure(tmp_path / name, target)


def test_no_source_at_all(target):
    assert "--source is empty" in failure([], target)


def test_two_files_of_one_writer(source, target, tmp_path):
    write(tmp_path / "more" / "w1.gnt", record())
    message = failure([source, tmp_path / "more"], target)
    assert str(source / "w1.gnt") in message and str(tmp_path / "more" / "w1.gnt") in message
    assert "the name of a file is that of its writer" in message


@pytest.mark.parametrize("name", ["a\nb.gnt", " .gnt", "\udcff.gnt"])
def test_names_that_cannot_be_writers(name, source, target):
    write(source / name, record())
    assert "Rename the file" in failure(source, target)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(source, target):
    (source / "w1.gnt").chmod(0)
    assert "w1.gnt cannot be read: Permission denied" in failure(source, target)


def test_a_file_that_changes_before_it_is_converted(source):
    listing = convert_hwdb.gnt_sources.find([source])
    piece = gnt_survey.Piece(listing.files[0], 0, 0, 0, 3)
    write(source / "w1.gnt", *[shade("中", 1)] * 9)
    with pytest.raises(UserError, match=r"w1.gnt has changed since this conversion began"):
        list(piece.items(hwdb_characters.Selection()))


def test_a_changed_source_is_not_mixed_with_earlier_work(source, target):
    convert(source, target)
    assert convert(source, target).skipped_count == 0  # the same again: nothing to do
    write(source / "w3.gnt", record())
    assert "already holds a data set" in failure(source, target)


@pytest.mark.parametrize("options", [{"level1": True}, {"fit": "pad"}, {"image_size": 32}])
def test_other_flags_are_another_data_set(options, source, target):
    convert(source, target)
    assert "already holds a data set" in failure(source, target, **options)


@pytest.mark.parametrize("member", ["../../escape.gnt", "/etc/escape.gnt"])
def test_zip_members_that_climb_out_are_refused(member, target, tmp_path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr(member, record())
    assert "has a member with a path out of the zip" in failure(tmp_path / "slip.zip", target)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_a_name_twice(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("w.gnt", record())
        archive.writestr("w.gnt", record())
    assert "two members named 'w.gnt'" in failure(tmp_path / "twice.zip", target)


def test_encrypted_zip(source, target, tmp_path):
    archive = zipped(source, tmp_path / "locked.zip")
    data = bytearray(archive.read_bytes())
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 8] |= 1  # the flag bit in the central directory
    archive.write_bytes(data)
    assert "locked.zip is encrypted" in failure(archive, target)


def test_damaged_zip_member_is_named(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("w.gnt", record() * 9)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    message = failure(tmp_path / "a.zip", target, max_bad=99)
    assert f"w.gnt in {tmp_path / 'a.zip'} cannot be read: Bad CRC-32" in message


def test_a_zip_that_declares_more_than_it_holds(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.gnt", record() * 9)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    central = data.find(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10**9).to_bytes(4, "little")  # the size unpacked
    (tmp_path / "a.zip").write_bytes(data)
    assert "w.gnt in" in (message := failure(tmp_path / "a.zip", target))
    assert "cannot be read" in message


def test_a_bomb_in_a_zip_costs_time_only(target, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.gnt", bytes(50_000_000))
    assert "w.gnt in" in (message := failure(tmp_path / "a.zip", target))
    assert "is not a GNT file" in message


def test_not_a_zip(target, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nonsense")
    assert "broken.zip is not a readable zip" in failure(tmp_path / "broken.zip", target)


def test_sources_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert converter_flags.split_sources(["a,b", "c,d", "e"]) == [
        Path("a,b"), Path("c"), Path("d"), Path("e")
    ]  # fmt: skip
    names = [f"HWDB1.{number}" for number in range(100)]
    assert converter_flags.split_sources([",".join(names)]) == [Path(name) for name in names]


def test_a_folder_whose_name_is_no_text(source, target, tmp_path):
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat_\xe9dir"))
    source.rename(other)
    (other / "b").rename(other / os.fsdecode(b"\xe9"))
    refused = run(f"--source={other}", f"--output_dir={target}", "--processes=1")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "Rename the file" in refused.stderr
    (other / os.fsdecode(b"\xe9")).rename(other / "b")
    done = run(f"--source={other}", f"--output_dir={target}", "--processes=1")
    assert done.returncode == 0, done.stderr
    assert "lat_\\xe9dir" in manifest.load(target).source


def test_a_foreign_target_is_refused_before_the_source_is_read(source, target):
    target.mkdir(parents=True)
    (target / "thesis.txt").write_text("unsaved")
    assert "thesis.txt" in failure(source / "absent", target)
    assert [file.name for file in target.iterdir()] == ["thesis.txt"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)


def test_the_command(source, target):
    arguments = (f"--source={source}", f"--output_dir={target}", "--level1", "--processes=1")
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert "2 files, 6 characters of 3 classes" in first.stdout
    assert f"{target}: 6 images, 28x28x1, 3 classes" in first.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--source=absent,w.gnt", "--output_dir=x"], "--source=absent does not exist"),
        (["--output_dir=x"], "source"),
        (["--source=x", "--output_dir=x", "--characters="], "--characters= is empty"),
        (["--source=absent", "--output_dir=x", "--fit=crop"], "stretch|pad"),
    ],
)
def test_ordinary_mistakes_print_no_traceback(arguments, expected, target):
    done = run(*(part.replace("=x", f"={target}") for part in arguments))
    assert done.returncode != 0
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_flags_and_options_are_the_same():
    helped = run("--help").stdout
    assert "--output_dir" in helped and "--source" in helped
    for field in dataclasses.fields(Options):
        assert f"--{field.name}" in helped or f"--[no]{field.name}" in helped
