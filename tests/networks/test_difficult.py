"""The difficult architectures: the authors' sizes and initial weights, gates, residual blocks."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf import networks
from lsgan_tf.gan.model import GAN
from lsgan_tf.networks.difficult import (
    DifficultDiscriminator,
    DifficultGenerator,
    Gate,
    GatedDiscriminator,
)
from lsgan_tf.networks.normalization import (
    BatchNormalization,
    LayerNormalization,
    flatten_layers,
)
from lsgan_tf.networks.residual import Bottleneck, DepthToSpace
from tests.networks.network_checks import assert_saved_and_loaded, count_parameters

SHAPE = (64, 64, 3)
RNG = np.random.default_rng(0)

# How many layers of G and of D are normalised, and by what in D.
NORMS = {
    "difficult_dcgan": (4, 3, LayerNormalization),
    "difficult_dcgan_bn": (4, 3, BatchNormalization),
    "difficult_constant": (0, 3, LayerNormalization),
    "difficult_mlp": (0, 3, LayerNormalization),
    "difficult_no_norm": (0, 0, LayerNormalization),
    "difficult_gated": (4, 3, LayerNormalization),
    "difficult_tanh": (4, 3, LayerNormalization),
    "difficult_residual": (33, 33, LayerNormalization),
    "difficult_residual_fifth": (33, 33, LayerNormalization),
}


@functools.cache
def _pair(name):
    """Built once, and not to be trained."""
    keras.utils.set_random_seed(0)
    return networks.build(name, SHAPE)


def _kinds(network, *kinds):
    return [layer for layer in flatten_layers(network) if isinstance(layer, kinds)]


@pytest.mark.parametrize("name", NORMS)
def test_norms(name):
    generator, discriminator = _pair(name)
    of_g, of_d, in_d = NORMS[name]
    norms_of_g = _kinds(generator, BatchNormalization, LayerNormalization)
    assert [type(layer) for layer in norms_of_g] == [BatchNormalization] * of_g
    norms_of_d = _kinds(discriminator, BatchNormalization, LayerNormalization)
    assert [type(layer) for layer in norms_of_d] == [in_d] * of_d
    assert all(layer.epsilon == 1e-5 for layer in norms_of_g + norms_of_d)
    assert (generator.latent_dim, generator.latent_distribution) == (128, "normal")


# Deviations of the kernels, first to last layer: sqrt(4 / (fan_in + fan_out)) for convolutions,
# sqrt(2 / (in + out)) for linear layers, unless all are 0.02. Gated, for example, 64 -> 256 with
# strides: 4 / (64 * 25 + 256 * 25 / 4) = 0.0353553^2.
CONSTANT = [
    math.sqrt(2 / (128 + 1024)),
    *[math.sqrt(4 / (64 * 25 / 4 + 64 * 25))] * 3,
    math.sqrt(4 / (64 * 25 / 4 + 3 * 25)),
]
MLP = [math.sqrt(2 / 128), *[math.sqrt(2 / 512)] * 3, math.sqrt(2 / (512 + 12288))]
GATED_G = [0.0110056, 0.0158114, 0.0223607, 0.0316228, 0.0917663]
GATED_D = [0.0676123, 0.0353553, 0.0250000, 0.0176777, 0.0156240]


@pytest.mark.parametrize(
    ("name", "of_g", "of_d"),
    [
        ("difficult_dcgan", [0.02] * 5, [0.02] * 5),
        ("difficult_no_norm", [0.02] * 5, [0.02] * 5),
        ("difficult_tanh", [0.02] * 5, [0.02] * 5),
        ("difficult_constant", CONSTANT, [0.02] * 5),
        ("difficult_mlp", MLP, [0.02] * 5),
        ("difficult_gated", GATED_G, GATED_D),
    ],
)
def test_initial_weights(name, of_g, of_d):
    for network, deviations in zip(_pair(name), (of_g, of_d), strict=True):
        kernels = [v for v in network.trainable_variables if v.name == "kernel"]
        for kernel, deviation in zip(kernels, deviations, strict=True):
            _assert_uniform(kernel, deviation)
        _assert_others_start_neutral(network)


def _block(first, second, third, shortcut=None):
    return [first, second, third] + ([] if shortcut is None else [shortcut])


# By hand for each kind of block; `first` and `third` are the 1x1 convolutions, whose fans are their
# channels, 4 / (512 + 256) = 0.0722^2 and so on.
RESIDUAL_G = [
    math.sqrt(2 / (128 + 8192)),
    *_block(0.0721688, 0.0294628, 0.0721688) * 6,
    *_block(0.0721688, math.sqrt(4 / (256 * 9 / 4 + 128 * 9)), 0.1020621, math.sqrt(2 / 1536)),
    *_block(0.1020621, 0.0416667, 0.1020621) * 6,
    *_block(0.1020621, math.sqrt(4 / (128 * 9 / 4 + 64 * 9)), 0.1443376, math.sqrt(2 / 768)),
    *_block(0.1443376, 0.0589256, 0.1443376) * 6,
    *_block(0.1443376, math.sqrt(4 / (64 * 9 / 4 + 32 * 9)), 0.2041241, math.sqrt(2 / 384)),
    *_block(0.2041241, 0.0833333, 0.2041241) * 6,
    *_block(0.2041241, math.sqrt(4 / (32 * 9 / 4 + 16 * 9)), 0.2886751, math.sqrt(2 / 192)),
    *_block(0.2886751, 0.1178511, 0.2886751) * 5,
    math.sqrt(2 / (32 + 3)),
]
RESIDUAL_D = [
    math.sqrt(2 / (3 + 32)),
    *_block(0.2886751, 0.1178511, 0.2886751) * 5,
    *_block(0.2886751, math.sqrt(4 / (16 * 9 + 32 * 9 / 4)), 0.2041241, math.sqrt(2 / 48)),
    *_block(0.2041241, 0.0833333, 0.2041241) * 6,
    *_block(0.2041241, math.sqrt(4 / (32 * 9 + 64 * 9 / 4)), 0.1443376, math.sqrt(2 / 96)),
    *_block(0.1443376, 0.0589256, 0.1443376) * 6,
    *_block(0.1443376, math.sqrt(4 / (64 * 9 + 128 * 9 / 4)), 0.1020621, math.sqrt(2 / 192)),
    *_block(0.1020621, 0.0416667, 0.1020621) * 6,
    *_block(0.1020621, math.sqrt(4 / (128 * 9 + 256 * 9 / 4)), 0.0721688, math.sqrt(2 / 384)),
    *_block(0.0721688, 0.0294628, 0.0721688) * 6,
    math.sqrt(2 / (8192 + 1)),
]


def test_initial_weights_of_101_layers():
    for network, deviations in zip(
        _pair("difficult_residual"), (RESIDUAL_G, RESIDUAL_D), strict=True
    ):
        kernels = [v for v in network.trainable_variables if v.name == "kernel"]
        assert len(kernels) == 101 + 4  # and four shortcuts
        for kernel, deviation in zip(kernels, deviations, strict=True):
            _assert_uniform(kernel, deviation)
        _assert_others_start_neutral(network)


def _assert_uniform(kernel, deviation):
    value, limit = kernel.numpy().ravel(), math.sqrt(3) * deviation
    # The deviation of n uniform numbers is itself uncertain by 0.447 / sqrt(n): five of those.
    assert value.std() == pytest.approx(deviation, rel=2.24 / math.sqrt(value.size)), kernel.path
    # The largest of n falls short of the limit by a share of 20 / n less than once in 10^8 times;
    # the limits here are rounded to six digits.
    assert (1 - 20 / value.size - 1e-5) * limit <= np.abs(value).max() <= limit * (1 + 1e-5)


def _assert_others_start_neutral(network):
    for variable in network.trainable_variables:
        if variable.name != "kernel":
            start = {"bias": 0, "beta": 0, "offset": 0, "gamma": 1, "scale": 1}[variable.name]
            assert (variable.numpy() == start).all(), variable.path


def test_two_layers_of_one_shape_start_differently():
    weights = _pair("difficult_constant")[0].trainable_variables
    first, second, third = (v.numpy() for v in weights if v.shape == (5, 5, 64, 64))
    for one, other in ((first, second), (second, third)):
        assert np.abs(one - other).max() > 0.1


def test_gate_is_sigmoid_of_even_times_tanh_of_odd_channels():
    inputs = np.float32([[0.0, 1.0, 2.0, -0.5]])
    expected = [
        [0.5 * math.tanh(1.0), 1 / (1 + math.exp(-2.0)) * math.tanh(-0.5)],
    ]
    np.testing.assert_allclose(Gate()(inputs), expected, rtol=1e-6)
    images = np.broadcast_to(inputs[:, None, None], (2, 3, 3, 4))
    assert Gate()(images).shape == (2, 3, 3, 2)
    np.testing.assert_allclose(Gate()(images)[1, 2, 0], expected[0], rtol=1e-6)


def test_depth_to_space_by_hand():
    inputs = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)  # four pixels of two channels
    outputs = DepthToSpace()(inputs).numpy()
    np.testing.assert_array_equal(outputs, [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]])


def test_bottleneck_by_hand():
    """On one pixel the 3x3 convolution is its central tap, and all is products of matrices."""
    block = Bottleneck(4, 4)
    x = RNG.normal(size=(3, 1, 1, 4)).astype(np.float32)
    block.build(x.shape)
    kernels = [v for v in block.trainable_variables if v.name == "kernel"]
    biases = [v for v in block.trainable_variables if v.name == "bias"]
    assert (len(kernels), len(biases)) == (3, 2)  # none in front of the norm
    for bias in biases:
        bias.assign(RNG.normal(size=2))
    first, middle, last = (kernel.numpy() for kernel in kernels)
    hidden = np.maximum(x, 0) @ first[0, 0] + biases[0].numpy()
    hidden = np.maximum(hidden, 0) @ middle[1, 1] + biases[1].numpy()
    hidden = np.maximum(hidden, 0) @ last[0, 0]
    mean, variance = hidden.mean(-1, keepdims=True), hidden.var(-1, keepdims=True)
    expected = x + 0.3 * (hidden - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(block(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "shape", "shortcut_kernels"),
    [
        ((8, 8), (2, 6, 6, 8), []),
        ((8, 4), (2, 6, 6, 4), [(1, 1, 8, 4)]),
        ((8, 16, "down"), (2, 3, 3, 16), [(1, 1, 8, 16)]),
        ((8, 4, "up"), (2, 12, 12, 4), [(1, 1, 8, 16)]),
    ],
)
def test_shortcut_keeps_what_the_residual_adds_to(arguments, shape, shortcut_kernels):
    block = Bottleneck(*arguments)
    x = tf.constant(RNG.normal(size=(2, 6, 6, 8)).astype(np.float32))
    outputs = block(x)
    assert outputs.shape == block.compute_output_shape(x.shape) == shape
    weights = block.shortcut.trainable_variables
    assert [tuple(v.shape) for v in weights if v.name == "kernel"] == shortcut_kernels
    # What is added to the shortcut is normalised: deviation 0.3 over each image.
    added = (outputs - block.shortcut(x)).numpy()
    np.testing.assert_allclose(added.mean(axis=(1, 2, 3)), 0.0, atol=1e-6)
    np.testing.assert_allclose(added.std(axis=(1, 2, 3)), 0.3, rtol=1e-3)
    if not shortcut_kernels:
        np.testing.assert_array_equal(block.shortcut(x), x)


def test_residual_networks_have_101_layers():
    weighted = (layers.Dense, layers.Conv2D, layers.Conv2DTranspose)
    for network in _pair("difficult_residual"):
        blocks = _kinds(network, Bottleneck)
        inside = [layer for block in blocks for layer in _kinds(block.residual, *weighted)]
        outside = [layer for layer in network.body.layers if isinstance(layer, weighted)]
        assert (len(blocks), len(inside), len(outside)) == (33, 99, 2)


def test_residual_generator_ends_in_tanh_of_a_fifth():
    generator, _ = _pair("difficult_residual")
    z = RNG.normal(size=(2, 128)).astype(np.float32)
    before = keras.Sequential(generator.body.layers[:-2])(z)
    np.testing.assert_allclose(generator(z), np.tanh(before.numpy() / 5), rtol=1e-5, atol=1e-6)


def test_the_divisor_divides_the_logit_and_is_saved(tmp_path):
    # Both start from the same seed, so from the same weights.
    (_, plain), (_, divided) = map(_pair, ("difficult_residual", "difficult_residual_fifth"))
    x = RNG.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(divided(x), plain(x) / 5, rtol=1e-5, atol=1e-7)
    assert_saved_and_loaded(divided, tmp_path, x)


def test_with_layer_norm_a_logit_depends_on_its_image_alone():
    x = RNG.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    for name, alone in (("difficult_dcgan", True), ("difficult_dcgan_bn", False)):
        _, discriminator = _pair(name)
        both = discriminator(x, training=True).numpy()
        one = discriminator(x[:1], training=True).numpy()
        assert np.allclose(both[:1], one, rtol=1e-4, atol=1e-6) == alone


def test_step_without_a_recipe_is_finite():
    """The sizes and the steps of the other pairs are in `tests/test_recipe_networks.py`."""
    # Copies: the initial weights of the pair belong to other tests.
    pair = _pair("difficult_dcgan_bn")
    assert tuple(map(count_parameters, pair)) == (5_364_739, 4_316_545)
    generator, discriminator = (type(n).from_config(n.get_config()) for n in pair)
    gan = GAN(generator, discriminator)
    gan.compile()
    before = [network.trainable_variables[0].numpy() for network in (generator, discriminator)]
    results = gan.train_step(RNG.uniform(-1, 1, (2, *SHAPE)).astype(np.float32))
    assert all(np.isfinite(float(value)) for value in results.values())
    for network, weights in zip((generator, discriminator), before, strict=True):
        assert np.abs(network.trainable_variables[0].numpy() - weights).max() > 0
    images = generator(tf.random.stateless_normal((2, 128), (0, 0)))
    assert images.shape == (2, *SHAPE) and images.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(images))) <= 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: DifficultGenerator("none", "tanh"),
        lambda: DifficultDiscriminator("batch", "tanh"),
        lambda: GatedDiscriminator("none"),
    ],
)
def test_arguments_and_weights_are_saved(make, tmp_path):
    network = make()
    inputs = (128,) if "Generator" in type(network).__name__ else SHAPE
    x = RNG.normal(size=(1, *inputs)).astype(np.float32)
    loaded = assert_saved_and_loaded(network, tmp_path, x)
    assert loaded.get_config() == network.get_config()


def test_the_layers_are_serialisable():
    x = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)
    for layer in (Gate(), DepthToSpace(), Bottleneck(8, 4, "up", "none")):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        expected = layer(x)
        again.build(x.shape)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(x), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DifficultGenerator("group"), "'group'; known: 'layer', 'batch', 'none'"),
        (lambda: DifficultGenerator(activation="leaky_relu"), "known: 'relu', 'tanh'"),
        (lambda: DifficultDiscriminator(activation="relu"), "known: 'leaky_relu', 'tanh'"),
        (lambda: GatedDiscriminator("bn"), "Unknown normalization 'bn'"),
        (lambda: Bottleneck(4, 4, "sideways"), "'sideways'; known: 'none', 'down', 'up'"),
    ],
)
def test_what_is_unknown_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
