"""Objectives against numbers worked out by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.objectives import PRESETS, LeastSquares, SigmoidCrossEntropy, Wasserstein

REAL = np.float32([[1.0], [3.0]])
FAKE = np.float32([[0.0], [-2.0]])


def softplus(t):
    return math.log1p(math.exp(t))


def logistic(t):
    return 1 / (1 + math.exp(-t))


# Each objective's losses of REAL and FAKE, and what they are derived by: dL_D/dREAL, dL_D/dFAKE
# and dL_G/dFAKE.
CASES = {
    # D: 1/2 (0 + 4)/2 + 1/2 (0 + 4)/2; G: 1/2 (1 + 9)/2; derivatives (logit - label) / 2
    "binary": (LeastSquares(0, 1, 1), 2.0, 2.5, ([0, 1], [0, -1], [-0.5, -1.5])),
    # D: 1/2 (0 + 4)/2 + 1/2 (1 + 1)/2; G: 1/2 (0 + 4)/2
    "pearson": (LeastSquares(-1, 1, 0), 1.5, 1.0, ([0, 1], [0.5, -0.5], [0, -1])),
    # D: 1/2 (9/4 + 1/4)/2 + 1/2 (1 + 9)/2; G: 1/2 (4 + 16)/2
    "other labels": (LeastSquares(1, 2.5, 2), 3.125, 5.0, ([-0.75, 0.25], [-0.5, -1.5], [-1, -2])),
    # Derivatives: -s(-t) of real, s(t) of generated logits, halved by the mean
    "non-saturating": (
        SigmoidCrossEntropy(),
        (softplus(-1) + softplus(-3)) / 2 + (softplus(0) + softplus(-2)) / 2,
        (softplus(0) + softplus(2)) / 2,
        (
            [-logistic(-1) / 2, -logistic(-3) / 2],
            [0.25, logistic(-2) / 2],
            [-0.25, -logistic(2) / 2],
        ),
    ),
    "saturating": (
        SigmoidCrossEntropy(saturating=True),
        (softplus(-1) + softplus(-3)) / 2 + (softplus(0) + softplus(-2)) / 2,
        -(softplus(0) + softplus(-2)) / 2,
        (
            [-logistic(-1) / 2, -logistic(-3) / 2],
            [0.25, logistic(-2) / 2],
            [-0.25, -logistic(-2) / 2],
        ),
    ),
    # D: -1 - 2; G: 1
    "wasserstein": (Wasserstein(), -3.0, 1.0, ([-0.5, -0.5], [0.5, 0.5], [-0.5, -0.5])),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


class TestEveryObjective:
    @pytest.mark.parametrize("shape", [(2, 1), (2,)], ids=str)
    def test_losses(self, case, shape):
        objective, d_loss, g_loss, _ = case
        real, fake = REAL.reshape(shape), FAKE.reshape(shape)
        for loss, expected in (
            (objective.discriminator(real, fake), d_loss),
            (objective.generator(fake), g_loss),
        ):
            assert loss.shape == ()
            assert loss.dtype == tf.float32
            assert float(loss) == pytest.approx(expected, rel=1e-6)

    def test_gradients(self, case):
        objective, _, _, expected = case
        real, fake = tf.constant(REAL), tf.constant(FAKE)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([real, fake])
            d_loss = objective.discriminator(real, fake)
            g_loss = objective.generator(fake)
        gradients = [*tape.gradient(d_loss, [real, fake]), tape.gradient(g_loss, fake)]
        for gradient, numbers in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(gradient[:, 0], numbers, rtol=1e-6)

    def test_generator_loss_descends_towards_real(self, case):
        """Where D is right, every objective wants a higher logit of a generated example."""
        objective = case[0]
        low, high = (float(objective.generator(np.float32([[t]]))) for t in (-1.0, -0.5))
        assert high < low

    def test_bfloat16_logits(self, case):
        """The logits are exact in bfloat16; a few roundings of 2^-8 each follow."""
        objective, d_loss, g_loss, _ = case
        real, fake = tf.cast(REAL, tf.bfloat16), tf.cast(FAKE, tf.bfloat16)
        d_found, g_found = objective.discriminator(real, fake), objective.generator(fake)
        assert d_found.dtype == g_found.dtype == tf.bfloat16
        assert float(d_found) == pytest.approx(d_loss, rel=4 * 2**-8)
        assert float(g_found) == pytest.approx(g_loss, rel=4 * 2**-8)

    @pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16], ids=lambda dtype: dtype.name)
    def test_far_logits_stay_finite(self, case, dtype):
        objective = case[0]
        far = tf.constant([[1e4], [-1e4]], dtype)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(far)
            losses = objective.discriminator(far, -far), objective.generator(far)
        for loss in losses:
            assert np.isfinite(float(loss))
            assert np.isfinite(tf.cast(tape.gradient(loss, far), tf.float32)).all()

    def test_serialises(self, case):
        objective = case[0]
        stored = keras.saving.serialize_keras_object(objective)
        restored = keras.saving.deserialize_keras_object(stored)
        assert restored == objective
        assert type(restored) is type(objective)


@pytest.mark.parametrize(
    ("objective", "logit", "d_loss", "g_loss"),
    [
        (LeastSquares(0, 1, 1), 0.5, 0.25, 0.125),
        (LeastSquares(-1, 1, 0), 0.0, 1.0, 0.0),
        (LeastSquares(1, 2.5, 2), 1.75, 0.5625, 0.03125),
        (SigmoidCrossEntropy(), 0.0, 1.386294, 0.693147),
        (SigmoidCrossEntropy(saturating=True), 0.0, 1.386294, -0.693147),
    ],
)
def test_optimum_is_what_the_loss_is_at_the_optimal_discriminator(objective, logit, d_loss, g_loss):
    logits = np.full((4, 1), logit, np.float32)
    assert objective.optimum() == pytest.approx((d_loss, g_loss), rel=1e-6)
    assert float(objective.discriminator(logits, logits)) == pytest.approx(d_loss, rel=1e-6)
    assert float(objective.generator(logits)) == pytest.approx(g_loss, rel=1e-6)


@pytest.mark.parametrize("constant", [0.0, 7.0])
def test_the_optimum_of_wasserstein_holds_for_every_constant(constant):
    """Which is why G's part of it is none."""
    logits = np.full((4, 1), constant, np.float32)
    assert Wasserstein().optimum() == (0.0, None)
    assert float(Wasserstein().discriminator(logits, logits)) == 0.0
    assert float(Wasserstein().generator(logits)) == -constant


def test_presets_are_the_papers_two_schemes():
    assert {"pearson": LeastSquares(-1, 1, 0), "binary": LeastSquares(0, 1, 1)} == PRESETS


def test_equal_labels_are_refused():
    with pytest.raises(
        ValueError,
        match=r"Label a \(generated examples\) and label b .* are both 1.0: .*nothing to tell",
    ):
        LeastSquares(1.0, 1.0, 0.0)


@pytest.mark.parametrize("label", "abc")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_labels_that_are_no_numbers_are_refused(label, value):
    with pytest.raises(ValueError, match=f"Label {label} is .*finite"):
        LeastSquares(**{"a": 0.0, "b": 1.0, "c": 1.0, label: value})


@pytest.mark.parametrize("saturating", [False, True])
def test_far_logits_cost_the_regular_gan_what_they_are(saturating):
    """softplus(1e4) = 1e4 and softplus(-1e4) = 0."""
    far = np.float32([[1e4], [-1e4]])
    objective = SigmoidCrossEntropy(saturating)
    assert float(objective.discriminator(far, far)) == pytest.approx(1e4)
    assert float(objective.generator(far)) == pytest.approx(-5e3 if saturating else 5e3)
