"""Pixels by the fixed range, grids, PNG."""

import io

import numpy as np
from PIL import Image

from lsgan_tf.utils import images


def test_pixels_are_mapped_by_the_fixed_range_and_never_stretched():
    faint = np.float32([-0.1, 0.0, 0.1])
    np.testing.assert_array_equal(images.to_uint8(faint, (-1, 1)), [115, 128, 140])
    np.testing.assert_array_equal(images.to_uint8([-1.5, -1, 1, 9], (-1, 1)), [0, 0, 255, 255])
    np.testing.assert_array_equal(images.to_uint8([0.0, 0.5, 1.0], (0, 1)), [0, 128, 255])


def test_grid_goes_row_by_row():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    sheet = images.grid(pictures, columns=2, gap=1)
    assert sheet.shape == (10, 9, 1)
    assert sheet[1, 1, 0] == 0 and sheet[1, 5, 0] == 1 and sheet[4, 1, 0] == 2
    assert sheet[7, 1, 0] == 4 and sheet[7, 5, 0] == 128  # the empty last place
    assert sheet[0].tolist() == [[128]] * 9


def test_png_round_trip_in_grey_and_colour():
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        picture = rng.integers(0, 256, (5, 7, channels), np.uint8)
        decoded = np.asarray(Image.open(io.BytesIO(images.encode_png(picture))))
        np.testing.assert_array_equal(decoded.reshape(picture.shape), picture)


def test_gif_has_all_frames_and_shows_equal_ones_longer():
    frames = (np.full((4, 4, 1), value, np.uint8) for value in (0, 100, 200, 200))
    gif = Image.open(io.BytesIO(images.encode_gif(frames, frames_per_second=10)))
    assert gif.n_frames == 3
    gif.seek(2)
    assert gif.info["duration"] == 200


def test_a_sample_grid_has_a_column_for_each_of_ten_classes_at_most():
    sizes = {classes: images.grid_size(classes) for classes in (0, 2, 10, 11)}
    assert sizes == {0: (8, 8), 2: (8, 2), 10: (8, 10), 11: (8, 10)}
