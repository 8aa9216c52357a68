"""From the CAT archive to a data set of faces; every unusable picture or annotation is named."""

import functools
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.datasets import pictures
from tests.datasets import making
from tests.tools import conversions
from tests.tools.cat_photographs import annotation, pixels_of, save
from tests.tools.conversions import zipped
from tools import convert_cats
from tools.convert_cats import Options

pytestmark = pytest.mark.usefixtures("no_pool")


@pytest.fixture
def archive(tmp_path):
    """Seven photographs in two folders: one face is small; an annotation and a text too many."""
    folder = tmp_path / "cats"
    for number in (3, 1, 2):
        save(folder / "CAT_01", f"00000002_00{number}", number)
    for number in (6, 4, 5):
        save(folder / "CAT_00", f"00000002_00{number}", number)
    save(folder / "CAT_00", "00000002_000", text=annotation(side=15))
    (folder / "CAT_00" / "00000003_019.jpg.cat").write_text(annotation())
    (folder / "CAT_00" / "Thumbs.db").write_bytes(b"junk")
    (folder / "CAT_00" / ".hidden.jpg").write_bytes(b"junk")
    return folder


def convert(sources, target, **options):
    sources = sources if isinstance(sources, list) else [sources]
    return convert_cats.convert(sources, target, Options(**{"image_size": 16} | options))


failure = functools.partial(conversions.failure, convert)


def images_of(target):
    """uint8 [N, H, W, 3] of a converted set, in order."""
    return np.stack([record["image"] for record in conversions.stored(target)])


def numbers(target):
    """The numbers of the photographs in the order of the records, after checking every pixel."""
    images = images_of(target)
    numbers_seen = [int(image[0, 0, 0]) * 256 + int(image[0, 0, 1]) for image in images]
    for number, image in zip(numbers_seen, images, strict=True):
        # Ears at 12 and 28; from 15 - 16 * 0.4 = 8.6 to 24.6, rounded down.
        assert np.array_equal(image, pixels_of(number)[8:24, 12:28])
    return numbers_seen


def test_a_folder(archive, target, capsys):
    done = convert(archive, target)
    assert done.image_shape == (16, 16, 3) and done.class_names is None
    assert numbers(target) == [1, 2, 3, 4, 5, 6]
    assert (
        f"{archive}: 7 photographs, 6 faces to convert; 1 faces smaller than 16 pixels are left "
        "out; 1 annotations without a photograph are ignored; 1 files of other kinds are ignored\n"
    ) in capsys.readouterr().out
    assert done.left_out == {"faces smaller than 16 pixels": 1}
    assert "left out: 1 faces smaller than 16 pixels" in done.summary(target)
    loaded = datasets.load("set", str(target.parent))
    assert (loaded.num_examples, loaded.image_shape) == (6, (16, 16, 3))
    assert loaded.class_names is None


def test_two_zips_give_the_same_bytes_as_the_folder(archive, target, tmp_path):
    (archive / "__MACOSX").mkdir()
    (archive / "__MACOSX" / "00000002_001.jpg").write_bytes(b"junk")
    from_folder = convert(archive, tmp_path / "a" / "set")
    for folder in ("CAT_00", "CAT_01"):
        zipped(archive / folder, tmp_path / f"{folder}.zip")
    from_zips = convert([tmp_path / "CAT_01.zip", tmp_path / "CAT_00.zip"], target)
    assert from_zips.fingerprint() == from_folder.fingerprint()


def test_what_is_left_out_or_bad_moves_no_other_face(tmp_path, target):
    for number in range(600):
        name = f"{number:08}_000"
        text = "9 oops" if number == 77 else annotation(side=10) if number % 9 == 0 else None
        save(tmp_path / "cats", name, number, text)
    assert len(convert(tmp_path / "cats", target, max_bad=1).shards) == 2
    assert numbers(target) == [n for n in range(600) if n % 9 and n != 77]


def test_faces_are_resized_bilinearly_and_measured_by_the_shorter_side(tmp_path, target):
    folder = save(tmp_path / "cats", "00000001_000", text=annotation(side=24))
    # x 8 .. 32; y 15 - 9.6 .. 29.4
    expected = Image.fromarray(pixels_of(0)[5:29, 8:32]).resize((12, 12), Image.Resampling.BILINEAR)
    convert(folder, target, image_size=12)
    assert np.array_equal(images_of(target)[0], expected)
    save(folder, "00000001_001", text=annotation(side=24, x=36))  # 24 .. 40: 16x24 pixels
    save(folder, "00000001_002", text=annotation(side=24, x=35))  # 23 .. 40
    done = convert(folder, tmp_path / "b" / "cats", image_size=17)
    assert done.left_out == {"faces smaller than 17 pixels": 1}
    assert len(images_of(tmp_path / "b" / "cats")) == 2


def test_faces_are_turned(tmp_path, target):
    # A quarter turn clockwise: what was above the eyes is right of them.
    text = "9 20 11 20 19 15 15 29 7 34 4 29 9 29 21 34 24 29 23 "
    convert(save(tmp_path / "cats", "00000001_000", 7, text), target)
    turned = np.rot90(pixels_of(7))  # turned x is y; turned y is 39 - x, the eyes are at 19
    assert np.array_equal(images_of(target)[0], turned[12:28, 7:23])


