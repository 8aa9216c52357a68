"""--deduplicate: the first of equal pictures stays; what goes is counted, named and shown."""

import csv

import numpy as np
import pytest
from PIL import Image, ImageFilter

from lsgan_tf.utils.errors import UserError
from tests.tools import conversions
from tests.tools.conversions import save
from tools import convert_images
from tools.sources import any_source, curation, selection
from tools.sources.image_sources import Choices

pytestmark = pytest.mark.usefixtures("no_pool")


def photograph(number, size=96):
    """Smooth colours that belong to `number`."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)


@pytest.fixture
def source(tmp_path):
    """Eight photographs of two classes, and copies: equal, of the other class, and changed."""
    for number in range(8):
        path = tmp_path / "p" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(number).save(path)
    photograph(0).save(tmp_path / "p" / "a" / "zero.png")
    photograph(1).save(tmp_path / "p" / "a" / "one.png")  # which is of class b as well
    photograph(2).save(tmp_path / "p" / "a" / "two.jpg", quality=80)
    photograph(4, 60).save(tmp_path / "p" / "a" / "four.png")
    photograph(6).filter(ImageFilter.GaussianBlur(1)).save(tmp_path / "p" / "b" / "six.png")
    return tmp_path / "p"


def left(source, how, test_source=None):
    """{split: names}, {dropped: kept}."""
    listings = {"train": any_source.open_source(source, "--source", Choices())}
    if test_source:
        listings["test"] = any_source.open_source(test_source, "--test_source", Choices())
    selected = selection.select(listings, (), 0, False)
    selected, pairs = curation.curate(selected, curation.Choices(how), processes=1)
    names = {
        split: {entry.name for entry in one.entries} for split, one in selected.listings.items()
    }
    return names, {pair.dropped.entry.name: pair.kept.entry.name for pair in pairs}


EQUAL = {"a/zero.png": "a/0.png", "b/1.png": "a/one.png"}


def test_equal_bytes(source):
    names, pairs = left(source, "exact")
    assert pairs == EQUAL
    assert len(names["train"]) == 11 and not names["train"] & pairs.keys()


def test_pictures_that_look_alike_and_are_of_one_class(source):
    names, pairs = left(source, "near")
    assert pairs.keys() - EQUAL.keys() in ({"a/two.jpg", "a/four.png"}, {"a/2.png", "a/four.png"})
    assert {"a/6.png", "b/six.png"} <= names["train"]  # they are of two classes


def test_a_picture_that_is_held_out_leaves_train(source, tmp_path):
    for name, number in (("a/x.png", 2), ("a/y.png", 20), ("a/z.png", 20), ("b/x.png", 21)):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        photograph(number).save(tmp_path / "t" / name)
    names, pairs = left(source, "exact", tmp_path / "t")
    assert pairs == EQUAL | {"a/2.png": "a/x.png", "a/z.png": "a/y.png"}
    assert names["test"] == {"a/x.png", "a/y.png", "b/x.png"}


def test_what_is_no_picture_is_no_duplicate(source):
    for number in range(3):
        (source / "a" / f"bad{number}.png").write_bytes(b"")
        (source / "b" / f"page{number}.png").write_bytes(b"<html>")
    names, pairs = left(source, "near")
    assert len(names["train"]) == 19 - 4 and len(pairs) == 4


def test_a_set_without_duplicates(source, target, capsys):
    done = conversions.convert(source, target, deduplicate="near")
    assert sum(shard.count for shard in done.shards) == 9
    assert done.left_out == {
        "images that equal another, byte for byte (--deduplicate)": 2,
        "images that look like another of their class (--deduplicate)": 2,
    }
    told = capsys.readouterr().err
    assert "2 images that equal another, byte for byte (a/zero.png as a/0.png, " in told
    assert "another label than the one that stays: a/one.png (a) and b/1.png (b);" in told
    report = target.with_name("set.duplicates.csv")
    assert f"all pairs are listed in {report}" in told
    with open(report, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["how"] for row in rows] == ["alike", "alike", "equal", "equal"]
    assert (rows[2]["kept"], rows[2]["kept_class"], rows[2]["dropped_class"]) == (
        "a/one.png", "a", "b",
    )  # fmt: skip
    with Image.open(target.with_name("set.duplicates.png")) as sheet:
        assert sheet.size == (4 * (128 + 6) + 6, 64 + 12)
    assert conversions.convert(source, target, deduplicate="near") == done  # the report is replaced
    refused = conversions.failure(conversions.convert, source, target, deduplicate="exact")
    assert "with other flags" in refused


def test_other_files_in_the_place_of_the_report(source, target):
    save(target.with_name("set.duplicates.png"))
    with pytest.raises(UserError, match=r"set\.duplicates\.png, where another file is\. Move that"):
        conversions.convert(source, target, deduplicate="exact")


def test_duplicates_go_before_a_share_is_held_out(source, target):
    options = convert_images.Options(8, deduplicate="exact", val_fraction=0.4)
    done = convert_images.convert(source, target, options)
    assert sum(shard.count for shard in done.shards) == 11 and done.splits == ("train", "test")
