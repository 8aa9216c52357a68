"""What is said of a source before it is converted, and the commands that are proposed."""

import io
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions, lmdbs, test_row_sources
from tools import convert_images, inspect

pytestmark = pytest.mark.usefixtures("no_pool")


def _report(source, max_images=0, sheet=None):
    lines = inspect.inspect(source, max_images, 1, sheet)
    return [" ".join(line.split()) for line in lines]


def _photograph(number, size=(80, 60)):
    ramps = np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(ramps).resize(size, Image.Resampling.BICUBIC)


def _messy(root):
    """Two classes, with what people have in their folders."""
    for number in range(8):
        path = root / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _photograph(number).save(path)
    (root / "cat" / "again.png").write_bytes((root / "dog" / "0.png").read_bytes())
    _photograph(1, (40, 30)).save(root / "cat" / "smaller.jpg", quality=90)
    _photograph(20, (24, 18)).convert("L").save(root / "dog" / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    _photograph(21).save(root / "dog" / "turned.jpg", exif=turned)
    clear = _photograph(22).convert("RGBA")
    clear.putalpha(100)
    clear.save(root / "dog" / "clear.png")
    whole = io.BytesIO()
    _photograph(23).save(whole, "JPEG")
    (root / "cat" / "cut.jpg").write_bytes(whole.getvalue()[:-600])
    (root / "cat" / "empty.jpg").write_bytes(b"")
    (root / "cat" / "page.jpg").write_bytes(b"<!DOCTYPE html><html></html>")
    (root / "cat" / "pointer.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (root / "labels.csv").write_text("a,b\n")
    return root


def test_a_messy_folder(tmp_path, capsys):
    source, sheet = _messy(tmp_path / "my photos"), tmp_path / "sheet.png"
    lines = _report(source, sheet=sheet)
    said = "\n".join(lines)
    for expected in (
        "2 classes (cat, dog); 1 files of other kinds are ignored (labels.csv)",
        "formats PNG 11, JPEG 2",
        "modes RGB 11, RGBA 1, L 1",
        "size shorter side 18 to 60 pixels; 0 of 13 images are square",
        "from 16 2 ########",
        "label 2 values; images of each: least 6 (cat)",
        "note transparent, laid over white (--background): 1 (dog/clear.png)",
        "note turned as their EXIF orientation says: 1 (dog/turned.jpg)",
        "bad 4 images",
        "cat/cut.jpg: it does not decode: image file is truncated",
        "cat/empty.jpg: it does not decode: it is empty, 0 bytes",
        "cat/page.jpg: it does not decode: it is an HTML page",
        "cat/pointer.png: it does not decode: it is a pointer of Git LFS",
        "duplicates 1 images are, byte for byte, one before them: dog/0.png = cat/again.png; "
        "1 have another label",
        "alike 1 images look like one before them: cat/smaller.jpg like cat/1.png",
        f"sheet {sheet}",
    ):
        assert expected in said, said
    assert "not used, though labels by the name: 1 file (labels.csv)" in capsys.readouterr().err
    assert lines[-3].startswith("python -m tools.convert_images '--source=")
    assert "few_pictures" in lines[-2] and lines[-2].endswith("--dataset=my_photos")
    assert Image.open(sheet).height == 2 * 130 + 2


def test_the_proposed_command_converts(tmp_path, monkeypatch):
    source = _messy(tmp_path / "my photos")
    monkeypatch.chdir(tmp_path)
    proposed = shlex.split(inspect.inspect(source, 0, 1)[-3])
    assert proposed[3:] == [
        f"--source={source}", "--output_dir=data/my_photos", "--image_size=16",
        "--channels=colour", "--max_bad=4",
    ]  # fmt: skip
    options = convert_images.Options(16, channels="colour", max_bad=4)
    made = convert_images.convert(source, tmp_path / "data" / "my_photos", options)
    assert sum(shard.count for shard in made.shards) == 13
    assert "--output_dir=data/my_photos_2" in inspect.inspect(source, 0, 1)[-3]


def test_a_sample_of_rows(tmp_path, capsys):
    images = np.stack([making.picture(number, 28) for number in range(40)])
    images[20] = images[0]
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    said = "\n".join(_report(tmp_path / "a.npz"))
    assert "formats array 40" in said and "--image_size=28" in said
    assert "byte for byte, one before them: images[20] = images[0]" in said
    said = "\n".join(_report(tmp_path / "a.npz", max_images=10))
    assert "sample 10 of 40 images, evenly spaced" in said and "modes L 10" in said


def test_a_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    files = [making.png(making.picture(number, 64, 3)) for number in range(6)]
    files[4:] = [files[1], b"no picture"]
    columns = {"image": [{"bytes": file} for file in files], "label": ["a", "b"] * 3}
    parquet.write_table(pytest.importorskip("pyarrow").table(columns), tmp_path / "a.parquet")
    lines = _report(tmp_path / "a.parquet")
    said = "\n".join(lines)
    assert f"source {tmp_path / 'a.parquet'}: 6 images, 2 classes (a, b) of label" in said
    assert "formats PNG 5" in lines and "a.parquet[5]: it does not decode: not an image" in said
    assert "byte for byte, one before them: a.parquet[4] = a.parquet[1]; 1 have another" in said
    assert lines[-3].endswith("--image_size=64 --max_bad=1")


def test_mnist(tmp_path):
    for stem, numbers in (("train", [0, 1, 2, 3, 1]), ("t10k", [5, 2])):
        pixels = [making.picture(number, 28)[..., 0] for number in numbers]
        test_row_sources.idx(tmp_path / f"{stem}-images-idx3-ubyte.gz", pixels)
        digits = [number % 2 for number in numbers]
        test_row_sources.idx(tmp_path / f"{stem}-labels-idx1-ubyte.gz", digits)
    lines = _report(tmp_path)
    for expected in (
        f"source {tmp_path}: 5 images of train, 2 images of test, 2 classes (0, 1)",
        "formats array 7", "modes L 7", "split train: 5 images", "split test: 2 images",
        "duplicates 2 images are, byte for byte, one before them: "
        "train-images-idx3-ubyte.gz[4] = train-images-idx3-ubyte.gz[1], "
        "t10k-images-idx3-ubyte.gz[1] = train-images-idx3-ubyte.gz[2]; 1 are in another split",
    ):  # fmt: skip
        assert expected in lines
    assert lines[-3].endswith("--image_size=28")
    said = "\n".join(_report(tmp_path / "train-images-idx3-ubyte.gz"))
    assert "5 images, 2 classes (0, 1)" in said and "split" not in said


def test_splits_and_labels_that_are_not_clear(tmp_path, capsys):
    for split, name in (("train", "a"), ("train", "b"), ("test", "c")):
        conversions.save(tmp_path / "sets" / split / f"{name}.png", ord(name))
    said = "\n".join(_report(tmp_path / "sets"))
    assert "split train: 2 images" in said and "split test: 1 images" in said
    conversions.save(tmp_path / "mixed" / "a.png")
    conversions.save(tmp_path / "mixed" / "class" / "b.png", 1)
    said = "\n".join(_report(tmp_path / "mixed"))
    assert "--labels=none" in said and "no labels" in said
    assert "has images beside class folders" in capsys.readouterr().err


def test_an_lmdb(tmp_path):
    source = lmdbs.of_pictures(tmp_path / "lmdb", 6, size=64, others={b"zz": b"no picture"})
    lines = _report(source)
    assert "formats WEBP 6" in lines and "zz: it does not decode: not an image" in "\n".join(lines)
    assert lines[-3].startswith(f"python -m tools.convert_lsun --lmdb_dir={source}")
    assert lines[-3].endswith("--image_size=64 --max_bad=1")
    assert "sample 3 of 7 images" in "\n".join(_report(source, max_images=3))


@pytest.mark.parametrize(
    ("name", "tool"),
    [("1.gnt", "convert_hwdb"), ("1.jpg.cat", "convert_cats"), ("x/data.mdb", "convert_lsun")],
)
def test_sources_of_other_converters_are_named(tmp_path, name, tool):
    path = tmp_path / "source" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert f"python -m tools.{tool} --" in _report(tmp_path / "source")[-1]
    zipped = conversions.zipped(tmp_path / "source", tmp_path / "source.zip")
    assert f"python -m tools.{tool} --" in _report(zipped)[-1]


def test_a_source_without_any_good_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert _report(tmp_path)[-1] == "No image of it can be used."
    with pytest.raises(UserError, match="does not exist"):
        _report(tmp_path / "absent")


def test_the_command(tmp_path):
    conversions.save(tmp_path / "in" / "a.png")
    command = [sys.executable, "-X", "importtime", "-m", "lsgan_tf", "inspect", "--processes=1"]
    done = subprocess.run([*command, tmp_path / "in"], capture_output=True, text=True)
    assert done.returncode == 0 and "1 images" in done.stdout
    assert "tensorflow" not in done.stderr
    done = conversions.run("inspect")
    assert (done.returncode, done.stdout) == (1, "") and "tools.inspect SOURCE" in done.stderr
    done = conversions.run("inspect", tmp_path / "in", f"--sheet={tmp_path / 'no' / 'a.png'}")
    assert done.returncode == 1 and "in a folder that exists" in done.stderr
