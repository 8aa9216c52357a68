"""What all converters do alike: what they continue, refuse and say on the command line."""

import dataclasses
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lsgan_tf.datasets import process_pool
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import cat_photographs, conversions, gnt_files, lmdbs
from tools import convert_cats, convert_hwdb, convert_images, convert_lsun, converter_flags

pytestmark = pytest.mark.usefixtures("no_pool")


@dataclasses.dataclass(frozen=True)
class Converter:
    """A converter, with a source of its kind."""

    module: ModuleType
    flag: str  # of the source
    make_source: Callable[[Path], Path]  # in this new folder: enough for two shards, one item bad
    change_source: Callable[[Path], Any]
    image_size: int

    @property
    def tool(self):
        return self.module.__name__.removeprefix("tools.")

    def convert(self, source, target, processes=1):
        options = self.module.Options(self.image_size, max_bad=99, processes=processes)
        takes_several = self.tool != "convert_images"
        return self.module.convert([source] if takes_several else source, target, options)

    def failure(self, source, target):
        return conversions.failure(self.convert, source, target)


def cats(folder):
    for number in range(520):
        text = "9 oops" if number == 77 else None
        cat_photographs.save(folder, f"00000001_{number:03}", number, text)
    return folder


def change_cats(folder):
    (folder / "00000001_004.jpg.cat").write_text(cat_photographs.annotation(x=21))


def hwdb(folder):
    return gnt_files.write_damaged(folder, files=3)


def change_hwdb(folder):
    gnt_files.write(folder / "w9.gnt", gnt_files.record())


def images(folder):
    folder.mkdir()
    for number in range(520):
        (folder / f"{number:03}.png").write_bytes(making.png(making.picture(number)))
    (folder / "007.png").write_bytes(b"not a picture")
    return folder


def change_images(folder):
    (folder / "new.png").write_bytes(making.png(making.picture(9)))


def lsun(folder):
    return lmdbs.of_pictures(folder, 520, others={b"bad": b"not a picture"})


def change_lsun(folder):
    """As a repair does: the listing stays the same."""
    seconds = (folder / "data.mdb").stat().st_mtime + 1
    os.utime(folder / "data.mdb", (seconds, seconds))


CONVERTERS = [
    Converter(convert_cats, "source", cats, change_cats, image_size=16),
    Converter(convert_hwdb, "source", hwdb, change_hwdb, image_size=4),
    Converter(convert_images, "source", images, change_images, image_size=8),
    Converter(convert_lsun, "lmdb_dir", lsun, change_lsun, image_size=8),
]


@pytest.fixture(params=CONVERTERS, ids=lambda converter: converter.tool)
def converter(request):
    return request.param


def test_continued_or_by_two_processes_it_ends_with_the_same_bytes(
    converter, target, tmp_path, monkeypatch
):
    source = converter.make_source(tmp_path / "source")
    run = process_pool.run

    def run_first(tasks, processes, bar):
        yield next(run(tasks, processes, bar))
        if tasks:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(process_pool, "run", run_first)
        converter.convert(source, target)
    assert not (target / "manifest.json").exists()
    (complete,) = target.glob("*.tfrecord-*")
    written = complete.stat().st_mtime_ns
    done = converter.convert(source, target)
    assert complete.stat().st_mtime_ns == written
    assert len(done.shards) == 2 and done.skipped_count
    by_two = tmp_path / "by_two" / "set"
    assert converter.convert(source, by_two, processes=2) == done
    assert making.contents(by_two) == making.contents(target)
    # The same again: nothing to do.
    written = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert converter.convert(source, target) == done
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == written
    converter.change_source(source)
    message = converter.failure(source, target)
    assert "already holds a data set" in message and "another state of the source" in message


def test_a_foreign_target_is_refused_before_the_source_is_read(converter, target, tmp_path):
    target.mkdir(parents=True)
    (target / "thesis.txt").write_text("unsaved")
    assert "thesis.txt" in converter.failure(tmp_path / "absent", target)
    assert [file.name for file in target.iterdir()] == ["thesis.txt"]


def test_a_source_that_is_not_there(converter, target, tmp_path):
    assert f"{tmp_path / 'absent'} does not exist" in converter.failure(tmp_path / "absent", target)


