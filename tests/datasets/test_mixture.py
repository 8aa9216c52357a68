"""The Gaussian mixture: where its points lie, that they follow from (seed, step), and coverage."""

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets.mixture import MODES, Mixture, coverage, draw
from lsgan_tf.utils.errors import UserError


def _take(count, **kwargs):
    settings = {"seed": 0, "step": 0, "batch_size": 12, **kwargs}
    return list(Mixture().batches(**settings).take(count).as_numpy_iterator())


def test_eight_modes_on_the_circle_from_the_top():
    half = 0.5**0.5
    expected = [(0, 1), (half, half), (1, 0), (half, -half), (0, -1), (-half, -half), (-1, 0)]
    np.testing.assert_allclose(MODES, [*expected, (-half, half)], atol=1e-6)


def test_the_top_mode_has_double_weight_and_all_are_narrow():
    points = draw(90_000, seed=0, block=0).numpy()
    distances = np.linalg.norm(points[:, None] - MODES, axis=2)
    nearest = distances.argmin(axis=1)
    counts = np.bincount(nearest, minlength=8)
    # Six standard deviations of a binomial count are below 600 and 800.
    assert abs(counts[0] - 20_000) < 800
    assert (abs(counts[1:] - 10_000) < 600).all()
    offsets = points - MODES[nearest]
    # The standard errors of a mean and a deviation over 90,000 are 0.01 / 300 and 0.01 / 424.
    np.testing.assert_allclose(offsets.mean(axis=0), 0.0, atol=2e-4)
    np.testing.assert_allclose(offsets.std(axis=0), 0.01, atol=2e-4)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.02


def test_batches_follow_from_seed_and_step():
    many = _take(700)  # more than two blocks
    assert many[0].shape == (12, 2) and many[0].dtype == np.float32
    for step in (1, 255, 256, 600):
        np.testing.assert_array_equal(_take(2, step=step), many[step : step + 2])
    assert len(np.unique(np.concatenate(many), axis=0)) > 0.999 * 700 * 12
    assert not np.array_equal(_take(1, seed=1)[0], many[0])


def test_replicas_share_the_same_global_batch():
    whole = _take(2, step=255)
    both = _take(4, step=255, num_slices=2)
    np.testing.assert_array_equal(np.concatenate(both[:2]), whole[0])
    np.testing.assert_array_equal(np.concatenate(both[2:]), whole[1])
    second = _take(2, step=255, num_slices=2, slice_offset=1, slices_per_step=1)
    np.testing.assert_array_equal(second, [whole[0][6:], whole[1][6:]])


def test_a_batch_that_does_not_divide_and_labels_are_refused():
    with pytest.raises(UserError, match="cannot be cut into 5"):
        _take(1, num_slices=5)
    with pytest.raises(UserError, match="mixture has no labels"):
        _take(1, labelled=True)


def test_it_is_known_by_name(tmp_path):
    dataset = datasets.load("mixture", str(tmp_path))
    facts = datasets.facts("mixture", str(tmp_path))
    assert facts == datasets.Facts((2,), 0, None)
    assert (dataset.image_shape, dataset.num_examples, dataset.class_names) == ((2,), 0, None)
    points, labels = dataset.first_images(5)
    assert points.shape == (5, 2) and labels is None
    np.testing.assert_array_equal(points, dataset.first_images(5)[0])
    assert not list(tmp_path.iterdir())
    for opened in (datasets.load, datasets.facts):
        with pytest.raises(UserError, match="--image_size=28: mixture has points"):
            opened("mixture", str(tmp_path), image_size=28)
    with pytest.raises(UserError, match="mixture"):
        datasets.load("nothing", str(tmp_path))


def test_coverage_by_hand():
    """25 points on the mode (0, 1), 19 on (1, 0), 30 beside (0, -1) by 0.05, 26 at the centre."""
    points = np.repeat([[0, 1.0], [1.0, 0.02], [0.05, -1.0], [0.0, 0.001]], [25, 19, 30, 26], 0)
    found = coverage(points)
    assert found.modes == 1  # (1, 0) has one point too few, those of (0, -1) are too far
    assert found.modes_within_0_1 == 2
    assert found.within_3_deviations == 0.44
    assert found.within_0_1 == 0.74
    assert found.nearest == (51, 0, 19, 0, 30, 0, 0, 0)


def test_the_data_cover_themselves():
    found = coverage(draw(5120, seed=1, block=0).numpy())
    assert found.modes == found.modes_within_0_1 == 8
    # Of a two-dimensional normal 1 - exp(-9 / 2) = 0.98889 lie within three deviations; the
    # standard error is 0.0015.
    assert abs(found.within_3_deviations - 0.98889) < 0.006
    assert found.within_0_1 == 1.0
