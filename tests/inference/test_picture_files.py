"""Many pictures of `python -m lsgan_tf.sample`: which classes they are of, and the files."""

import collections
import csv
import io
import resource
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import dataset
from lsgan_tf.inference import load, picture_files, sampler
from lsgan_tf.utils import images
from lsgan_tf.utils.errors import UserError
from tools import convert_images

# Twelve classes, more than a grid has columns, in the order of their ids.
NAMES = ("all", "b/c", "cat", "data", "eel, moray", "f" * 60, "..", "h", "i", "j", "永", "zebra")
SAFE = ("all", "b_c", "cat", "data", "eel_moray", "f" * 40, "..", "h", "i", "j", "永", "zebra")
FREQUENCIES = [38] + [2] * 11


@pytest.fixture(scope="module")
def twelve(data_dir, trained_once):
    """The directory of a run of these classes, of which the first is frequent in the data."""
    source = data_dir / "twelve.npz"
    labels = np.repeat(np.arange(12), FREQUENCIES)
    pictures = np.random.default_rng(1).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(source, images=pictures, labels=labels, class_names=list(NAMES))
    convert_images.convert(source, data_dir / "twelve", convert_images.Options(image_size=8))
    return trained_once(dataset="twelve", conditional=True).run_dir


def expected(run_dir, labels):
    generator = load.load(run_dir).generator
    z = sampler.draw_latents(generator, len(labels), seed=0)
    return sampler.Sampler(generator)(z, np.int32(labels))


def read_table(directory):
    with open(Path(directory) / "labels.csv", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_separate_files(run_sample, trained, tmp_path):
    run_sample(run_dir=trained, num=3, separate=True, output=str(tmp_path / "many"))
    files = sorted((tmp_path / "many").iterdir())
    assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
    run_sample(run_dir=trained, num=2, separate=True, output=str(tmp_path / "many"))
    assert len(list((tmp_path / "many").iterdir())) == 2
    (tmp_path / "many" / "holiday.png").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"holds other files \('holiday.png'\)"):
        run_sample(run_dir=trained, num=2, separate=True, output=str(tmp_path / "many"))
    assert len(list((tmp_path / "many").iterdir())) == 3
    assert Image.open(files[0]).size == (8, 8)


def test_separate_files_are_of_all_classes_in_turn(run_sample, twelve, tmp_path):
    directory = Path(run_sample(run_dir=twelve, separate=True, num=25, output=f"{tmp_path}/many"))
    labels = [number % 12 for number in range(25)]
    files = [f"{number:05d}-{SAFE[label]}.png" for number, label in enumerate(labels)]
    assert sorted(path.name for path in directory.iterdir()) == [*files, "labels.csv"]
    rows = [[file, str(i), NAMES[i]] for file, i in zip(files, labels, strict=True)]
    assert read_table(directory) == [["file", "label id", "class name"], *rows]
    pictures = [np.asarray(Image.open(directory / file))[..., None] for file in files]
    np.testing.assert_array_equal(pictures, expected(twelve, labels))
    assert not np.array_equal(*expected(twelve, [0, 0])[:2])
    # Another call replaces what the table lists, and nothing that it does not.
    run_sample(run_dir=twelve, separate=True, num=3, labels="zebra,2", output=str(directory))
    files = ["00000-zebra.png", "00001-cat.png", "00002-zebra.png"]
    assert sorted(path.name for path in directory.iterdir()) == [*files, "labels.csv"]
    (directory / "00007-holiday.png").write_bytes(b"precious")
    with pytest.raises(UserError, match="holds other files"):
        run_sample(run_dir=twelve, separate=True, num=3, output=str(directory))
    assert len(list(directory.iterdir())) == 5


def test_pictures_have_room_for_all_classes_by_default(run_sample, twelve, tmp_path, monkeypatch):
    from lsgan_tf import sample

    monkeypatch.setattr(sample, "_DEFAULT_NUM", 4)
    path = run_sample(run_dir=twelve, output=f"{tmp_path}/s.npz")
    assert np.load(path)["labels"].tolist() == list(range(12))
    path = run_sample(run_dir=twelve, interpolate="strip", frames=2)
    assert Image.open(path).size == (22, 12 * 10 + 2)
    path = run_sample(run_dir=twelve, interpolate="strip", frames=2, labels="all")
    assert Image.open(path).size == (22, 12 * 10 + 2)


