"""One training iteration of each published pair against `reference.py`, gradient by gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.objectives import LeastSquares
from tests import reference

SEED = 5
CLASSES = 10
ZERO_ONE, MINUS_ONE_ONE = (0, 1, 1), (-1, 1, 0)

# network: image shape, labels (a, b, c), batch size, and the two networks of the reference.
CASES = {
    "scene": (
        ((112, 112, 3), ZERO_ONE, 2),
        (reference.scene_generator, reference.convolutional_discriminator),
    ),
    "character": (
        ((28, 28, 1), ZERO_ONE, 4),
        (reference.character_generator, reference.character_discriminator),
    ),
    "stability_bn_g": (
        ((64, 64, 3), ZERO_ONE, 3),
        (reference.stability_generator, reference.convolutional_discriminator),
    ),
    "stability_bn_gd": (
        ((64, 64, 3), MINUS_ONE_ONE, 3),
        (reference.stability_generator, reference.plain_discriminator),
    ),
    "dcgan": (  # the cats
        ((128, 128, 3), MINUS_ONE_ONE, 2),
        (reference.cat_generator, reference.convolutional_discriminator),
    ),
    "digit": (
        ((28, 28, 1), MINUS_ONE_ONE, 4),
        (reference.digit_generator, reference.digit_discriminator),
    ),
}


def _pair(name, shape):
    """A pair whose biases, scales and offsets are no zeros and ones, which hide mistakes."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    pair = networks.build(name, shape, CLASSES if name == "character" else 0)
    for variable in (v for network in pair for v in network.trainable_variables):
        if len(variable.shape) == 1:
            variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    return pair


def _batch(shape, count):
    images = np.random.default_rng(1).uniform(-1, 1, (count, *shape))
    return images.astype(keras.config.floatx()), np.arange(count, dtype=np.int32) * 2 % 5


def _ours(pair, batch, targets, rate, loss_scale):
    """D's and G's loss, and the gradients of both, read off the step that plain descent took."""
    gan = GAN(*pair, LeastSquares(*targets), loss_scale=loss_scale, seed=SEED)
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    generator, discriminator = pair
    before = [[v.numpy() for v in n.trainable_variables] for n in (discriminator, generator)]
    results = gan.train_step(batch)
    gradients = [
        [(old - v.numpy()) / rate for old, v in zip(olds, n.trainable_variables, strict=True)]
        for olds, n in zip(before, (discriminator, generator), strict=True)
    ]
    return float(results["d_loss"]), float(results["g_loss"]), *gradients


def _expected(name, pair, batch, rate):
    (_, targets, count), (generator, discriminator) = CASES[name]
    d, g = (
        [tf.constant(v.numpy(), tf.float64) for v in network.trainable_variables]
        for network in (pair[1], pair[0])
    )
    drawn = latents.draw("uniform", count, pair[0].latent_dim, seed=SEED, step=0)
    images, labels = batch
    return reference.iterate(
        *(generator, discriminator, g, d, tf.cast(drawn, tf.float64)),
        *(tf.cast(images, tf.float64), labels, targets, rate),
    )


def _errors(ours, expected):
    """Relative to the norm of the gradient. Where that is zero, for a bias in front of a batch
    norm, which takes it away, relative to the gradient of its kernel, which comes before it."""
    norms = [np.linalg.norm(gradient) for gradient in expected]
    scales = [
        before if gradient.ndim == 1 and norm < 1e-9 * before else norm
        for gradient, norm, before in zip(expected, norms, [0.0, *norms], strict=False)
    ]
    return [
        np.linalg.norm(mine - theirs) / scale
        for mine, theirs, scale in zip(ours, expected, scales, strict=True)
    ]


def _check(name, rate, sums, tolerance):
    """Compares an iteration with the reference, which sums over the batch as the authors do."""
    (shape, targets, count), _ = CASES[name]
    pair, batch = _pair(name, shape), _batch(shape, count)
    expected = _expected(name, pair, batch, rate)
    scale, rate = (count, rate) if sums else (1, rate * count)
    d_loss, g_loss, *gradients = _ours(pair, batch, targets, rate, loss_scale=scale)
    assert d_loss * count == pytest.approx(float(expected[0]), rel=tolerance)
    assert g_loss * count == pytest.approx(float(expected[1]), rel=tolerance)
    for network, mine, theirs in zip(("D", "G"), gradients, expected[2:], strict=True):
        mine = [gradient * (count / scale) for gradient in mine]
        errors = _errors(mine, [gradient.numpy() for gradient in theirs])
        assert np.max(errors) < tolerance, f"{network}: {errors}"


@pytest.mark.parametrize("name", CASES)
def test_an_iteration_is_the_authors(name, float64):
    # 1e-7 is reached; TensorFlow's LeakyReLU keeps its slope of 0.2 in float32.
    _check(name, rate=1e-3, sums=True, tolerance=1e-5)


def test_an_iteration_in_float32_with_losses_that_are_means():
    # Scales near one move in steps of 6e-8, a few thousandths of their gradient times the rate.
    _check("digit", rate=1e-2, sums=False, tolerance=2e-3)
