"""The closed forms against numbers worked out apart, and against the objectives that train."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.objectives import PRESETS, LeastSquares, SigmoidCrossEntropy
from tests import theory

PEARSON, BINARY = (-1.0, 1.0, 0.0), (0.0, 1.0, 1.0)
OTHER = (0.5, -2.0, 3.0)  # b below a, c outside
P, Q = np.array([0.5, 0.5]), np.array([0.9, 0.1])

# A sum over an even grid converges so fast for densities as smooth as these that all eight digits
# of the numbers below are right.
STEP = 0.005
GRID = np.arange(-30.0, 30.0, STEP)


def normal(mean, deviation=1.0):
    return np.exp(-0.5 * ((GRID - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))


def random_pair(seed=0, points=7):
    """Two distributions on a few points, each without one of them."""
    rng = np.random.default_rng(seed)
    p, q = rng.random((2, points))
    p[0] = q[1] = 0
    return p / p.sum(), q / q.sum()


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        (1, 1, 0.40810853),
        (2, 1, 1.10080098),
        (3, 1, 1.60551500),
        (0, 2, 0.31996449),
        (0, 1, 0.0),
    ],
)
def test_delta_of_normal_distributions(mean, deviation, expected):
    distance = theory.delta(normal(0), normal(mean, deviation), STEP)
    assert distance == pytest.approx(expected, abs=6e-9)
    assert theory.delta(normal(mean, deviation), normal(0), STEP) == pytest.approx(distance)


def test_the_other_numbers_of_two_normal_distributions():
    p, q = normal(0), normal(1)
    assert theory.jensen_shannon(p, q, STEP) == pytest.approx(0.11142148, abs=6e-9)
    assert theory.jensen_shannon(p, normal(2), STEP) == pytest.approx(0.33683082, abs=6e-9)
    assert theory.extended_criterion(p, q, *PEARSON, STEP) == pytest.approx(0.40810853, abs=6e-9)
    assert theory.extended_criterion(p, q, *BINARY, STEP) == pytest.approx(0.60202713, abs=6e-9)
    for (a, b, _), expected in ((PEARSON, 0.79594573), (BINARY, 0.19898643)):
        scores = theory.optimal_discriminator(p, q, a, b)
        loss = theory.discriminator_loss(scores, p, q, a, b, STEP)
        assert loss == pytest.approx(expected, abs=6e-9)


def test_two_points():
    """p + q = (1.4, 0.6), p - q = (-0.4, 0.4): delta = 0.16 / 1.4 + 0.16 / 0.6 = 8 / 21."""
    assert theory.delta(P, Q) == pytest.approx(8 / 21)
    np.testing.assert_allclose(theory.optimal_discriminator(P, Q, -1, 1), [-2 / 7, 2 / 3])
    np.testing.assert_allclose(theory.optimal_discriminator(P, Q, 0, 1), [5 / 14, 5 / 6])
    assert theory.extended_criterion(P, Q, *BINARY) == pytest.approx(1 / 2 + 2 / 21)
    assert theory.pearson_chi_squared(P, Q) == pytest.approx(0.64)  # 0.4^2 / 0.5, twice
    assert theory.pearson_chi_squared(Q, P) == pytest.approx(0.16 / 0.9 + 0.16 / 0.1)


@pytest.mark.parametrize("labels", [PEARSON, BINARY, OTHER, (-1, 1, 1), (0, 1, 0.5)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_definitions_agree_with_closed_forms(labels, seed):
    a, b, c = labels
    p, q = random_pair(seed)
    distance = theory.delta(p, q)
    definition = theory.extended_criterion(p, q, a, b, c)
    assert definition == pytest.approx(theory.extended_criterion_at(distance, a, b, c))
    scores = theory.optimal_discriminator(p, q, a, b)
    loss = theory.discriminator_loss(scores, p, q, a, b)
    assert loss == pytest.approx(theory.discriminator_loss_at(distance, a, b))


@pytest.mark.parametrize(
    ("labels", "pearson"),
    [
        (PEARSON, True),
        ((0, 2, 1), True),  # moved along the scores
        ((1, -1, 0), True),  # real and generated exchange their signs
        (BINARY, False),
        ((-1, 1, 1), False),  # b - c = 0
        ((0, 1, 0), False),  # b - a = 1
    ],
    ids=str,
)
def test_the_generator_minimises_a_pearson_divergence(labels, pearson):
    """Where b - c = 1 and b - a = 2, and with the labels (0, 1, 1), for one, not."""
    p, q = random_pair()
    distance = theory.pearson_chi_squared(p + q, 2 * q)
    assert distance == pytest.approx(theory.delta(p, q))
    criterion = theory.extended_criterion(p, q, *labels)
    assert (criterion == pytest.approx(distance)) is pearson


def test_delta_is_an_f_divergence():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    ratio = p / q
    expected = np.sum(q * (ratio - 1) ** 2 / (ratio + 1))
    assert theory.delta(p, q) == pytest.approx(expected)


def test_the_regular_gan_minimises_jensen_shannon():
    p, q = random_pair()
    expected = -math.log(4) + 2 * theory.jensen_shannon(p, q)
    assert theory.regular_criterion(p, q) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p", "q", "distance", "shannon"),
    [
        ([0.25, 0.75, 0.0], [0.25, 0.75, 0.0], 0.0, 0.0),  # equal, and a point that neither has
        ([0.25, 0.75, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], 2.0, math.log(2)),  # disjoint
    ],
    ids=["equal", "disjoint"],
)
def test_the_ends_of_the_scale(p, q, distance, shannon):
    assert theory.delta(p, q) == pytest.approx(distance, abs=1e-15)
    assert theory.jensen_shannon(p, q) == pytest.approx(shannon, abs=1e-15)
    assert theory.regular_criterion(p, q) == pytest.approx(2 * shannon - math.log(4), abs=1e-15)
    assert theory.extended_criterion(p, q, *BINARY) == pytest.approx(0.5 + distance / 4)
    scores = theory.optimal_discriminator(p, q, -1, 1)
    assert scores[-1] == 0.0  # undecided where neither is
    loss = theory.discriminator_loss(scores, p, q, -1, 1)
    assert loss == pytest.approx(1 - distance / 2, abs=1e-15)


@pytest.mark.parametrize("labels", [PEARSON, BINARY, OTHER], ids=str)
def test_at_equality_losses_are_the_optimum_of_the_objective(labels):
    a, b, c = labels
    optimum = LeastSquares(*labels).optimum()
    assert theory.discriminator_loss_at(0.0, a, b) == pytest.approx(optimum.discriminator)
    # Both terms of 2 C(G) are E[(D* - c)^2] then, and that is twice G's loss.
    assert theory.extended_criterion_at(0.0, a, b, c) / 4 == pytest.approx(optimum.generator)
    assert theory.extended_criterion_at(0.1, a, b, c) > theory.extended_criterion_at(0.0, a, b, c)


def test_pearson_is_infinite_where_only_the_divisor_is_zero():
    assert theory.pearson_chi_squared([1.0, 0.0], [0.5, 0.5]) == math.inf
    assert theory.pearson_chi_squared([0.5, 0.5, 0], [1.0, 0.0, 0]) == pytest.approx(1.0)


def test_a_trained_discriminator_reaches_the_optimal_one():
    """Gradient descent on a table of scores, with the objective that trains networks.

    1,000 images a batch stand for p and q exactly. Of the score of a point the loss has the second
    derivative p + q >= 0.6, so that a rate of 0.5 leaves at most 0.7 of the error after a step and
    1e-6 after 40; the rest of the tolerance is for float32.
    """
    real, fake = (np.repeat([0, 1], np.rint(1000 * density).astype(int)) for density in (P, Q))
    for objective in PRESETS.values():
        scores = tf.Variable([3.0, -3.0])
        for _ in range(40):
            with tf.GradientTape() as tape:
                loss = objective.discriminator(tf.gather(scores, real), tf.gather(scores, fake))
            scores.assign_sub(0.5 * tf.convert_to_tensor(tape.gradient(loss, scores)))
        expected = theory.optimal_discriminator(P, Q, objective.a, objective.b)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        least = theory.discriminator_loss_at(theory.delta(P, Q), objective.a, objective.b)
        assert float(loss) == pytest.approx(least, rel=1e-5)


def test_no_other_scores_cost_the_discriminator_less():
    p, q = random_pair()
    best = theory.optimal_discriminator(p, q, 0, 1)
    least = theory.discriminator_loss(best, p, q, 0, 1)
    for point in range(len(p)):
        for step in (-0.01, 0.01):
            other = best.copy()
            other[point] += step
            assert theory.discriminator_loss(other, p, q, 0, 1) > least


@pytest.mark.parametrize(
    ("objective", "score", "slope"),
    [
        (SigmoidCrossEntropy(), 5.0, -0.00669285),
        (SigmoidCrossEntropy(), 10.0, -4.5398e-5),
        (SigmoidCrossEntropy(), -10.0, -0.9999546),
        (SigmoidCrossEntropy(saturating=True), 5.0, -0.99330715),
        (SigmoidCrossEntropy(saturating=True), -5.0, -0.00669285),
        (SigmoidCrossEntropy(saturating=True), -10.0, -4.5398e-5),
        (LeastSquares(0, 1, 1), 5.0, 4.0),
        (LeastSquares(0, 1, 1), -10.0, -11.0),
        (LeastSquares(0, 1, 1), 1.0, 0.0),
        (LeastSquares(-1, 1, 0), 5.0, 5.0),
        (LeastSquares(-1, 1, 0), -10.0, -10.0),
        (LeastSquares(-1, 1, 0), 0.0, 0.0),
    ],
)
def test_where_the_gradient_of_the_generator_vanishes(objective, score, slope):
    """Far on the real side cross entropy no longer moves an image; least squares pulls it back."""
    scores = tf.Variable([[score]])
    with tf.GradientTape() as tape:
        loss = objective.generator(scores)
    # The numbers are given to five digits or more.
    assert float(tape.gradient(loss, scores)[0, 0]) == pytest.approx(slope, rel=1e-5)
