"""The animation and the picture of a training, made of sample grids as training writes them."""

import os

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.config import Config
from lsgan_tf.runs import timelapse
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils import images
from lsgan_tf.utils.errors import UserError

SIDE = 8
CAPTION = 20  # two lines of the smallest text


def _claimed(directory, *, channels=1, classes=None):
    run = Run(directory)
    config = Config(dataset="small", run_dir=str(directory), conditional=classes is not None)
    run.claim(config, DataFacts((SIDE, SIDE, channels), 50, classes, "f00d"))
    return run


@pytest.fixture
def run(tmp_path):
    return _claimed(tmp_path / "run")


def _grid(value, columns=8, channels=1):
    """A grid of eight rows: image i has the grey value `value` + i."""
    shades = value + np.arange(8 * columns, dtype=np.uint8)[:, None, None, None]
    return images.grid(shades * np.ones((1, SIDE, SIDE, channels), np.uint8), columns)


def _sample(run, *steps):
    """Writes the same grid at each of many steps."""
    data = images.encode_png(_grid(0))
    for step in steps:
        run.sample_path(step).write_bytes(data)


def _frames(path):
    """[(pixels [H, W] of a frame, milliseconds)]."""
    gif, frames = Image.open(path), []
    for index in range(gif.n_frames):
        gif.seek(index)
        frames.append((np.asarray(gif.convert("L")), gif.info["duration"]))
    return frames


@pytest.mark.parametrize("kind", timelapse.KINDS)
def test_a_scale_enlarges_the_grids_and_not_the_text(run, tmp_path, kind):
    run.write_sample(0, _grid(10))
    run.write_sample(500, _grid(80))
    timelapse.write(run, kind, tmp_path / "film", scale=4)
    picture = np.asarray(Image.open(tmp_path / "film").convert("L"))
    grid = np.kron(_grid(10)[..., 0], np.ones((4, 4), np.uint8))
    shown = grid if kind == "gif" else grid[: 4 * (SIDE + 2 * images.GAP)]
    np.testing.assert_array_equal(picture[: len(shown), -grid.shape[1] :], shown)


def test_the_animation_has_the_grids_in_order_and_holds_the_last(run, tmp_path):
    for step, value in ((12_345_678, 150), (0, 10), (500, 80)):
        run.write_sample(step, _grid(value))
    path = tmp_path / "film.gif"
    assert timelapse.write(run, "gif", path) == [0, 500, 12_345_678]
    (first, short), (second, _), (last, held) = _frames(path)
    for frame, value in ((first, 10), (second, 80), (last, 150)):
        np.testing.assert_array_equal(frame[:-CAPTION], _grid(value)[..., 0])
    assert first.shape == (82 + CAPTION, 82)
    captions = [frame[-CAPTION:] for frame in (first, second, last)]
    assert all((caption < 64).any() and (caption > 192).any() for caption in captions)
    assert (captions[0] != captions[1]).any()
    assert short == 120 and held > 2000
    assert Image.open(path).info["loop"] == 0


def test_the_picture_has_a_row_of_the_same_latents_for_each_step(run, tmp_path):
    for step, value in ((0, 10), (500, 80), (1000, 150)):
        run.write_sample(step, _grid(value))
    assert timelapse.write(run, "png", tmp_path / "rows.png") == [0, 500, 1000]
    picture = np.asarray(Image.open(tmp_path / "rows.png"))
    label = picture.shape[1] - 82
    assert picture.shape[0] == 3 * 12 and 20 < label < 60
    for row, value in enumerate((10, 80, 150)):
        here = picture[12 * row : 12 * (row + 1)]
        np.testing.assert_array_equal(here[:, label:], _grid(value)[:12, :, 0])
        assert (here[:, :label] < 64).any() and (here[:, :label] > 192).any()


def test_a_conditional_run_has_a_column_for_each_class(tmp_path):
    run = _claimed(tmp_path / "run", channels=3, classes=("a", "b", "c"))
    run.write_sample(0, _grid(100, columns=3, channels=3))
    timelapse.write(run, "png", tmp_path / "rows.png")
    picture = Image.open(tmp_path / "rows.png")
    assert picture.mode == "RGB"
    pixels = np.asarray(picture)[:, -32:]
    assert pixels[6, [6, 16, 26]].tolist() == [[100] * 3, [101] * 3, [102] * 3]
    assert timelapse.write(run, "gif", tmp_path / "film.gif") == [0]
    assert Image.open(tmp_path / "film.gif").size == (32, 82 + CAPTION)


def test_the_picture_shows_more_of_the_beginning(run, tmp_path):
    _sample(run, *range(0, 4001, 100))
    shown = timelapse.write(run, "png", tmp_path / "rows.png")
    assert shown == [0, 100, 200, 400, 700, 1300, 2300, 4000]  # 40 ** (i / 7), nearly


def test_of_many_grids_two_hundred_become_frames(run, tmp_path):
    _sample(run, *range(300))
    shown = timelapse.write(run, "gif", tmp_path / "film.gif")
    assert len(shown) == Image.open(tmp_path / "film.gif").n_frames == 200
    assert shown[0] == 0 and shown[-1] == 299
    assert set(np.diff(shown)) == {1, 2}


def test_large_grids_become_fewer_frames(run, tmp_path, monkeypatch):
    _sample(run, *range(9))
    for pixels, steps in ((3 * 82 * 82, [0, 4, 8]), (0, [0, 8])):
        monkeypatch.setattr(timelapse, "_MOST_PIXELS", pixels)
        assert timelapse.write(run, "gif", tmp_path / "film.gif") == steps


def test_other_files_are_no_grids(run, tmp_path):
    _sample(run, 5, 10_000_000)
    for name in ("12.png", "00000012.png", "0000012 (1).png", "0000012.jpg", "latents.npy"):
        (run.samples / name).write_bytes(b"?")
    assert timelapse.write(run, "gif", tmp_path / "film.gif") == [5, 10_000_000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it does not decode: it is empty, 0 bytes"),
        (images.encode_png(_grid(0))[:-60], "it does not decode"),
        (images.encode_png(_grid(0)[:-10]), "it has 82x72 pixels, the run's grids 82x82"),
    ],
)
def test_a_grid_that_cannot_be_used_is_named(run, tmp_path, content, message):
    _sample(run, 0, 1, 2)
    run.sample_path(1).write_bytes(content)
    for kind in timelapse.KINDS:
        with pytest.raises(UserError) as refusal:
            timelapse.write(run, kind, tmp_path / "out")
        text = str(refusal.value)
        assert text.startswith(f"{run.sample_path(1)} cannot be used: {message}")
        assert f"Move it out of {run.samples}" in text
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_no_file_or_too_large_is_not_read(run, tmp_path, monkeypatch):
    os.mkfifo(run.sample_path(0))
    with pytest.raises(UserError, match="it is no file"):
        timelapse.write(run, "gif", tmp_path / "film.gif")
    run.sample_path(0).unlink()
    _sample(run, 0)
    monkeypatch.setattr("lsgan_tf.datasets.pictures.MAX_FILE_BYTES", 100)
    with pytest.raises(UserError, match="it is larger than 100 bytes"):
        timelapse.write(run, "gif", tmp_path / "film.gif")


def test_a_run_without_grids_says_what_makes_them(run, tmp_path):
    with pytest.raises(UserError, match=r"holds no sample grid .* --sample_every steps"):
        timelapse.write(run, "gif", tmp_path / "film.gif")
    with pytest.raises(UserError, match="not a run directory"):
        timelapse.write(Run(tmp_path / "absent"), "png", tmp_path / "rows.png")
