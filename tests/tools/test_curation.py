"""--val_fraction: which split a picture belongs to is a matter of its bytes alone."""

import hashlib
import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import cat_photographs, conversions, gnt_files, lmdbs
from tools import convert_cats, convert_images, convert_lsun
from tools.sources import any_source, curation, selection, shares
from tools.sources.image_sources import Choices

pytestmark = pytest.mark.usefixtures("no_pool")


@pytest.fixture
def source(tmp_path):
    """Sixty pictures of two classes; each of the first ten a second time, in the other class."""
    for number in range(60):
        name, other = "abab"[number % 2 :][:2]
        conversions.save(tmp_path / "p" / name / f"{number}.png", number, 1)
        if number < 10:
            conversions.save(tmp_path / "p" / other / f"copy_{number}.png", number, 1)
    return tmp_path / "p"


def divided(path, fraction=0.3, choices=Choices()):  # noqa: B008, it is frozen
    """{split: {name: label}}."""
    source = any_source.open_source(path, "--source", choices)
    listings = {"train": source, **source.more}
    shares.check_undivided(listings)
    selected = selection.select(listings, (), 0, False)
    selected, _ = curation.curate(selected, curation.Choices(None, fraction), processes=1)
    listings = selected.listings
    return {
        split: {entry.name: entry.label for entry in one.entries} for split, one in listings.items()
    }


def test_a_split_is_decided_by_the_digest_of_the_bytes(source):
    found = divided(source)
    for path in source.rglob("*.png"):
        first_digits = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        split = "test" if int(first_digits, 16) / 2**64 < 0.3 else "train"
        assert path.relative_to(source).as_posix() in found[split]
    assert sum(map(len, found.values())) == 70 and 10 < len(found["test"]) < 35


def test_copies_are_never_in_both_splits(source):
    test = divided(source)["test"]
    copies = [name for name in test if "copy" in name]
    assert copies
    for name in copies:
        original = ("b/" if name.startswith("a/") else "a/") + name[2:].removeprefix("copy_")
        assert original in test


def test_more_pictures_or_another_place_change_no_split(source, tmp_path):
    before = divided(source)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in source.rglob("*.png"):
            archive.write(path, path.relative_to(source))
    assert divided(tmp_path / "p.zip") == before
    for number in range(60, 90):
        conversions.save(source / "a" / f"{number}.png", number, 1)
    after = divided(source)
    for split, names in before.items():
        assert names.keys() < after[split].keys()
    assert before["test"].keys() <= divided(source, 0.5)["test"].keys()  # a larger share adds some


def test_rows_of_an_array(tmp_path):
    images = np.stack([making.picture(number)[..., 0] for number in range(50)])
    np.savez(tmp_path / "a.npz", images=images)
    test = divided(tmp_path / "a.npz", 0.2)["test"]
    expected = [
        f"images[{number}]"
        for number, image in enumerate(images)
        if int(hashlib.sha256(image.tobytes()).hexdigest()[:16], 16) < 0.2 * 2**64
    ]
    assert list(test) == expected != []


def test_a_share_that_leaves_a_split_empty(source):
    with pytest.raises(UserError, match=r"--val_fraction=1e-07 of 70 images leaves none for the"):
        divided(source, 1e-7)


def test_splits_that_there_are_already(source, tmp_path):
    both = tmp_path / "both"
    for split in ("train", "val"):
        shutil.copytree(source, both / split)
    with pytest.raises(UserError, match=r"the source has a split validation already.*splits=none"):
        divided(both)
    assert "test" in divided(both, choices=Choices("none", splits="none"))
    options = convert_images.Options(8, val_fraction=0.1)
    with pytest.raises(UserError, match=r"--test_source gives a split test already. Leave out"):
        convert_images.convert(source, tmp_path / "set", options, both / "val")


def test_a_set_with_a_share_held_out(source, tmp_path, capsys):
    (source / "a" / "bad.png").write_bytes(b"<html>")
    options = convert_images.Options(8, val_fraction=0.3, max_bad=1)
    done = convert_images.convert(source, tmp_path / "set", options)
    counts = {shard.split: shard.count for shard in done.shards}
    assert counts == {"train": 70 - counts["test"], "test": len(divided(source)["test"])}
    assert done.flags["val_fraction"] == 0.3 and done.skipped_count == 1
    said = f"held out for the split test: {counts['test']} of 71 images (--val_fraction=0.3)"
    assert said in capsys.readouterr().out