def test_a_grey_jpeg_becomes_rgb(tmp_path, target):
    folder = save(tmp_path / "cats", "00000001_000")
    Image.new("L", (40, 30), 77).save(folder / "00000001_000.jpg", "jpeg")
    assert convert(folder, target, encoding="jpeg").image_shape == (16, 16, 3)
    assert (images_of(target) == 77).all()


def test_annotations_belong_to_the_picture_as_it_is_seen(tmp_path, target):
    folder = save(tmp_path / "cats", "00000001_000")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    lying = Image.fromarray(np.rot90(pixels_of(5)))
    lying.save(folder / "00000001_000.jpg", "png", exif=exif)
    convert(folder, target)
    assert np.array_equal(images_of(target)[0], pixels_of(5)[8:24, 12:28])


SCRIPT = """\
wget -nc https://example.org/Data/00000002_005.jpg.cat
rm cats/00000003_019.jpg.cat
mv 00000002_005.jpg.cat cats/00000002_005.jpg.cat
rm 00000002_002.jpg 00000002_000.jpg 00000007_001.jpg
rm 00000002_002.jpg.cat 00000002_000.jpg.cat 00000007_001.jpg.cat 100000002_003 00000002_0041
"""


def test_listed_outliers_are_left_out_and_replaced_annotations_are_not(
    archive, target, tmp_path, capsys
):
    (tmp_path / "script.sh").write_text(SCRIPT)
    done = convert(archive, target, exclude=tmp_path / "script.sh")
    assert numbers(target) == [1, 3, 4, 5, 6]
    assert done.left_out == {"listed outliers": 2}  # the small face is one of them
    assert "script.sh: 3 names, 2 of them in the source" in capsys.readouterr().out
    assert "left out: 2 listed outliers" in done.summary(target)
    assert done.flags["excluded"] == ["00000002_000", "00000002_002"]
    (tmp_path / "list.txt").write_text("00000002_002\r\n00000002_000")
    again = convert(archive, target, exclude=tmp_path / "list.txt")
    assert again == done
    assert "already holds a data set" in failure(archive, target)


def test_so_many_chosen_by_their_names(archive, target):
    done = convert(archive, target, max_images=4)
    chosen = numbers(target)
    assert len(chosen) == 4 and chosen == sorted(chosen) != [1, 2, 3, 4]
    assert done.left_out["images beyond --max_images=4"] == 2
    more = target.with_name("more")
    convert(archive, more, max_images=5)
    assert set(chosen) < set(numbers(more))


def test_what_is_excluded_need_not_be_sound(archive, target, tmp_path):
    (archive / "CAT_01" / "00000002_002.jpg").write_bytes(b"junk")
    (archive / "CAT_01" / "00000002_003.jpg.cat").unlink()
    (tmp_path / "list.txt").write_text("00000002_002 00000002_003")
    assert convert(archive, target, exclude=tmp_path / "list.txt").skipped_count == 0
    assert numbers(target) == [1, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "list.txt cannot be read: No such file"),
        ("00000009_001", "names 1 pictures, none of which is in the source"),
        ("00000002_001.jpg.cat", "names 0 pictures, none of which"),
        ("00000002_001 " * 90_000, "is larger than 1048576 bytes"),
    ],
)
def test_lists_that_are_of_no_use(text, expected, archive, target, tmp_path):
    if text is not None:
        (tmp_path / "list.txt").write_text(text)
    assert expected in failure(archive, target, exclude=tmp_path / "list.txt")
    assert not target.exists()


def test_a_later_annotation_overrides_an_earlier_one(archive, target, tmp_path, capsys):
    sound = tmp_path / "00000002_005.jpg.cat"
    sound.write_text(annotation())
    wrong = archive / "CAT_00" / "00000002_005.jpg.cat"
    wrong.write_text(annotation(x=500))
    assert "is far outside" in failure(archive, target)
    packed = zipped(archive, tmp_path / "cats.zip")
    convert([packed, sound], target)
    assert numbers(target) == [1, 2, 3, 4, 5, 6]
    expected = f"CAT_00/00000002_005.jpg.cat in {packed} is overridden by {sound}\n"
    assert expected in capsys.readouterr().out
    assert "is far outside" in failure([sound, packed], tmp_path / "b")  # the last one counts


def test_many_overrides_are_counted(archive, target, tmp_path, capsys):
    for number in range(7):
        save(tmp_path / "new", f"00000002_00{number}")
        (tmp_path / "new" / f"00000002_00{number}.jpg").unlink()
    convert([archive, tmp_path / "new"], target)
    printed = capsys.readouterr().out
    assert printed.count("is overridden by") == 5 and "\n  and 2 more\n" in printed


