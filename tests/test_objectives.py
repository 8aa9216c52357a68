"""Objectives against numbers worked out by hand."""

import math

import keras
import numpy as np
import pytest

from lsgan_tf.objectives import LeastSquares, SigmoidCrossEntropy

REAL = np.float32([[1.0], [3.0]])
FAKE = np.float32([[0.0], [-2.0]])


@pytest.mark.parametrize(
    ("labels", "d_loss", "g_loss"),
    [
        # (0, 1, 1): D: 1/2 (0 + 4)/2 + 1/2 (0 + 4)/2 = 2; G: 1/2 (1 + 9)/2 = 2.5
        ((0.0, 1.0, 1.0), 2.0, 2.5),
        # (-1, 1, 0): D: 1/2 (0 + 4)/2 + 1/2 (1 + 1)/2 = 1.5; G: 1/2 (0 + 4)/2 = 1
        ((-1.0, 1.0, 0.0), 1.5, 1.0),
    ],
)
def test_least_squares(labels, d_loss, g_loss):
    objective = LeastSquares(*labels)
    assert float(objective.discriminator(REAL, FAKE)) == pytest.approx(d_loss)
    assert float(objective.generator(FAKE)) == pytest.approx(g_loss)


def test_sigmoid_cross_entropy():
    def softplus(t):
        return math.log1p(math.exp(t))

    objective = SigmoidCrossEntropy()
    d_loss = (softplus(-1) + softplus(-3)) / 2 + (softplus(0) + softplus(-2)) / 2
    assert float(objective.discriminator(REAL, FAKE)) == pytest.approx(d_loss)
    assert float(objective.generator(FAKE)) == pytest.approx((softplus(0) + softplus(2)) / 2)


def test_sigmoid_cross_entropy_does_not_overflow():
    far = np.float32([[200.0], [-200.0]])
    assert float(SigmoidCrossEntropy().discriminator(far, far)) == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("objective", "d_loss", "g_loss"),
    [
        (LeastSquares(0, 1, 1), 0.25, 0.125),
        (LeastSquares(-1, 1, 0), 1.0, 0.0),
        (SigmoidCrossEntropy(), 1.386294, 0.693147),
    ],
)
def test_optimum_is_what_the_loss_is_at_the_optimal_discriminator(objective, d_loss, g_loss):
    score = (objective.a + objective.b) / 2 if isinstance(objective, LeastSquares) else 0.0
    scores = np.full((4, 1), score, np.float32)
    assert objective.optimum() == pytest.approx((d_loss, g_loss), rel=1e-6)
    assert float(objective.discriminator(scores, scores)) == pytest.approx(d_loss, rel=1e-6)
    assert float(objective.generator(scores)) == pytest.approx(g_loss, rel=1e-6)


def test_equal_labels_are_refused():
    with pytest.raises(ValueError, match="nothing to tell apart"):
        LeastSquares(1.0, 1.0, 0.0)


def test_objectives_serialise():
    stored = keras.saving.serialize_keras_object(LeastSquares(-1, 1, 0))
    assert keras.saving.deserialize_keras_object(stored) == LeastSquares(-1, 1, 0)