@pytest.mark.parametrize("module", [convert_cats, convert_hwdb, convert_lsun])
def test_no_source_at_all(module, target):
    with pytest.raises(UserError, match="--(source|lmdb_dir) is empty"):
        module.convert([], target, module.Options())


@pytest.mark.parametrize("member", ["../../escape.png", "/etc/escape.png", "a/..\\..\\escape.png"])
def test_zip_members_that_climb_out_are_refused(member, converter, target, tmp_path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr(member, b"anything")
    message = converter.failure(tmp_path / "slip.zip", target)
    assert "has a member with a path out of the zip" in message and repr(member) in message
    assert not list(tmp_path.rglob("*escape*"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_a_name_twice(converter, target, tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.png", b"one")
        archive.writestr("a.png", b"other")
    assert "two members named 'a.png'" in converter.failure(tmp_path / "twice.zip", target)


def test_encrypted_zip(converter, target, tmp_path):
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a.png", b"anything")
    conversions.mark_encrypted(tmp_path / "locked.zip")
    message = converter.failure(tmp_path / "locked.zip", target)
    assert "locked.zip is encrypted (a.png)" in message


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04 nonsense"])
def test_not_a_zip(content, converter, target, tmp_path):
    (tmp_path / "broken.zip").write_bytes(content)
    message = converter.failure(tmp_path / "broken.zip", target)
    assert "broken.zip is not a readable zip" in message


def test_flags_and_options_are_the_same(converter):
    helped = conversions.run(converter.tool, "--help").stdout
    names = {field.name for field in dataclasses.fields(converter.module.Options)}
    for name in ("output_dir", converter.flag, *names):
        assert f"--{name}" in helped or f"--[no]{name}" in helped
    assert ("--crop" in helped) == ("crop" in names)


def test_sources_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert converter_flags.split_sources(["a,b", "c,d", "e"]) == [
        Path("a,b"), Path("c"), Path("d"), Path("e")
    ]  # fmt: skip
    names = [f"HWDB1.{number}" for number in range(100)]
    assert converter_flags.split_sources([",".join(names)]) == [Path(name) for name in names]


NEEDED = ["--source=absent", "--output_dir=x", "--image_size=8"]
MISTAKES = [
    ("convert_cats", ["--source=absent", "--output_dir=x"], "--source=absent does not exist"),
    ("convert_cats", ["--output_dir=x"], "--source"),
    ("convert_cats", ["--source=,", "--output_dir=x"], "--source is empty"),
    ("convert_hwdb", ["--source=absent,w.gnt", "--output_dir=x"], "--source=absent does not exist"),
    ("convert_hwdb", ["--output_dir=x"], "source"),
    ("convert_hwdb", ["--source=x", "--output_dir=x", "--characters="], "--characters= is empty"),
    ("convert_hwdb", ["--source=absent", "--output_dir=x", "--fit=crop"], "stretch|pad"),
    ("convert_images", NEEDED, "absent does not exist"),
    ("convert_images", ["--source=absent", "--output_dir=x"], "image_size"),
    ("convert_images", [*NEEDED, "--image_size=0"], "image_size"),
    ("convert_images", [*NEEDED, "--crop=odd"], "none|center"),
    ("convert_images", [*NEEDED, "--background=pink"], "pass white, black, auto or #rrggbb"),
    ("convert_images", [*NEEDED, "--max_bad=few"], "pass a number, or a share as 1%"),
    ("convert_images", [*NEEDED, "--depth=9"], "auto|8|10|12|14|16"),
    ("convert_images", [*NEEDED, "--source="], "--source= is empty"),
    ("convert_images", ["photos", *NEEDED], "not a flag: photos"),
    ("convert_images", [*NEEDED, "--sice=8"], "'sice'"),
    ("convert_lsun", ["--lmdb_dir=absent", "--output_dir=x", "--crop=left"], "crop"),
    ("convert_lsun", ["--source=absent", "--output_dir=x"], "absent does not exist"),
    ("convert_lsun", ["--lmdb_dir=absent", "--output_dir=x", "--image_size=0"], "image_size"),
]


@pytest.mark.parametrize(("tool", "arguments", "expected"), MISTAKES)
def test_ordinary_mistakes_print_no_traceback(tool, arguments, expected, target):
    done = conversions.run(tool, *(part.replace("=x", f"={target}") for part in arguments))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and expected in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
