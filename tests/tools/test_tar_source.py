"""Pictures in tars, compressed or not; damage is told, memory does not grow with an archive."""

import gzip
import io
import lzma
import random
import tarfile
import tracemalloc

import numpy as np
import pytest

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools.conversions import examples
from tools import convert_images
from tools.sources import any_source, image_sources, tar_source

ENDINGS = ["tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz"]


def tar(path, files):
    """Writes {name: content} or TarInfos; content None: a picture of the number in the name."""
    kind = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "tbz2": "bz2", "xz": "xz", "txz": "xz"}
    mode = f"w:{kind.get(path.suffix[1:], '')}"
    with tarfile.open(path, mode) as archive:
        for number, (name, content) in enumerate(files.items()):
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            data = making.png(making.picture(number)) if content is None else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def listed(path, **choices):
    tar_source._listed_once.cache_clear()
    return any_source.open_source(path, "--source", image_sources.Choices(**choices))


def numbers(source):
    read = [image for _, image in source.reader.read(source.entries)]
    return making.numbers_of(np.stack([np.asarray(image)[..., None] for image in read]))


CLASSES = {"top/b/0.png": None, "top/a/1.png": None, "top/b/2.png": None, "top/._x.png": b"junk"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_tar_is_read_like_its_folder(ending, tmp_path):
    source = listed(tar(tmp_path / f"a.{ending}", CLASSES))
    assert source.class_names == ("a", "b") and source.ignored == 1
    assert numbers(source) == ([1, 0, 2] if ending == "tar" else [0, 1, 2])
    assert [entry.label for entry in source.entries] == (
        [0, 1, 1] if ending == "tar" else [1, 0, 1]
    )


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_conversion_in_several_shards(ending, target, tmp_path, no_pool):
    files = {f"{'ab'[number % 2]}/{number}.png": None for number in range(150)}
    archive = tar(tmp_path / f"a.{ending}", files)
    options = convert_images.Options(8)
    assert convert_images.convert(archive, target, options).class_names == ("a", "b")
    assert examples(target) == {number: number % 2 for number in range(150)}


def test_label_files_and_splits_in_a_tar(tmp_path):
    rows = b"file_name,label\n0.png,cat\n1.png,dog\n"
    files = {f"{split}/{n}.png": None for split in ("train", "test") for n in range(2)}
    files |= {"train/metadata.csv": rows, "test/metadata.csv": rows}
    source = listed(tar(tmp_path / "a.tgz", files))
    assert source.class_names == ("cat", "dog") and len(source.more["test"].entries) == 2


@pytest.mark.parametrize("name", ["/etc/a.png", "a/../../b.png"])
def test_paths_out_of_the_tar(name, tmp_path):
    with pytest.raises(UserError, match="has a member with a path out of the tar"):
        listed(tar(tmp_path / "a.tar", {name: None}))


def test_two_files_of_one_name(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a.png"))
    with pytest.raises(UserError, match=r"two members named 'a\.png'"):
        listed(tmp_path / "a.tar")


def test_links_and_devices_are_named(tmp_path, capsys):
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    source = listed(tar(tmp_path / "a.tar", {"0.png": None, "link.png": link}))
    assert len(source.entries) == 1
    assert "1 links, sparse or special files (link.png)" in capsys.readouterr().err


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_damage_is_told(tmp_path, capsys):
    files = {f"{number}.png": None for number in range(8)}
    archive = tar(tmp_path / "a.tar", files)
    step = 2 * tarfile.BLOCKSIZE  # a header and a picture
    whole = archive.read_bytes()
    assert len(listed(cut(archive, 4 * step)).entries) == 4
    assert "has no end mark: it may be cut short" in capsys.readouterr().err
    with pytest.raises(UserError, match="is damaged|not a readable tar"):
        listed(cut(archive, 3 * step + 100))
    archive.write_bytes(whole[: 2 * step] + b"junk" * 128 + whole[2 * step + 512 :])
    with pytest.raises(UserError, match=f"what follows byte {2 * step} cannot be listed"):
        listed(archive)
    archive.write_bytes(whole + whole)
    listed(archive)
    assert "goes on behind its end mark" in capsys.readouterr().err
    archive.write_bytes(whole[: 7 * step + 600] + whole[8 * step :])  # a part of the last is gone
    assert len(listed(archive).entries) == 8
    assert "no multiple of 512: some may be missing" in capsys.readouterr().err
    archive.write_bytes(b"no tar at all")
    with pytest.raises(UserError, match="is not a readable tar"):
        listed(archive)


def test_a_damaged_stream_is_told(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", {f"{number}.png": None for number in range(8)})
    with pytest.raises(UserError, match="is not a readable tar: Compressed file ended"):
        listed(cut(archive, archive.stat().st_size - 20))
    archive.write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(UserError, match="is not a readable tar"):
        listed(archive)


def test_a_header_that_declares_too_much_and_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_FILE_BYTES", 1 << 25)
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.XHDTYPE, 1 << 26
    bomb = tarfile.TarInfo("bomb.png")
    bomb.size = pictures.MAX_FILE_BYTES + 1
    for info, path in ((header, tmp_path / "a.tar.gz"), (bomb, tmp_path / "b.tar.gz")):
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(info.tobuf())
            for _ in range((info.size + 1024) // (1 << 20) + 1):
                file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match="it declares a header of 67108864 bytes"):
        listed(tmp_path / "a.tar.gz")
    source = listed(tmp_path / "b.tar.gz")
    (_, bad), *_ = source.reader.read(source.entries)
    assert "is larger than" in str(bad)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_an_xz_that_takes_much_memory_and_several_in_one(tmp_path):
    files = {f"{number}.png": None for number in range(5)}
    plain = tar(tmp_path / "a.tar", files).read_bytes()
    packed = tmp_path / "a.tar.xz"
    two = lzma.compress(plain[:3000]) + bytes(8) + lzma.compress(plain[3000:]) + bytes(4)
    packed.write_bytes(two)
    assert numbers(listed(packed)) == list(range(5))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    packed.write_bytes(lzma.compress(plain, filters=filters))
    with pytest.raises(UserError, match="is not a readable tar: Memory usage limit exceeded"):
        listed(packed)
    packed.write_bytes(lzma.compress(plain)[:-30])
    with pytest.raises(UserError, match="is not a readable tar: the compressed file ends early"):
        listed(packed)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_mutated_tars_are_refused_or_read(ending, tmp_path):
    archive = tar(tmp_path / f"a.{ending}", CLASSES)
    whole, rng = archive.read_bytes(), random.Random(0)
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 4, 16])):
            data[rng.randrange(min(len(data), 5000))] = rng.randrange(256)
        archive.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        tar_source._stream.cache_clear()
        try:
            source = listed(archive)
        except UserError:
            continue
        for _, image in source.reader.read(source.entries):
            assert isinstance(image, pictures.BadImage) or image.size
