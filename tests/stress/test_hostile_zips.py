"""What comes out of a damaged zip is what was in it; the rest is reported, or all is refused."""

import shutil
import zipfile
from collections import Counter

import hypothesis
import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.stress import converted_set, gnt_strategies, zip_strategies
from tests.tools import lmdbs
from tools import convert_hwdb, convert_images, convert_lsun
from tools.sources import archives

pytestmark = pytest.mark.stress

ZIPS = 500  # of each kind
MAX_BAD = 1 << 30


def pictures(folder):
    return {f"{number:02}.png": making.png(making.picture(number)) for number in range(12)}


def writers(folder):
    parts = (gnt_strategies.RECORDS[start : start + 5] for start in range(0, 20, 5))
    return {f"{number}.gnt": b"".join(part) for number, part in enumerate(parts)}


def lmdb(folder):
    return {"train/data.mdb": (lmdbs.of_pictures(folder / "lmdb", 12) / "data.mdb").read_bytes()}


def convert_pictures(path, target):
    options = convert_images.Options(image_size=8, max_bad=MAX_BAD)
    convert_images.convert(path, target, options)


def convert_writers(path, target):
    convert_hwdb.convert([path], target, convert_hwdb.Options(max_bad=MAX_BAD))


def convert_lmdb(path, target):
    convert_lsun.convert([path], target, convert_lsun.Options(image_size=8, max_bad=MAX_BAD))


@pytest.mark.parametrize(
    "members, convert",
    [(pictures, convert_pictures), (writers, convert_writers), (lmdb, convert_lmdb)],
)
def test_damaged_zips(members, convert, in_this_process, tmp_path, capsys, tally):
    path, target = tmp_path / "source.zip", tmp_path / "set"
    members = members(tmp_path)

    def convert_zip(data):
        """(pixels with label and writer, how often each comes out; how many reports; output)."""
        archives._open_once.cache_clear()  # by path, which must not change within a conversion
        shutil.rmtree(target, ignore_errors=True)
        path.write_bytes(data)
        convert(path, target)
        contents = converted_set.manifest(target)
        names = contents["extra_features"] | {"label": contents["class_names"]}
        items = [
            (item.pixels, *(names[feature][value] for feature, value in item.values.items()))
            for item in converted_set.items(target, contents)
        ]
        return Counter(items), contents["skipped_count"], capsys.readouterr().out

    sound, _, _ = convert_zip(zip_strategies.zipped(members, zipfile.ZIP_DEFLATED))

    @hypothesis.settings(max_examples=ZIPS)
    @hypothesis.given(zip_strategies.damaged(members))
    def check_converted_or_refused(damaged):
        tally["zips"] += 1
        try:
            kept, reported, said = convert_zip(damaged.data)
        except UserError as error:
            assert str(path) in str(error)
            assert not (target / "manifest.json").exists()
            tally["refused"] += 1
            return
        assert kept <= sound, "something came out that is not in the zip"
        # A damaged directory may rename a member, so that it is no picture by its name.
        complete = kept.total() + reported == sound.total()
        assert complete or "other kinds are ignored" in said, said

    check_converted_or_refused()
