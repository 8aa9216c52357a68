"""The picture of many points: a density that integrates to one, drawn where the points lie."""

import numpy as np

from lsgan_tf.inference import density

GREENS_LIGHTEST, GREENS_DARKEST = (247, 252, 245), (0, 68, 27)  # of the colour map's definition


def test_one_point_is_one_kernel():
    """At 8 pixels of side 1 a lone point's kernel is as wide as a pixel: exp(-d^2 / 2) / 2 pi."""
    estimate = density.estimate(np.array([[0.5, 1.5]]), side=8)
    x, y = 4, 2  # pixels' centres are at -3.5, -2.5, ...; rows go down from 3.5
    peak = 1 / (2 * np.pi)
    assert np.isclose(estimate[y, x], peak)
    assert np.isclose(estimate[y - 1, x], peak * np.exp(-0.5))
    assert np.isclose(estimate[y + 1, x + 2], peak * np.exp(-2.5))


def test_the_width_is_by_scotts_rule():
    """64 points of deviation 1 in x and 2 in y: widths 64^(-1/6) = 1/2 of each."""
    points = np.array([[-1.0, -2.0], [1.0, 2.0]] * 32)
    estimate = density.estimate(points, side=32)  # pixels of 0.25, centres at 0.125, 0.375, ...

    def kernel(distance, width):
        return np.exp(-0.5 * (distance / width) ** 2) / (width * np.sqrt(2 * np.pi))

    # The row from y = 2 to 2.25 and the column from x = 1 to 1.25; the other half adds nearly 0.
    near = kernel(0.125, 0.5) * kernel(0.125, 1.0) / 2
    far = kernel(2.125, 0.5) * kernel(4.125, 1.0) / 2
    assert np.isclose(estimate[7, 20], near + far, rtol=1e-12)


def test_a_density_integrates_to_one():
    points = np.random.default_rng(0).normal(0, 0.5, (500, 2))
    pixel = 2 * density.EXTENT / 64
    assert np.isclose(density.estimate(points, 64).sum() * pixel**2, 1.0, atol=1e-6)


def test_points_are_drawn_where_they_lie_dark_on_light():
    picture = density.picture([[2.0, -3.0]] * 10, side=64)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    darkest = np.argwhere((picture == GREENS_DARKEST).all(axis=2))
    # Pixels of 1/8: x = 2 between columns 47 and 48, y = -3 between rows 55 and 56.
    assert {tuple(place) for place in darkest} == {(55, 47), (55, 48), (56, 47), (56, 48)}
    assert (picture[:40] == GREENS_LIGHTEST).all()


def test_what_cannot_be_drawn_is_left_out():
    points = [[1.0, 1.0], [np.nan, 0.0], [np.inf, 0.0], [5.0, 0.0]]
    np.testing.assert_array_equal(density.picture(points), density.picture(points[:1]))
    assert (density.picture(points[1:]) == GREENS_LIGHTEST).all()
