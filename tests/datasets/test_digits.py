"""The rendered digits: what they look like in numbers, and that they are always the same."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import digits, writer

pytestmark = pytest.mark.usefixtures("no_pool")


def pixels(image):
    return np.asarray(image)


@pytest.mark.parametrize("typeface", digits.TYPEFACES)
def test_every_typeface_has_ten_different_digits(typeface):
    drawn = [
        pixels(digits.draw_glyph(digit, typeface, 64).resize((40, 64))) for digit in "0123456789"
    ]
    for number, one in enumerate(drawn):
        for other in drawn[:number]:
            assert np.abs(one.astype(int) - other).mean() > 5


def test_printed_digits_lie_within_their_frame_at_readable_sizes():
    images = np.stack([pixels(digits.render_printed(index)) for index in range(500)])
    assert images.shape == (500, 28, 28) and images.dtype == np.uint8
    ink = images > 64
    heights = ink.any(axis=2).sum(axis=1)
    assert heights.min() >= 13 and heights.max() <= 28
    assert 19 < np.median(heights) < 23
    assert (ink.any(axis=1).sum(axis=1) >= 3).all()


def test_printed_digits_vary_in_place():
    images = np.stack([pixels(digits.render_printed(index)) for index in range(0, 1000, 10)])
    centres = (images.sum(axis=1) @ np.arange(28)) / images.sum(axis=(1, 2))
    assert np.ptp(centres) > 6


def test_printed_digits_plan_is_balanced_and_whole():
    plan = digits.plan_printed()
    assert sum(job.expected for job in plan.jobs) == digits.PRINTED_COUNT == 60_000
    bounds = [job.arguments for job in plan.jobs]
    assert bounds[0][0] == 0 and bounds[-1][1] == 60_000
    assert all(a[1] == b[0] for a, b in zip(bounds[:-1], bounds[1:], strict=True))


def test_rendering_does_not_depend_on_the_processes(tmp_path):
    one = writer.write(tmp_path / "a", digits.plan_printed(600), processes=1)
    two = writer.write(tmp_path / "b", digits.plan_printed(600), processes=2)
    assert [shard.sha256 for shard in one.shards] == [shard.sha256 for shard in two.shards]


@pytest.mark.parametrize(
    ("plan", "image"),
    [
        (digits.plan_printed(600), digits.render_printed(7)),
        (digits.plan_small(digits.SHIFT), digits.render_small(7, rotate=False)),
        (digits.plan_small(digits.ROTATE), digits.render_small(7, rotate=True)),
    ],
)
def test_records_hold_what_is_rendered(plan, image):
    _, _, *options = plan.jobs[0].arguments  # first image, end
    (record,) = plan.jobs[0].produce(7, 8, *options)
    assert record.label == 7
    assert np.array_equal(pixels(Image.open(io.BytesIO(record.image))), pixels(image))


def test_stray_arguments_are_refused(tmp_path):
    command = [sys.executable, "-m", "lsgan_tf.datasets.embedded"]
    command += ["--name=digits_shift", f"--data_dir={tmp_path}", "stray"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: not a flag: stray") and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_labels_are_what_is_drawn():
    # The upright STIX digit that correlates best with a shifted image is the one of its label.
    for index in range(40):
        image = pixels(digits.render_small(index, rotate=False)).astype(float)
        scores = []
        for digit in "0123456789":
            glyph = pixels(digits._small_glyph(digit)).astype(float)
            best = min(
                np.abs(np.pad(glyph, ((0, 0), (x, 28 - glyph.shape[1] - x))) - image).sum()
                for x in range(28 - glyph.shape[1] + 1)
            )
            scores.append(best)
        assert np.argmin(scores) == index % 10 and min(scores) == 0


def test_small_digits_fill_the_height_and_every_place():
    for digit in range(10):
        images = [digits.render_small(digit + 10 * n, rotate=False) for n in range(200)]
        boxes = np.array([Image.Image.getbbox(image) for image in images])
        assert (boxes[:, 1] == 0).all() and (boxes[:, 3] == 28).all()
        places = set(boxes[:, 0].tolist())
        width = int(boxes[0, 2] - boxes[0, 0])
        assert places == set(range(28 - width + 1))


def test_half_of_the_rotated_digits_are_upright():
    upright = sum(
        digits.render_small(index, rotate=True) == digits.render_small(index, rotate=False)
        for index in range(600)
    )
    assert 240 < upright < 360
