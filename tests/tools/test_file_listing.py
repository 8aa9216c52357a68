"""Links and the names of a zip's members: followed or mended, and what is left out is named."""

import os
import struct
import unicodedata
import zipfile
import zlib

import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tools.sources import any_source, archives, image_sources

PNG = making.png(making.picture(1))


def listed(path, **choices):
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def labelled(source):
    return {entry.name: source.class_names[entry.label] for entry in source.entries}


def folder(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)
    return root


def test_dangling_links_are_counted_and_named(tmp_path, capsys):
    root = folder(tmp_path / "p", "a.png")
    for name in ("d1.jpg", "d2.jpg"):
        (root / name).symlink_to("nowhere")
    assert [entry.name for entry in listed(root).entries] == ["a.png"]
    assert "left out: 2 links to nowhere (d1.jpg, d2.jpg)" in capsys.readouterr().err


def test_two_links_to_one_folder_are_two_classes(tmp_path, capsys):
    store = folder(tmp_path / "store", "0.png")
    (tmp_path / "p").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "p" / name).symlink_to(store)
    assert labelled(listed(tmp_path / "p")) == {"cat/0.png": "cat", "dog/0.png": "dog"}
    assert "one folder is read under 2 names (cat, dog)" in capsys.readouterr().err


def test_only_a_folder_above_is_a_loop(tmp_path, capsys):
    root = folder(tmp_path / "p", "cat/0.png", "dog/0.png")
    (root / "dog" / "up").symlink_to(root)
    assert labelled(listed(root)) == {"cat/0.png": "cat", "dog/0.png": "dog"}
    assert "left out: 1 link to a folder above (dog/up)" in capsys.readouterr().err


def test_what_is_no_file(tmp_path, capsys):
    root = folder(tmp_path / "p", "a.png")
    os.mkfifo(root / "pipe.png")
    assert len(listed(root).entries) == 1
    assert "left out: 1 special file (pipe.png)" in capsys.readouterr().err


def test_links_that_multiply_end(tmp_path):
    for level in range(12):
        (tmp_path / str(level)).mkdir()
        for name in "ab":
            (tmp_path / str(level) / name).symlink_to(tmp_path / str(level + 1))
    folder(tmp_path, "12/a.png")
    with pytest.raises(UserError, match="in more than 1000 ways"):
        listed(tmp_path / "0")


class Undeclared(zipfile.ZipInfo):
    """A member whose name is bytes of whatever encoding."""

    def _encodeFilenameFlags(self):
        return self.filename, 0

    def is_dir(self):
        return False


def zip_of(path, names):
    """A zip whose members have these names, bytes in an undeclared encoding or text."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(f"{number}")
            if isinstance(name, bytes):
                info = Undeclared(f"{number}")
            info.filename = name
            archive.writestr(info, PNG)
    return path


def test_backslashes_of_zips_are_separators(tmp_path, capsys):
    names = ["cat\\0.jpg", "dog\\1.jpg", "__MACOSX\\cat\\._0.jpg"]
    source = listed(zip_of(tmp_path / "a.zip", names))
    assert labelled(source) == {"cat/0.jpg": "cat", "dog/1.jpg": "dog"}
    assert all(image.size == (8, 8) for _, image in source.reader.read(source.entries))
    assert "3 names (cat\\0.jpg, dog\\1.jpg, " in capsys.readouterr().err


def test_two_names_that_a_backslash_makes_one(tmp_path):
    with pytest.raises(UserError, match=r"two members named 'cat/0\.jpg'"):
        listed(zip_of(tmp_path / "a.zip", ["cat\\0.jpg", "cat/0.jpg"]))


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis"])
def test_names_in_undeclared_encodings(encoding, tmp_path, capsys):
    archive = zip_of(tmp_path / "a.zip", [f"{n}/0.png".encode(encoding) for n in ("表", "本")])
    listed(archive)
    told = capsys.readouterr().err
    assert "does not declare the encoding of 2 names" in told
    assert f"--zip_encoding={encoding} (表/0.png)" in told
    source = listed(archive, zip_encoding=encoding)
    assert labelled(source) == {"表/0.png": "表", "本/0.png": "本"}
    assert all(image.size == (8, 8) for _, image in source.reader.read(source.entries))
    assert not capsys.readouterr().err
    with pytest.raises(UserError, match="--zip_encoding=ascii: .* has a name in another encoding"):
        listed(archive, zip_encoding="ascii")


@pytest.mark.parametrize("encoding", ["no such", "rot13", "a\0"])
def test_encodings_that_are_not_known(encoding, tmp_path):
    with pytest.raises(UserError, match="is not known; for example gbk"):
        listed(zip_of(tmp_path / "a.zip", ["a.png"]), zip_encoding=encoding)


def test_undeclared_utf_8_is_read_as_such(tmp_path, capsys):
    source = listed(zip_of(tmp_path / "a.zip", [f"{n}/0.png".encode() for n in ("猫", "犬")]))
    assert source.class_names == ("犬", "猫")
    assert "does not declare that 2 names (猫/0.png, 犬/0.png) are UTF-8" in capsys.readouterr().err


def test_names_that_info_zip_adds_in_utf_8(tmp_path, capsys):
    raw, name = "café.png".encode("cp850"), "café.png".encode()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = Undeclared("x")
        info.filename = raw
        info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zlib.crc32(raw)) + name
        archive.writestr(info, PNG)
    assert [entry.name for entry in listed(tmp_path / "a.zip").entries] == ["café.png"]
    assert not capsys.readouterr().err


def test_a_member_without_a_name(tmp_path):
    with pytest.raises(UserError, match="has a member without a name"):
        archives.open_zip(zip_of(tmp_path / "a.zip", [""]))


def test_class_names_are_compared_with_accents_in_one_character(tmp_path, capsys):
    names = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    composed = listed(folder(tmp_path / "nfc", f"{names[0]}/0.png", "Bar/0.png"))
    parts = listed(zip_of(tmp_path / "nfd.zip", [f"{names[1]}/0.png", "Bar/0.png"]))
    assert composed.class_names == parts.class_names == ("Bar", names[0])
    assert not capsys.readouterr().err
    if len(os.listdir(folder(tmp_path / "both", *(f"{name}/0.png" for name in names)))) == 2:
        assert listed(tmp_path / "both").class_names == (names[0],)
        assert "have folders in two spellings" in capsys.readouterr().err
