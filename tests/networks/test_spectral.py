"""Spectral normalisation: against NumPy's SVD, its gradient, and one iteration a training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.penalties import R1
from lsgan_tf.networks import spectral
from lsgan_tf.networks.normalization import BatchNormalization
from lsgan_tf.networks.spectral import SpectralConv2D, SpectralDense
from lsgan_tf.utils.errors import UserError
from tests.networks.network_checks import assert_saved_and_loaded
from tests.tiny import SHAPE, TinyGenerator

SHAPES = {"dcgan": (16, 16, 3), "dcgan_no_bn": (17, 17, 1), "light": (28, 28, 1)}
SHAPES |= {"digit": (28, 28, 1), "scene": (112, 112, 3)}
WIDTHS = {"dcgan": 8, "dcgan_no_bn": 8}  # of the pairs that have one


@keras.saving.register_keras_serializable("tests")
class SpectralDiscriminator(networks.Discriminator):
    """Two spectral layers and, if wanted, batch norm between them."""

    def __init__(self, batch_norm=False, name=None):
        super().__init__(SHAPE, name=name)
        self.batch_norm = batch_norm
        self.body = keras.Sequential(
            [
                SpectralConv2D(4, 3, 2, "same"),
                *([BatchNormalization()] if batch_norm else []),
                keras.layers.Activation("tanh"),
                keras.layers.Flatten(),
                SpectralDense(1),
            ]
        )
        self.build_variables()


def _largest_singular_value(layer):
    kernel = layer.kernel.numpy().astype(np.float64)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def _gan(**kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(TinyGenerator(), SpectralDiscriminator(), **kwargs)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def _build(name, norm):
    width = WIDTHS.get(name, 0)
    return networks.build(name, SHAPES[name], discriminator_norm=norm, base_channels=width)


@pytest.mark.parametrize("name", SHAPES)
def test_norms_agree_with_singular_values(name):
    """Of every kernel of D, whose output a spectral layer then bounds."""
    keras.utils.set_random_seed(0)
    _, discriminator = _build(name, "spectral")
    layers = spectral.find(discriminator)
    kernels = [v for v in discriminator.trainable_variables if v.name == "kernel"]
    assert len(layers) == len(kernels) == (4 if name in ("light", "digit") else 5)
    for layer in layers:
        # Two directions of nearly the same length would take long to tell apart: mark one.
        kernel = layer.kernel.numpy()
        kernel.reshape(-1, kernel.shape[-1])[:, 0] *= 3
        layer.kernel.assign(kernel)
        assert 0 < float(layer.norm()) < _largest_singular_value(layer) * (1 + 1e-6)
    for _ in range(30):
        spectral.iterate(discriminator)
    for layer in layers:
        assert float(layer.norm()) == pytest.approx(_largest_singular_value(layer), rel=1e-5)
        matrix = np.reshape(layer.normalized_kernel(), (-1, layer.kernel.shape[-1]))
        assert np.linalg.norm(matrix, 2) == pytest.approx(1.0, rel=1e-5)


def test_layers_by_hand(float64):
    dense = SpectralDense(2)
    dense.build((None, 2))
    dense.kernel.assign([[3.0, 0.0], [0.0, 4.0]])
    dense.bias.assign([1.0, 2.0])
    dense.u.assign([3.0, 4.0])  # of any length: u = (0.6, 0.8)
    norm = np.hypot(3 * 0.6, 4 * 0.8)
    assert float(dense.norm()) == pytest.approx(norm, rel=1e-12)
    outputs = dense(tf.constant([[1.0, -1.0]], tf.float64))
    np.testing.assert_allclose(outputs, [[1 + 3 / norm, 2 - 4 / norm]], rtol=1e-12)
    dense.iterate()  # W^T W u = (9 * 0.6, 16 * 0.8)
    np.testing.assert_allclose(dense.u, np.array([5.4, 12.8]) / np.hypot(5.4, 12.8), rtol=1e-12)


def test_gradient_over_the_kernels_against_finite_differences(float64):
    """Through the norms too, whose vectors u stay as they are."""
    keras.utils.set_random_seed(0)
    discriminator = SpectralDiscriminator()
    spectral.iterate(discriminator)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)))
    variables = discriminator.trainable_variables
    rng = np.random.default_rng(1)
    direction = [rng.normal(size=variable.shape) for variable in variables]

    def value():
        return tf.reduce_sum(tf.sin(3.0 * discriminator(images, training=True)))

    with tf.GradientTape() as tape:
        at_start = value()
    gradients = tape.gradient(at_start, [variable.value for variable in variables])
    exact = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    step, values = 1e-6, []
    for sign in (1, -2):  # to +step, then on to -step
        for variable, change in zip(variables, direction, strict=True):
            variable.assign_add(sign * step * change)
        values.append(float(value()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("kwargs", [{}, {"penalty": R1()}, {"schedule": "simultaneous"}])
def test_a_training_step_takes_one_iteration_however_often_it_calls_d(kwargs):
    gan = _gan(**kwargs)
    images = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype(np.float32)
    layers = spectral.find(gan.discriminator)
    expected = []
    for layer in layers:
        matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
        u = matrix.T @ matrix @ layer.u.numpy()
        expected.append(u / np.linalg.norm(u))
    gan.train_step(images)
    for layer, u in zip(layers, expected, strict=True):
        np.testing.assert_allclose(layer.u, u, rtol=1e-4, atol=1e-5)


def test_each_step_of_d_takes_one_iteration():
    gan, plain = _gan(n_critic=2), _gan()
    for model in (gan, plain):  # at a rate of 0 the kernels stay the same
        model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    images = np.zeros((4, *SHAPE), np.float32)
    gan.train_step(images, images)
    plain.train_step(images)
    plain.train_step(images)
    for mine, theirs in zip(
        spectral.find(gan.discriminator), spectral.find(plain.discriminator), strict=True
    ):
        np.testing.assert_allclose(mine.u, theirs.u, rtol=1e-5)


def test_calls_outside_of_training_change_nothing():
    discriminator = SpectralDiscriminator()
    before = discriminator.get_weights()
    discriminator(np.ones((2, *SHAPE), np.float32), training=True)
    for old, new in zip(before, discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_kernel_of_zeros_keeps_its_direction_and_gives_zeros():
    dense = SpectralDense(3)
    dense.build((None, 2))
    dense.kernel.assign(np.zeros((2, 3)))
    before = dense.u.numpy()
    dense.iterate()
    np.testing.assert_array_equal(dense.u, before)
    with tf.GradientTape() as tape:
        outputs = dense(tf.ones((1, 2)))
    np.testing.assert_array_equal(outputs, np.zeros((1, 3)))
    assert np.isfinite(tape.gradient(outputs, dense.kernel.value)).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_norms_are_of_full_precision_under_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    layer = SpectralConv2D(8, 3)
    layer.build((None, 6, 6, 4))
    outputs = layer(tf.ones((1, 6, 6, 4)))
    assert layer.norm().dtype == tf.float32
    assert layer.normalized_kernel().dtype == outputs.dtype == policy.removeprefix("mixed_")
    spread = layer.normalized_kernel() * tf.cast(layer.norm(), outputs.dtype)
    np.testing.assert_allclose(spread, layer.kernel.numpy(), rtol=0.02, atol=1e-4)


def test_norm_vectors_are_saved(tmp_path):
    discriminator = SpectralDiscriminator()
    spectral.iterate(discriminator)
    x = tf.random.stateless_uniform((2, *SHAPE), (0, 2), -1, 1)
    assert_saved_and_loaded(discriminator, tmp_path, x)


def test_spectral_and_batch_normalisation_together_are_refused():
    with pytest.raises(ValueError, match="spectral and batch normalisation.*take one of the two"):
        GAN(TinyGenerator(), SpectralDiscriminator(batch_norm=True))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_other_norms_of_the_discriminator(norm):
    for name in SHAPES:
        _, discriminator = _build(name, norm)
        names = [variable.name for variable in discriminator.variables]
        hidden = 2 if name in ("light", "digit") else 3
        assert names.count("gamma") == (hidden if norm == "batch" else 0)
        assert names.count("scale") == (hidden if norm == "layer" else 0)
        assert "u" not in names


def test_pairs_of_fixed_layers_say_so():
    with pytest.raises(
        UserError, match=r"stability does not take --discriminator_norm=spectral.*d"
    ):
        networks.build("stability", (64, 64, 3), discriminator_norm="spectral")
    with pytest.raises(
        UserError, match="scene does not take --base_channels=32.*: dcgan, dcgan_no"
    ):
        networks.build("scene", (112, 112, 3), base_channels=32)