def is_below(content, fraction):
    return int(hashlib.sha256(content).hexdigest()[:16], 16) < fraction * 2.0**64


def counts(done):
    found = Counter()
    for shard in done.shards:
        found[shard.split] += shard.count
    return found


def test_cats(tmp_path, target):
    """Of two sources; of a photograph that is there twice both are in one split."""
    for number in range(40):
        cat_photographs.save(tmp_path / "ab"[number % 2], f"00000001_{number:03}", number)
    for number in range(10):
        cat_photographs.save(tmp_path / "b", f"00000002_{number:03}", number)
    sources = [tmp_path / "a", conversions.zipped(tmp_path / "b", tmp_path / "b.zip")]
    options = convert_cats.Options(16, val_fraction=0.3, max_images=48)
    done = convert_cats.convert(sources, target, options)
    assert done.flags["val_fraction"] == 0.3 and counts(done).total() == 48
    splits = Counter()
    for record in conversions.stored(target, with_split=True):
        number = int(record["image"][0, 0, 1])  # see `cat_photographs`
        held_out = is_below(making.png(cat_photographs.pixels_of(number)), 0.3)
        assert record["split"] == ("test" if held_out else "train")
        splits[record["split"]] += 1
    assert splits == counts(done) and splits["test"]


def test_lsun(tmp_path, target, capsys):
    """Two scenes, one of which begins with pictures of the other."""
    content = [making.png(making.picture(number, 8, 3)) for number in range(600)]
    scenes = [
        lmdbs.write(tmp_path / name, {lmdbs.key(n): content[n] for n in range(count)})
        for name, count in (("ab", 600), ("cd", 20))
    ]
    convert_lsun.convert(scenes, target, convert_lsun.Options(8, val_fraction=0.2))
    found = {"train": [], "test": []}
    for record in conversions.stored(target, with_split=True):
        (number,) = making.numbers_of(record["image"][np.newaxis])
        found[record["split"]].append((record["label"], number))
    expected = [(0, n) for n in lmdbs.in_order(600)] + [(1, n) for n in lmdbs.in_order(20)]
    assert found["test"] == [its for its in expected if is_below(content[its[1]], 0.2)]
    assert found["train"] == [its for its in expected if not is_below(content[its[1]], 0.2)]
    said = f"held out for the split test: {len(found['test'])} of 620 images (--val_fraction=0.2)"
    assert said in capsys.readouterr().out
    refused = conversions.failure(
        convert_lsun.convert, scenes, target, options=convert_lsun.Options(8)
    )
    assert "with other flags" in refused


def test_lsun_that_has_a_validation_split(tmp_path, target):
    scene, val = (lmdbs.of_pictures(tmp_path / name, 5) for name in ("train", "val"))
    refused = lmdbs.failure(scene, target, val_lmdb=val, val_fraction=0.5)
    assert "--val_lmdb gives a split validation already" in refused


@pytest.mark.parametrize("max_images", [0, 37])
def test_writers(max_images, tmp_path, target):
    """No writer is in both splits; equal files are in one."""
    for number in range(10):
        shades = [gnt_files.shade("中国"[n % 2], 10 * number + n, 3, 3) for n in range(6)]
        gnt_files.write(tmp_path / "gnt" / f"w{number}.gnt", *shades)
    shutil.copy(tmp_path / "gnt" / "w1.gnt", tmp_path / "gnt" / "again.gnt")
    done = gnt_files.convert(
        tmp_path / "gnt", target, image_size=4, val_fraction=0.4, max_images=max_images
    )
    names = done.extra_features["writer"]
    assert names == ("again", *(f"w{number}" for number in range(10)))
    records = list(conversions.stored(target, with_split=True))
    assert len(records) == (max_images or 66)
    assert {record["writer"] for record in records} == set(range(7 if max_images else 11))
    for record in records:
        name = names[record["writer"]]
        held_out = is_below((tmp_path / "gnt" / f"{name}.gnt").read_bytes(), 0.4)
        assert record["split"] == ("test" if held_out else "train")
        assert record["image"][0, 0, 0] // 10 == (1 if name == "again" else int(name[1:]))
    assert 0 < counts(done)["test"] < len(records)


def test_too_few_writers(tmp_path, target):
    gnt_files.two_writers(tmp_path / "gnt")
    refused = gnt_files.failure(tmp_path / "gnt", target, val_fraction=0.01)
    assert "--val_fraction=0.01 of 2 writers leaves none for the split test" in refused