def test_classes_that_are_left_out_are_told(run_sample, twelve, capsys):
    for arguments, shown in (
        ({}, "the first 10 of 12 classes are shown (all, b/c, cat"),
        ({"columns": 2}, "the first 2 of 12 classes are shown (all, b/c); --labels=all shows each"),
        ({"num": 3, "separate": True}, "the first 3 of 12 classes are shown (all, b/c, cat);"),
        ({"num": 3, "interpolate": "gif"}, "the first 2 of 12 classes are shown"),
    ):
        run_sample(run_dir=twelve, reals=None if arguments else False, **arguments)
        assert shown in capsys.readouterr().err
    path = run_sample(run_dir=twelve, labels="all", reals=False)
    assert Image.open(path).size == (12 * 10 + 2, 82)
    assert "classes are shown" not in capsys.readouterr().err
    with pytest.raises(UserError, match="names 12 classes, one column each: --columns=2 has no"):
        run_sample(run_dir=twelve, labels="all", columns=2)


def test_labels_of_the_data_are_as_frequent_as_there(run_sample, twelve, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset.Dataset, "examples", None)  # the pictures are not decoded

    def draw(num, seed):
        path = f"{tmp_path}/{num}-{seed}.npz"
        run_sample(run_dir=twelve, labels="data", num=num, seed=seed, output=path)
        return np.load(path)["labels"].tolist()

    labels = draw(120, 0)
    assert np.bincount(labels).tolist() == [2 * count for count in FREQUENCIES]
    assert draw(20, 0) == labels[:20] and draw(20, 1) != labels[:20]
    with pytest.raises(UserError, match="--labels=data: data set twelve is not in"):
        run_sample(run_dir=twelve, labels="data", separate=True, data_dir=str(tmp_path))
    with pytest.raises(UserError, match="--labels=data is for many pictures"):
        run_sample(run_dir=twelve, labels="data")


def test_words_hide_no_class(run_sample, twelve, tmp_path, capsys):
    output = f"{tmp_path}/s.npz"
    for labels, chosen, hint in (
        ("all", set(range(12)), "--labels=all is each class; to mean classes of that name: "
         "--labels=0\n"),
        ("data", None, "often as in the data; to mean classes of that name: --labels=3\n"),
        ("3", {3}, ""),
        ("data,all", {0, 3}, ""),
    ):  # fmt: skip
        path = run_sample(run_dir=twelve, labels=labels, num=12, output=output)
        assert chosen in (None, set(np.load(path)["labels"].tolist()))
        error = capsys.readouterr().err
        assert hint in error and bool(hint) == bool(error)


def test_other_labels_are_other_files(run_sample, twelve):
    paths = [run_sample(run_dir=twelve, labels=labels, num=2) for labels in ("cat,h", "2,7", "h")]
    assert [Path(path).name for path in paths] == [
        "sample-0000012-raw-cat-h-seed0.png",
        "sample-0000012-raw-cat-h-seed0.png",
        "sample-0000012-raw-h-seed0.png",
    ]
    directory = run_sample(run_dir=twelve, labels="data", num=2, separate=True)
    assert Path(directory).name == "sample-0000012-raw-as-in-data-seed0"


def test_names_of_classes_in_file_names_are_safe_short_and_differ():
    many = [str(number) for number in range(1000)]
    lists = [
        ["a/b"],
        ["a_b"],
        ["a", "b"],
        ["a-b"],
        ["b", "a"],
        [".."],
        ["永", "和"],
        many,
        many[:99],
    ]
    parts = [picture_files.safe_names(names) for names in lists]
    assert len(set(parts)) == len(parts)
    assert parts[1:3] == ["a_b", "a-b"] and parts[6] == "永-和"
    assert all(len(part) < 50 and "/" not in part for part in parts)


@pytest.mark.parametrize(
    ("ending", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".jpeg", "JPEG"), (".JPG", "JPEG")]
)
def test_the_ending_says_how_a_picture_is_written(run_sample, trained, tmp_path, ending, kind):
    grid, strip = tmp_path / f"grid{ending}", tmp_path / f"strip{ending}"
    run_sample(run_dir=trained, num=4, output=str(grid))
    run_sample(run_dir=trained, num=2, interpolate="strip", frames=3, output=str(strip))
    assert [Image.open(path).format for path in (grid, strip)] == [kind, kind]
    assert Image.open(grid).size == (22, 22)