def test_two_pictures_of_one_name(archive, target, tmp_path):
    save(archive / "CAT_06", "00000002_001")
    message = failure(archive, target)
    assert str(archive / "CAT_06" / "00000002_001.jpg") in message
    assert str(archive / "CAT_01" / "00000002_001.jpg") in message
    other = save(tmp_path / "other", "00000002_004")
    message = failure([archive / "CAT_00", zipped(other, tmp_path / "other.zip")], target)
    assert str(archive / "CAT_00" / "00000002_004.jpg") in message
    assert f"00000002_004.jpg in {tmp_path / 'other.zip'}" in message


def test_two_annotations_of_one_name_in_one_source(archive, target):
    (archive / "00000002_004.jpg.cat").write_text(annotation())
    message = failure(archive, target)
    assert str(archive / "00000002_004.jpg.cat") in message
    assert str(archive / "CAT_00" / "00000002_004.jpg.cat") in message
    assert "pass it as a --source of its own" in message


def test_bad_records_are_named_and_skipped_up_to_max_bad(archive, target):
    first, second = archive / "CAT_00", archive / "CAT_01"
    (second / "00000002_001.jpg.cat").unlink()
    (second / "00000002_002.jpg.cat").write_text("9 1 2 3")
    sound = (second / "00000002_003.jpg").read_bytes()
    (second / "00000002_003.jpg").write_bytes(sound[: len(sound) // 2])
    (first / "00000002_004.jpg.cat").write_text(annotation(x=999))
    (first / "00000002_005.jpg").write_bytes(b"junk")
    message = failure(archive, target, max_bad=4)
    assert "5 of 6 images cannot be used, more than --max_bad=4:" in message
    expected = [
        f"{second}/00000002_001.jpg: it has no annotation 00000002_001.jpg.cat",
        f"{second}/00000002_002.jpg: its annotation should be 9 and the x and y of 9 points, 19 "
        "numbers; it has 4, the first is 9",
        f"{second}/00000002_003.jpg: it does not decode: ",
        f"{first}/00000002_004.jpg: point 1 of its annotation, (995, 15), is far outside its 40x30",
        f"{first}/00000002_005.jpg: it does not decode: not an image of a known format",
    ]
    lines = message.splitlines()[1:6]
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"  {start}")
    done = convert(archive, target, max_bad=5)
    assert [f"  {skip.where}: {skip.why}" for skip in done.skipped] == lines
    assert numbers(target) == [6]


def test_damaged_and_oversized_members_of_a_zip_are_named(archive, target, tmp_path, monkeypatch):
    packed = zipped(archive, tmp_path / "cats.zip")
    with zipfile.ZipFile(packed) as members:
        picture = members.getinfo("CAT_00/00000002_004.jpg")
        text = members.getinfo("CAT_00/00000002_005.jpg.cat")
    making.flip(packed, picture.header_offset + 600, text.header_offset + 70)
    message = failure(packed, target)
    assert f"CAT_00/00000002_004.jpg in {packed}: it does not decode: Bad CRC-32" in message
    assert f"CAT_00/00000002_005.jpg in {packed}: it cannot be unpacked: " in message
    monkeypatch.setattr(pictures, "MAX_FILE_BYTES", 1000)
    assert "it is larger than 1000 bytes" in failure(archive, tmp_path / "b")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_annotation_that_may_not_be_read(archive, target):
    (archive / "CAT_00" / "00000002_004.jpg.cat").chmod(0)
    assert "00000002_004.jpg: it cannot be read: Permission denied" in failure(archive, target)


def test_nothing_to_convert(archive, target, tmp_path):
    message = failure(archive, target, image_size=128)
    assert "no face to convert in" in message and "7 faces smaller than 128 pixels" in message
    save(tmp_path / "one", "00000001_000", text="9")
    message = failure(tmp_path / "one", target, max_bad=9)
    assert "no face to convert in" in message and "19 numbers; it has 1" in message
    assert not target.exists()


@pytest.mark.parametrize(
    ("names", "source", "expected"),
    [
        (["a.rar"], "a.rar", "--source=a.rar is neither a folder nor a .zip nor an annotation"),
        (["f/a.txt"], "f", "nor annotations (NAME.jpg.cat) in f (1 files of other kinds)"),
        (
            ["f/a.zip", "f/b.zip"],
            "f",
            "in f, but a.zip and other zips. Pass each zip as a --source",
        ),
        (["f/a.jpg.cat"], "f", "there are annotations but no photographs (NAME.jpg) in f"),
    ],
)
def test_sources_that_cannot_be_used(names, source, expected, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"junk")
    assert expected in failure(Path(source), target)


def test_the_command(archive, target, tmp_path):
    (tmp_path / "script.sh").write_text(SCRIPT)
    sources = f"--source={archive / 'CAT_00'},{archive / 'CAT_01'}"
    arguments = (sources, f"--output_dir={target}", f"--exclude={tmp_path / 'script.sh'}")
    done = conversions.run("convert_cats", *arguments, "--image_size=16", "--processes=2")
    assert done.returncode == 0, done.stderr
    assert f"{target}: 5 images, 16x16x3, no labels" in done.stdout
    assert "left out: 2 listed outliers" in done.stdout
    assert numbers(target) == [1, 3, 4, 5, 6]
