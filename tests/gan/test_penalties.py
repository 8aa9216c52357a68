"""Gradient penalties: points and gradient norms by hand; derivatives against finite differences."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf.gan import penalties
from lsgan_tf.gan.penalties import DRAGAN, R1, AroundData, Interpolates
from lsgan_tf.networks.difficult import DifficultDiscriminator, GatedDiscriminator
from lsgan_tf.networks.normalization import LayerNormalization
from lsgan_tf.networks.residual import ResidualDiscriminator

# Two images of two pixels.
REAL = np.float32([[[[1.0], [3.0]]], [[[-1.0], [1.0]]]])
FAKE = np.float32([[[[0.0], [0.0]]], [[[1.0], [2.0]]]])
ALPHA = [0.5, 0.25]
NOISE = [[0.1, 0.2], [0.4, 0.0]]

ALL = [AroundData(), DRAGAN(), Interpolates(), R1()]
DISCRIMINATORS = {
    "dcgan": DifficultDiscriminator,  # also those of the constant and the mlp pair
    "no_norm": lambda: DifficultDiscriminator("none"),
    "tanh": lambda: DifficultDiscriminator(activation="tanh"),
    "gated": GatedDiscriminator,
    "residual": ResidualDiscriminator,
}


def _known(*draws):
    """A `uniform` that draws these numbers, one array a call."""
    remaining = iter(draws)
    return lambda shape: tf.reshape(tf.constant(next(remaining), keras.config.floatx()), shape)


def _random(seed=0):
    """A `uniform` that draws the same numbers whenever it is made."""
    rng = np.random.default_rng(seed)
    return lambda shape: tf.constant(rng.random(shape), keras.config.floatx())


def test_points_around_data_by_hand():
    points = AroundData(width=30.0).points(REAL, FAKE, _known(ALPHA, NOISE))
    expected = [
        [1 + 0.5 * 30 * 0.1, 3 + 0.5 * 30 * 0.2],
        [-1 + 0.25 * 30 * 0.4, 1 + 0.25 * 30 * 0.0],
    ]
    np.testing.assert_allclose(points[:, 0, :, 0], expected, rtol=1e-6)


def test_points_of_dragan_by_hand():
    # 1, 3, -1, 1: mean 1, variance (0 + 4 + 4 + 0) / 4 = 2.
    points = DRAGAN(width=0.5).points(REAL, FAKE, _known(ALPHA, NOISE))
    deviation = np.sqrt(2.0)
    expected = [
        [1 + 0.5 * 0.5 * deviation * 0.1, 3 + 0.5 * 0.5 * deviation * 0.2],
        [-1 + 0.25 * 0.5 * deviation * 0.4, 1.0],
    ]
    np.testing.assert_allclose(points[:, 0, :, 0], expected, rtol=1e-6)


def test_points_between_real_and_generated_by_hand():
    points = Interpolates().points(REAL, FAKE, _known(ALPHA))
    expected = [[1 - 0.5 * 1, 3 - 0.5 * 3], [-1 + 0.25 * 2, 1 + 0.25 * 1]]
    np.testing.assert_allclose(points[:, 0, :, 0], expected, rtol=1e-6)


def test_around_data_lies_above_the_data_and_less_than_the_width_away():
    real = np.random.default_rng(1).uniform(-1, 1, (16, 8, 8, 3)).astype(np.float32)
    away = AroundData().points(real, None, _random()).numpy() - real
    assert away.min() > -1e-6 and away.max() < 30.0
    # alpha is one number an image: it bounds all pixels, and comes near 1 for some image.
    furthest = away.max(axis=(1, 2, 3)) / 30.0
    alpha = np.random.default_rng(0).random((16, 1, 1, 1)).ravel()
    # The largest of 192 uniform numbers falls short of 1 by 5 % once in 20,000 times.
    np.testing.assert_allclose(furthest, alpha, rtol=0.05)


def test_dragan_takes_the_spread_of_the_global_batch(replicas):
    # The halves differ: constant 0 and +-1 about 5. All together: mean 2.5, mean square 13.
    real = np.float32([0, 0, 4, 6]).reshape(4, 1, 1, 1)

    def points(images):
        return DRAGAN(width=1.0).points(images, None, tf.ones)

    for count in (1, 2):
        strategy = replicas(count)
        dataset = tf.data.Dataset.from_tensor_slices(real).batch(4)
        batch = next(iter(strategy.experimental_distribute_dataset(dataset)))
        run = tf.function(lambda batch, strategy=strategy: strategy.run(points, (batch,)))
        taken = np.concatenate(strategy.experimental_local_results(run(batch)))
        spread = np.sqrt(13 - 2.5**2)
        np.testing.assert_allclose(taken, real + spread, rtol=1e-6)


def test_squared_slopes_of_a_line_and_of_a_parabola():
    images = tf.constant(REAL)
    weights = tf.constant([[[3.0], [4.0]]])
    line = penalties.compute_gradient_squares(
        lambda x: tf.reduce_sum(weights * x, axis=(1, 2, 3)), images
    )
    np.testing.assert_allclose(line, [25.0, 25.0], rtol=1e-6)
    # D = sum (w x)^2 / 2 has the gradient w^2 x; logits [N, 1] serve as well as [N].
    parabola = penalties.compute_gradient_squares(
        lambda x: tf.reduce_sum(0.5 * (weights * x) ** 2, axis=(1, 2)), images
    )
    expected = [9**2 + (16 * 3) ** 2, 9**2 + 16**2]
    np.testing.assert_allclose(parabola, expected, rtol=1e-6)


def _compute(penalty, discriminator, real, fake, uniform):
    return penalties.compute(penalty, discriminator, penalty.points(real, fake, uniform))


def _value_and_derivative(penalty, weight):
    """For D(x) = weight * (3, 4).x, whose slope is 5 |weight|."""
    weight = tf.Variable(weight)

    def logit(images):
        return weight * tf.reduce_sum([[[3.0], [4.0]]] * images, axis=(1, 2, 3))

    with tf.GradientTape() as tape:
        value = _compute(penalty, logit, tf.constant(REAL), FAKE, _random())
    return float(value), float(tape.gradient(value, weight))


@pytest.mark.parametrize("kind", [AroundData, DRAGAN, Interpolates])
@pytest.mark.parametrize(("weight", "target"), [(2.0, 1.0), (7.0, 3.0)])
def test_value_and_derivative_by_hand(kind, weight, target):
    value, derivative = _value_and_derivative(kind(weight=weight, target=target), 0.4)
    assert value == pytest.approx(weight * (5 * 0.4 - target) ** 2, rel=1e-5)
    assert derivative == pytest.approx(weight * 2 * (5 * 0.4 - target) * 5, rel=1e-5)


def test_r1_by_hand():
    """At the real images, half of the weight on the mean square: no target, and no root."""
    images = tf.constant(REAL)
    assert R1().points(images, FAKE, _known()) is images
    value, derivative = _value_and_derivative(R1(weight=3.0), 0.4)
    assert value == pytest.approx(3 / 2 * (5 * 0.4) ** 2, rel=1e-5)
    assert derivative == pytest.approx(3 * 0.4 * 5**2, rel=1e-5)
    assert _value_and_derivative(R1(), 0.0) == (0.0, 0.0)


def test_value_is_the_mean_over_images():
    def parabola(images):
        return tf.reduce_sum(0.5 * images**2, axis=(1, 2, 3))

    # alpha = 0: the points are the real images, with gradients (1, 3) and (-1, 1).
    value = _compute(Interpolates(weight=4.0), parabola, REAL, FAKE, _known([0.0, 0.0]))
    expected = 4 * ((np.sqrt(10) - 1) ** 2 + (np.sqrt(2) - 1) ** 2) / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_a_flat_discriminator_has_a_finite_penalty_and_derivative():
    assert _value_and_derivative(AroundData(weight=2.0, target=3.0), 0.0) == (2.0 * 9.0, 0.0)


def test_one_flat_image_leaves_the_derivative_of_the_others():
    """D = w |x|^2 / 2 has the gradient w x, zero for the first image."""
    images = tf.constant([[[[0.0], [0.0]]], [[[3.0], [4.0]]]])
    weight = tf.Variable(2.0)

    def logit(x):
        return 0.5 * weight * tf.reduce_sum(x**2, axis=(1, 2, 3))

    with tf.GradientTape() as tape:
        value = _compute(Interpolates(weight=1.0), logit, images, images, _random())
    assert float(value) == pytest.approx((1 + 9**2) / 2)
    assert float(tape.gradient(value, weight)) == pytest.approx(2 * 9 * 5 / 2)


def _images(shape, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(-1, 1, shape), keras.config.floatx())


def _gradients(tape, value, network):
    """Over the weights; zero for biases behind which no slope depends on them."""
    variables = [v.value for v in network.trainable_variables]
    return tape.gradient(value, variables, unconnected_gradients="zero")


def _derivative_two_ways(penalty, discriminator, shape, step):
    """Of the penalty over D's weights, along a random direction: by tape through tape, and as a
    central difference."""
    real, fake = _images(shape, 1), _images(shape, 2)
    variables = discriminator.trainable_variables
    rng = np.random.default_rng(3)
    direction = [tf.constant(rng.normal(0, 0.02, v.shape)) for v in variables]

    def value():
        discriminate = functools.partial(discriminator, training=True)
        return _compute(penalty, discriminate, real, fake, _random(4))

    with tf.GradientTape() as tape:
        at_start = value()
    assert at_start.dtype == tf.float64
    gradients = _gradients(tape, at_start, discriminator)
    exact = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    values = []
    for sign in (1, -2):  # to +step, then on to -step
        for variable, change in zip(variables, direction, strict=True):
            variable.assign_add(sign * step * change)
        values.append(float(value()))
    return exact, (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("penalty", ALL, ids=lambda penalty: type(penalty).__name__)
def test_derivative_over_the_weights_of_a_small_network(float64, penalty):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(5, 3, 2, padding="same"),
            LayerNormalization(),
            layers.Activation("tanh"),
            layers.Flatten(),
            layers.Dense(4),
            LayerNormalization(),
            layers.Activation("tanh"),
            layers.Dense(1),
        ]
    )
    exact, difference = _derivative_two_ways(penalty, network, (3, 6, 6, 2), step=1e-5)
    # All is smooth: what remains is step^2 of truncation and rounding, 1e-16 / step of a penalty up
    # to 10^4 times its derivative.
    assert abs(exact) > 1e-5 and difference == pytest.approx(exact, rel=1e-6)


# Images a batch: two, so that one must not show in the other's slope; one where that takes seconds.
BATCH = {name: 1 if name == "residual" else 2 for name in DISCRIMINATORS}


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        *[(name, AroundData()) for name in DISCRIMINATORS],
        # Among the data, too, the activations that are flat where AroundData takes its points.
        *[(name, Interpolates()) for name in ("tanh", "gated")],
    ],
)
def test_derivative_over_the_weights_of_the_difficult_architectures(float64, name, penalty):
    keras.utils.set_random_seed(0)
    exact, difference = _derivative_two_ways(
        penalty, DISCRIMINATORS[name](), (BATCH[name], 64, 64, 3), step=1e-7
    )
    # Where a ReLU changes sides the penalty jumps: a step this short meets none of the 10^5 kinks,
    # and leaves rounding, up to 3e-7 here.
    assert abs(exact) > 1e-3 and difference == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.stress] if name == "residual" else [])
        for name in DISCRIMINATORS
    ],
)
def test_penalty_and_gradients_in_single_and_half_precision(name):
    keras.utils.set_random_seed(0)
    real = _images((BATCH[name], 64, 64, 3))
    penalty = AroundData(target=0.0)  # near its target a slope would leave nothing but rounding
    outcomes, weights = [], None
    for precision in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(precision)
        discriminator = DISCRIMINATORS[name]()
        if weights is not None:
            discriminator.set_weights(weights)
        weights = discriminator.get_weights()
        with tf.GradientTape() as tape:
            value = _compute(penalty, discriminator, real, real, _random())
        gradients = _gradients(tape, value, discriminator)
        assert value.dtype == tf.float32
        assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)
        outcomes.append([float(value), float(tf.linalg.global_norm(gradients))])
    # Half precision keeps 8 bits: 0.4 % a rounding, which 101 layers add up to per cents.
    np.testing.assert_allclose(outcomes[1], outcomes[0], rtol=0.1)


def test_a_map_of_logits_has_no_penalty():
    points = tf.zeros((4, 2, 2, 1))
    with pytest.raises(penalties.NotPenalisable, match=r"one logit.*D returns \(4, 2, 2, 1\)"):
        penalties.compute_gradient_squares(lambda x: 2.0 * x, points)
    shapes = [(4,), (4, 1), (4, 1, 1, 1)]
    for shape in shapes:
        squares = penalties.compute_gradient_squares(
            lambda x, shape=shape: tf.reshape(tf.reduce_sum(x, axis=(1, 2, 3)), shape), points
        )
        assert squares.numpy().tolist() == [4.0] * 4
