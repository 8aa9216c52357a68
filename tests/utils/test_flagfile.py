"""Flagfiles: what they hold, what they include, what is wrong with them."""

import pytest

from lsgan_tf.utils import flagfile
from lsgan_tf.utils.errors import UserError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a flagfile; the working directory is another one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def write(name, *lines):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_comments_and_blank_lines_are_no_flags(write):
    path = write("a.flags", "# Title.", "", "// another comment", "  --seed=1  ", "--text=a b")
    read = flagfile.read(path)
    assert read.title == "# Title."
    assert read.own == read.arguments == ("--seed=1", "--text=a b")


def test_included_flags_stand_where_the_file_is_named(write):
    write("inner/deep.flags", "--d=1")
    write("inner/b.flags", "--b=1", "--flagfile=deep.flags", "--b=2")
    path = write("a.flags", "--a=1", "--flagfile=inner/b.flags", "--a=2", "--flagfile=")
    read = flagfile.read(path)
    assert read.arguments == ("--a=1", "--b=1", "--d=1", "--b=2", "--a=2")
    assert read.own == ("--a=1", "--a=2")
    assert [part.path.name for part in read.walk()] == ["deep.flags", "b.flags", "a.flags"]


def test_an_absolute_name_and_two_files_that_include_the_same_one(write):
    base = write("base.flags", "--seed=1")
    write("b.flags", f"--flagfile={base}")
    path = write("a.flags", "--flagfile=b.flags", "--flagfile=base.flags")
    assert flagfile.read(path).arguments == ("--seed=1", "--seed=1")


def test_a_file_that_includes_itself_is_told(write):
    write("b.flags", "--flagfile=a.flags")
    path = write("a.flags", "--flagfile=b.flags")
    with pytest.raises(
        UserError, match="a.flags includes .*b.flags includes .*a.flags: a file cannot include"
    ):
        flagfile.read(path)


def test_a_missing_include_is_told_with_the_file_that_names_it(write):
    path = write("a.flags", "--flagfile=absent.flags")
    with pytest.raises(
        UserError, match="absent.flags, included by .*a.flags, cannot be read: No such file"
    ):
        flagfile.read(path)


def test_a_file_that_is_no_text_is_told(write, tmp_path):
    (tmp_path / "bad.flags").write_bytes(b"--seed=\xff")
    with pytest.raises(UserError, match="bad.flags cannot be read: it is not UTF-8 text"):
        flagfile.read(tmp_path / "bad.flags")


def test_a_command_line_is_expanded_in_place(write):
    a, b = write("a.flags", "--seed=1"), write("b.flags", "--seed=2")
    line = ["--x=1", f"--flagfile={a}", "--y=1", "-flagfile", str(b), "--flagfile=", "--z"]
    arguments, flagfiles = flagfile.expand(line)
    assert arguments == ["--x=1", "--seed=1", "--y=1", "--seed=2", "--z"]
    assert [read.path for read in flagfiles] == [a, b]


def test_what_stands_behind_two_dashes_is_no_flag():
    line = ["--x=1", "--", "--flagfile=absent.flags"]
    assert flagfile.expand(line) == (line, [])


def test_a_flagfile_without_a_name_is_told():
    with pytest.raises(UserError, match="--flagfile needs the name of a file"):
        flagfile.expand(["--x=1", "--flagfile"])


def test_the_home_folder_has_its_short_name(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("a.flags", "--seed=1")
    assert flagfile.expand(["--flagfile=~/a.flags"])[0] == ["--seed=1"]
