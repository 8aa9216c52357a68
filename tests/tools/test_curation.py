"""--val_fraction: which split a picture belongs to is a matter of its bytes alone."""

import hashlib
import shutil
import zipfile

import numpy as np
import pytest

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions
from tools import convert_images
from tools.sources import any_source, curation, selection
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
    curation.check_undivided(listings, "")
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
