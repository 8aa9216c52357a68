"""Convolutions of small maps in training: the numbers of Keras' layers, by other operations."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.networks.convolution import Conv2D, Conv2DTranspose

# Side of the larger map, of the kernel, and strides: 4 to 2 and so on, also odd ones, and where
# weights of the kernel meet no place of the map at all.
SIZES = [(4, 5, 2), (7, 3, 2), (5, 5, 2), (2, 5, 2), (3, 4, 2), (8, 5, 2), (9, 5, 3)]


def _make(kind, height, size, stride, dtype, channels=32, filters=65):
    """A layer between maps of `height` and of the smaller side, and inputs [4, ..., channels]."""
    keras.utils.set_random_seed(1)
    options = {"kernel_initializer": "random_normal", "bias_initializer": "random_normal"}
    side = height
    if kind is Conv2DTranspose:
        side = -(-height // stride)
        options["output_padding"] = height - ((side - 1) * stride + size - 2 * (size // 2))
    layer = kind(filters, size, stride, "same", dtype=dtype, **options)
    inputs = np.random.default_rng(0).normal(size=(4, side, side, channels))
    inputs = tf.cast(inputs, layer.variable_dtype)
    layer.build(inputs.shape)
    return layer, inputs


def _differentiate(layer, training):
    """A function of inputs: outputs, gradients of a sum of squares by inputs and weights, and
    second derivatives by both, as a gradient penalty needs them."""

    @tf.function
    def differentiate(inputs):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = layer(inputs, training=training)
                value = tf.reduce_sum(tf.cast(outputs, inputs.dtype) ** 2)
            gradients = inner.gradient(value, [inputs, *layer.trainable_weights])
            slope = tf.reduce_sum(gradients[0] ** 2)
        return [outputs, *gradients, *outer.gradient(slope, [inputs, layer.kernel.value])]

    return differentiate


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
@pytest.mark.parametrize("sizes", SIZES)
def test_outputs_and_derivatives_are_those_of_keras_layer(kind, sizes):
    layer, inputs = _make(kind, *sizes, "float64")
    plain = _differentiate(layer, training=False)(inputs)
    trained = _differentiate(layer, training=True)(inputs)
    for expected, got in zip(plain, trained, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_outside_of_training_the_layer_is_keras_own(kind):
    layer, inputs = _make(kind, 4, 5, 2, "float32")
    parent = kind.__mro__[1](
        **{name: value for name, value in layer.get_config().items() if name != "name"}
    )
    parent.build(inputs.shape)
    parent.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(inputs), parent(inputs))


def _list_operations(layer, inputs, training):
    graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(inputs).graph
    return [operation.type for operation in graph.get_operations()]


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="on processors only")
def test_a_map_that_half_the_weights_miss_is_multiplied_only_in_training():
    layer, inputs = _make(Conv2D, 4, 5, 2, "float32")
    assert "Conv2D" in _list_operations(layer, inputs, training=False)
    operations = _list_operations(layer, inputs, training=True)
    assert "Conv2D" not in operations
    assert operations.count("MatMul") == 25  # one for each weight of the 5x5


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((4, 5, 2), {"filters": 31}),
        ((16, 5, 2), {}),
        ((4, 5, 1), {}),
        ((4, 3, 2), {"padding": "valid"}),
        ((4, 5, (2, 1)), {}),
        ((4, 5, 1), {"dilation_rate": 2}),
        ((4, 5, 2), {"groups": 2}),
    ],
)
def test_other_convolutions_stay_convolutions(sizes, options):
    height, size, strides = sizes
    options = {"padding": "same", "filters": 64, **options}
    layer = Conv2D(kernel_size=size, strides=strides, **options)
    inputs = tf.ones([2, height, height, 64])
    layer.build(inputs.shape)
    assert "MatMul" not in _list_operations(layer, inputs, training=True)


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
@pytest.mark.parametrize("height", [4, 8, 32])
def test_bfloat16_loses_no_more_than_its_rounding(kind, height):
    layer, inputs = _make(kind, height, 5, 2, "mixed_bfloat16")
    inputs = tf.tile(inputs, [8, 1, 1, 1])
    exact = kind.from_config({**layer.get_config(), "dtype": "float32"})
    exact.build(inputs.shape)
    exact.set_weights(layer.get_weights())
    got, expected = (_differentiate(either, training=True)(inputs)[:4] for either in (layer, exact))
    # The bias' gradient is a sum over all pixels, of which bfloat16 would keep one or two digits.
    for half, full in zip(got, expected, strict=True):
        error = np.asarray(tf.cast(half, tf.float32)) - full
        assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(np.square(full)))


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_a_graph_is_differentiated_from_outside(kind):
    """By TensorFlow's table of gradients, not by a tape in the graph."""
    layer, inputs = _make(kind, 4, 5, 2, "float64")

    def differentiate(call):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                value = tf.reduce_sum(call(inputs) ** 2)
            gradient = inner.gradient(value, inputs)
            slope = tf.reduce_sum(gradient**2)
        return [gradient, *outer.gradient(slope, [inputs, layer.kernel.value])]

    in_graph = tf.function(lambda images: layer(images, training=True), autograph=False)
    eagerly = differentiate(lambda images: layer(images, training=False))
    for expected, got in zip(eagerly, differentiate(in_graph), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_a_graph_is_freed_with_its_function(kind):
    """It holds the variables: each of several trainings in a process would leave its weights."""
    layer, inputs = _make(kind, 4, 5, 2, "float32")

    def differentiate(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = tf.reduce_sum(layer(images, training=True))
        return tape.gradient(value, images)

    function = tf.function(differentiate, autograph=False)
    function(inputs)
    graph = weakref.ref(function.get_concrete_function(inputs).graph)
    assert graph() is not None
    del function
    gc.collect()
    assert graph() is None
