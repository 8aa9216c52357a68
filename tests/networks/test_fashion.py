"""The networks of the Fashion-MNIST report: sizes, PyTorch's alignment, initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.networks.fashion import FashionDiscriminator, FashionGenerator
from lsgan_tf.networks.layers import torch_conv, torch_deconv
from lsgan_tf.networks.normalization import BatchNormalization, find_batch_norms, flatten_layers
from tests.networks.network_checks import count_parameters

SHAPE = (32, 32, 1)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "of_g", "of_d", "momenta"),
    [
        ("fashion", 8_618_753, 24_321, []),
        ("fashion_bn90", 8_635_521, 24_513, [0.9] * 5),
        ("fashion_bn95", 8_635_521, 24_513, [0.95] * 5),
        ("fashion_deep", 769_889, 24_513, [0.9] * 6),
    ],
)
@pytest.mark.parametrize("suffix", ["", "_sigmoid"])
def test_sizes_and_norms(name, suffix, of_g, of_d, momenta):
    generator, discriminator = networks.build(name + suffix, SHAPE)
    assert (count_parameters(generator), count_parameters(discriminator)) == (of_g, of_d)
    norms = find_batch_norms(generator) + find_batch_norms(discriminator)
    assert [norm.momentum for norm in norms] == momenta
    assert all(norm.epsilon == 1e-5 for norm in norms)
    assert discriminator.sigmoid == bool(suffix)


def test_the_first_norm_has_a_scale_for_each_unit():
    units = [norm.gamma.shape[0] for norm in find_batch_norms(FashionGenerator(0.9))]
    assert sorted(units) == [64, 128, 8192]


def test_only_a_linear_discriminator_leaves_the_labels_0_and_1():
    keras.utils.set_random_seed(0)
    linear, bounded = FashionDiscriminator(), FashionDiscriminator(sigmoid=True)
    bounded.set_weights(linear.get_weights())
    images = tf.random.stateless_uniform((4, *SHAPE), (0, 1), -900, 900)
    logits = linear(images).numpy()
    assert logits.min() < 0
    np.testing.assert_allclose(bounded(images), 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert (linear.logit_range, bounded.logit_range) == (None, (0, 1))


def _conv_by_definition(x, kernel, strides):
    """PyTorch's Conv2d(kernel 3, padding 1): out[i] = sum over m of x[strides i + m - 1] w[m]."""
    side = (len(x) + 2 - 3) // strides + 1
    out = np.zeros((side, side, kernel.shape[-1]))
    for i, j, m, n in np.ndindex(side, side, 3, 3):
        row, column = strides * i + m - 1, strides * j + n - 1
        if 0 <= row < len(x) and 0 <= column < len(x):
            out[i, j] += x[row, column] @ kernel[m, n]
    return out


def _deconv_by_definition(x, kernel):
    """PyTorch's ConvTranspose2d(kernel 3, stride 2, padding 1, output_padding 1): x[i] w[m] goes
    to out[2 i + m - 1], and out has (n - 1) 2 - 2 + 3 + 1 = 2 n rows."""
    side = 2 * len(x)
    out = np.zeros((side, side, kernel.shape[-2]))
    for i, j, m, n in np.ndindex(len(x), len(x), 3, 3):
        row, column = 2 * i + m - 1, 2 * j + n - 1
        if 0 <= row < side and 0 <= column < side:
            out[row, column] += kernel[m, n] @ x[i, j]
    return out


@pytest.mark.parametrize("strides", [1, 2])
def test_convolutions_lie_where_pytorchs_do(strides):
    block = keras.Sequential(torch_conv(2, 3, strides, "normal"))
    x = RNG.normal(size=(1, 6, 6, 2)).astype("float32")
    out = block(x)[0] - block.layers[-1].bias.value
    expected = _conv_by_definition(x[0], block.layers[-1].kernel.numpy(), strides)
    np.testing.assert_allclose(out, expected, atol=1e-5)  # sums of 18 products of about 0.1


def test_transposed_convolutions_lie_where_pytorchs_do():
    block = keras.Sequential(torch_deconv(3, "normal"))
    x = RNG.normal(size=(1, 4, 4, 2)).astype("float32")
    out = block(x)[0] - block.layers[0].bias.value
    expected = _deconv_by_definition(x[0], block.layers[0].kernel.numpy())
    assert out.shape == (8, 8, 3)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_a_single_pixel_goes_where_pytorch_puts_it():
    """By hand: pixel (0, 0) of a 2x2 map reaches rows -1, 0 and 1; row -1 is cut off, so that the
    kernel's last two rows and columns arrive."""
    block = keras.Sequential(torch_deconv(1, "zeros"))
    block.build((None, 2, 2, 1))
    block.layers[0].kernel.assign(np.arange(9.0).reshape(3, 3, 1, 1))
    x = np.zeros((1, 2, 2, 1), "float32")
    x[0, 0, 0] = 1
    out = (block(x)[0, :, :, 0] - block.layers[0].bias.value).numpy()
    expected = [[4, 5, 0, 0], [7, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_initial_weights():
    keras.utils.set_random_seed(0)
    for network in networks.build("fashion_bn90", SHAPE):
        for layer in flatten_layers(network):
            if isinstance(layer, BatchNormalization):
                gamma = layer.gamma.numpy()
                # 32 scales know their mean to 0.0035 and their deviation to 13 %.
                assert gamma.mean() == pytest.approx(1, abs=0.014)
                assert gamma.std() == pytest.approx(0.02, rel=0.4)
                assert not layer.beta.numpy().any()
            elif isinstance(layer, keras.layers.Dense):
                bound = layer.kernel.shape[0] ** -0.5
                largest = np.abs(layer.kernel.numpy()).max()
                assert 0.99 * bound < largest <= bound
                assert 0 < np.abs(layer.bias.numpy()).max() <= bound
            elif isinstance(layer, keras.layers.Conv2D):
                # PyTorch's fan is that of the kernel's third axis, transposed or not.
                bound = (9 * layer.kernel.shape[2]) ** -0.5
                assert layer.kernel.numpy().std() == pytest.approx(0.02, rel=0.15)
                assert 0 < np.abs(layer.bias.numpy()).max() <= bound