def test_jpegs_are_of_quality_95_and_bounded():
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95)
    assert images.encode_jpeg(picture) == file.getvalue()
    with pytest.raises(UserError, match="JPEG has at most 65,500 pixels a side.*Write a .png"):
        images.encode_jpeg(np.zeros((65_501, 1, 1), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "s.tiff"}, "--output=s.tiff must end in .png, .jpg, .jpeg or .npz.$"),
        ({"output": "s"}, "--output=s must end in .png"),
        ({"output": "w.png", "interpolate": "gif"}, "must end in .gif with --interpolate=gif"),
        ({"output": "w.gif"}, "--output=w.gif must end in .png, .jpg, .jpeg or .npz"),
        ({"output": "w.npz", "interpolate": "strip"}, "end in .png, .jpg or .jpeg with --interpol"),
        ({"output": "t.png", "timelapse": "gif"}, "must end in .gif with --timelapse=gif"),
        ({"output": "t.jpg", "timelapse": "png"}, "must end in .png with --timelapse=png"),
        ({"output": "s.npz", "separate": True}, "--output=s.npz must be a folder with --separate"),
        ({"output": "s.npz", "reals": True}, "--reals goes with a grid, without"),
        ({"output": "s.npz", "columns": 2}, "--columns goes with a grid, without"),
        ({"separate": True, "columns": 2}, "--columns goes with a grid, without"),
        ({"interpolate": "gif", "columns": 2}, "--columns goes with a grid, without"),
    ],
)
def test_what_does_not_go_together_is_refused(
    run_sample, trained, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run_sample(**{"run_dir": trained, **arguments})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(run_sample, trained, tmp_path):
    (tmp_path / "s.npz").mkdir()
    with pytest.raises(UserError, match="s.npz is a folder; name a file"):
        run_sample(run_dir=trained, output=str(tmp_path / "s.npz"))


def test_an_array_of_pictures_and_labels(run_sample, trained, twelve, tmp_path):
    path = run_sample(run_dir=twelve, num=70, output=f"{tmp_path}/s.npz")
    labels = [number % 12 for number in range(70)]
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == ["arr_0", "labels"]
        assert stored["arr_0"].dtype == np.uint8 and stored["labels"].dtype == np.int64
        np.testing.assert_array_equal(stored["arr_0"], expected(twelve, labels))
        assert stored["labels"].tolist() == labels
    path = run_sample(run_dir=trained, num=2, output=f"{tmp_path}/s.NPZ")
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == ["arr_0"] and stored["arr_0"].shape == (2, 8, 8, 1)
    assert zipfile.ZipFile(path).testzip() is None


def test_many_pictures_are_made_and_drawn_in_batches(run_sample, trained, tmp_path, monkeypatch):
    """The first pictures are those of a smaller number."""
    sizes = collections.Counter()
    call = sampler.Sampler.__call__

    def counted(self, z, labels=None):
        sizes[len(z)] += 1
        return call(self, z, labels)

    monkeypatch.setattr(sampler.Sampler, "__call__", counted)
    many = np.load(run_sample(run_dir=trained, num=200, output=f"{tmp_path}/many.npz"))["arr_0"]
    directory = run_sample(run_dir=trained, num=200, separate=True, output=f"{tmp_path}/many")
    assert sizes == {64: 6, 8: 2}
    few = np.load(run_sample(run_dir=trained, num=64, output=f"{tmp_path}/few.npz"))["arr_0"]
    np.testing.assert_array_equal(many[:64], few)
    grid = np.asarray(Image.open(run_sample(run_dir=trained, num=64)))
    np.testing.assert_array_equal(grid[..., None], images.grid(few, 8))
    last = np.asarray(Image.open(Path(directory) / "00199.png"))
    np.testing.assert_array_equal(last[..., None], many[-1])


@pytest.mark.parametrize("write", ["array", "files"])
def test_a_batch_is_held_at_a_time(tmp_path, write):
    def batches():
        for number in range(40):
            yield np.full((2, 256, 256, 3), number, np.uint8)

    tracemalloc.start()
    try:
        if write == "array":
            picture_files.write_array(tmp_path / "s.npz", batches(), (80, 256, 256, 3))
        else:
            picture_files.write_separately(tmp_path / "many", batches(), 80)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2 * 256 * 256 * 3


def test_nothing_half_written_is_left(run_sample, trained, tmp_path):
    """A file-size limit is met like a full disk."""
    path = tmp_path / "s.npz"
    path.write_bytes(b"before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError, match=f"no space left .* while writing {path}"):
            run_sample(run_dir=trained, num=1000, output=str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
