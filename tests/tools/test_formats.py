"""Every format of pictures in every source that holds files; each is read as what it is."""

import tarfile

import numpy as np
import pytest
from PIL import Image, features

from tests.tools import conversions, lmdbs
from tools.sources import any_source, lmdb_source
from tools.sources.image_sources import Choices
from tools.sources.readers import Entry

FORMATS = ("avif", "bmp", "gif", "jpg", "png", "ppm", "tif", "webp")


def colour(name):
    return tuple(30 + 24 * (FORMATS.index(name) * step % 8) for step in (1, 3, 5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A picture of each format, of a colour of its own."""
    folder = tmp_path_factory.mktemp("formats")
    for name in FORMATS:
        if name != "avif" or features.check("avif"):
            Image.new("RGB", (16, 16), colour(name)).save(folder / f"{name}.{name}")
    return folder


def listed(path):
    source = any_source.open_source(path, "--source", Choices())
    return source.reader, source.entries


def of_folder(folder, _):
    return listed(folder)


def of_zip(folder, tmp_path):
    return listed(conversions.zipped(folder, tmp_path / "a.zip"))


def of_zips(folder, tmp_path):
    (tmp_path / "zips").mkdir()
    for name in "ab":
        conversions.zipped(folder, tmp_path / "zips" / f"{name}.zip")
    return listed(tmp_path / "zips")


def of_tar(folder, tmp_path, ending=".tar"):
    path = tmp_path / f"a{ending}"
    with tarfile.open(path, f"w:{ending[5:]}") as archive:
        archive.add(folder, "")
    return listed(path)


def of_tar_gz(folder, tmp_path):
    return of_tar(folder, tmp_path, ".tar.gz")


def of_parquet(folder, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"bytes": path.read_bytes()} for path in sorted(folder.iterdir())]
    table = pyarrow.table({"image": rows})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    return listed(tmp_path / "a.parquet")


def of_lmdb(folder, tmp_path):
    values = {path.name.encode(): path.read_bytes() for path in folder.iterdir()}
    path = lmdb_source.find_data_file(lmdbs.write(tmp_path / "lmdb", values))
    return lmdb_source.LmdbReader(path), [Entry(name.decode(), None) for name in sorted(values)]


@pytest.mark.parametrize(
    "make", [of_folder, of_zip, of_zips, of_tar, of_tar_gz, of_parquet, of_lmdb]
)
def test_formats(make, folder, tmp_path):
    names = sorted(path.suffix[1:] for path in folder.iterdir())
    reader, entries = make(folder, tmp_path)
    read = [np.asarray(image) for _, image in reader.read(entries)]
    assert len(read) in (len(names), 2 * len(names))
    for image, name in zip(read, names * 2, strict=False):
        assert image.shape == (16, 16, 3)
        assert np.abs(image.astype(int) - colour(name)).max() < 8, name
