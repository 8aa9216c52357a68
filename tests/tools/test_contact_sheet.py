"""Contact sheets show the right images in the right rows, and stay small."""

import io

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import manifest, writer
from tests.datasets import making
from tests.tools.verified_sets import GREYS, findings
from tools.verifying import contact_sheet

pytestmark = pytest.mark.usefixtures("no_pool")


def sheet_tiles(data, rows, columns, tile):
    """The tiles of a sheet, whose right part is a grid: uint8 [rows, columns, tile, tile]."""
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    pitch = tile + 2
    grid = pixels[2:, pixels.shape[1] - columns * pitch :].reshape(rows, pitch, columns, pitch)
    return grid.swapaxes(1, 2)[:, :, :tile, :tile]


def test_the_contact_sheet_has_a_row_for_each_class(made):
    tiles = sheet_tiles(findings(made).sheet, rows=3, columns=8, tile=56)
    for row, grey in enumerate(GREYS):
        assert (tiles[row, :, 7:, :] == grey).all()
        # All eight of the class, in the order of the set, each pixel enlarged to 7x7.
        assert tiles[row, :, :7, :7].reshape(8, 49).tolist() == [
            [number] * 49 for number in range(row, 24, 3)
        ]


def test_the_contact_sheet_of_an_unlabelled_set_spreads_over_it(tmp_path):
    directory = tmp_path / "tiny"
    writer.write(directory, making.plan(200, labelled=False), processes=2)
    tiles = sheet_tiles(findings(directory).sheet, rows=8, columns=8, tile=56)
    small = tiles[:, :, 3::7, 3::7].reshape(64, 8, 8, 1)
    numbers = making.numbers_of(small)
    assert [number * 64 // 200 for number in numbers] == list(range(64))
    for image, number in zip(small, numbers, strict=True):
        assert np.array_equal(image, making.picture(number))


def test_rows_of_many_classes_and_names_that_cannot_be_drawn():
    shard = manifest.Shard("x", "train", 60, 0, "")
    names = tuple(map(chr, range(0x4E00, 0x4E00 + 30)))
    contents = manifest.Manifest(
        "x", (8, 8, 1), "png", names, {}, "", "", {}, "", (shard,), 0, (), {}
    )
    gallery = contact_sheet.Gallery.of(contents)
    assert gallery.classes == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    font = contact_sheet.Font(None)
    assert font.shown("一") == "U+4E00" and font.shown("Ärger") == "Ärger"
    assert font.shown("a\nb") == "U+0061 U+000A U+0062"
    gallery.offer((0, 9), 5, Image.new("L", (8, 8), 77))
    gallery.offer((0, 10), 6, Image.new("L", (8, 8), 99))  # no row is its
    tiles = sheet_tiles(contact_sheet.draw(gallery, 8, font), 12, 1, 56)
    assert tiles[:, 0, 0, 0].tolist() == [128, 128, 77, *[128] * 9]


@pytest.mark.parametrize("labelled", [True, False])
def test_sheets_of_large_noise_stay_small(labelled):
    shard = manifest.Shard("x", "train", 64, 0, "")
    contents = manifest.Manifest(
        "x", (200, 200, 3), "png", ("a",) if labelled else None, {}, "", "", {}, "", (shard,), 0,
        (), {},
    )  # fmt: skip
    gallery, rng = contact_sheet.Gallery.of(contents), np.random.default_rng(0)
    for number in range(64):
        noise = rng.integers(0, 256, (200, 200, 3), np.uint8)
        gallery.offer((0, number), 0 if labelled else None, Image.fromarray(noise))
    data = contact_sheet.draw(gallery, 200, contact_sheet.Font(None))
    assert 150_000 < len(data) <= 300_000
