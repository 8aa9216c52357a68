"""The fused batch norm against Keras' own layer, and on two replicas against one; layer norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.networks.normalization import (
    BatchNormalization,
    LayerNormalization,
    average_over_replicas,
    find_batch_norms,
    flatten_layers,
    has_batch_norm,
    synchronize,
)
from lsgan_tf.networks.residual import Bottleneck

RNG = np.random.default_rng(0)


def _pair(shape):
    ours = BatchNormalization()
    keras_own = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    for layer in (ours, keras_own):
        layer.build((None, *shape[1:]))
    for weight in ("gamma", "beta"):
        value = RNG.normal(size=shape[-1]).astype(np.float32)
        getattr(ours, weight).assign(value)
        getattr(keras_own, weight).assign(value)
    return ours, keras_own


@pytest.mark.parametrize("shape", [(6, 4, 4, 3), (8, 5)])
def test_training_equals_keras(shape):
    ours, keras_own = _pair(shape)
    x = tf.constant(RNG.normal(2.0, 3.0, shape).astype(np.float32))
    w = tf.constant(RNG.normal(size=shape).astype(np.float32))
    results = []
    for layer in (ours, keras_own):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * w)
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([y, *gradients, layer.moving_mean.value, layer.moving_variance.value])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5)


def test_moving_variance_is_the_biased_one():
    ours, _ = _pair((2, 1))
    ours(tf.constant([[0.0], [2.0]]), training=True)  # mean 1, biased variance 1, unbiased 2
    assert float(ours.moving_mean[0]) == pytest.approx(0.1)
    assert float(ours.moving_variance[0]) == pytest.approx(0.9 * 1 + 0.1 * 1)


def test_inference_uses_the_moving_statistics():
    ours, _ = _pair((2, 1))
    ours.gamma.assign([1.0])
    ours.beta.assign([0.0])
    ours.moving_mean.assign([3.0])
    ours.moving_variance.assign([4.0])
    out = ours(tf.constant([[5.0], [3.0]]), training=False)
    np.testing.assert_allclose(out, [[1.0], [0.0]], atol=1e-5)


def test_bfloat16_keeps_float32_statistics():
    ours = BatchNormalization(dtype="mixed_bfloat16")
    y = ours(tf.random.stateless_normal((16, 4, 4, 3), (0, 1)), training=True)
    assert y.dtype == tf.bfloat16
    assert ours.moving_variance.dtype == "float32"


def test_replicas_share_the_statistics_of_the_global_batch(replicas):
    x = RNG.normal(size=(8, 2, 2, 3)).astype(np.float32)
    outcomes = {}
    for count in (1, 2, 4):
        strategy = replicas(count)
        with strategy.scope():
            layer = BatchNormalization()
            layer.build((None, 2, 2, 3))
        dataset = strategy.experimental_distribute_dataset(
            tf.data.Dataset.from_tensors(x).unbatch().batch(8)
        )

        @tf.function
        def step(batch, strategy=strategy, layer=layer):
            return strategy.run(lambda b: layer(b, training=True), (batch,))

        outputs = strategy.experimental_local_results(step(next(iter(dataset))))
        outcomes[count] = np.concatenate(outputs)
        for variable in (layer.moving_mean, layer.moving_variance):
            copies = strategy.experimental_local_results(variable.value)
            assert len(copies) == count
            for copy in copies:
                np.testing.assert_array_equal(copy, copies[0])
            outcomes[count, variable.name] = copies[0].numpy()
    for count in (2, 4):
        np.testing.assert_allclose(outcomes[count], outcomes[1], rtol=1e-4, atol=1e-5)
        for name in ("moving_mean", "moving_variance"):
            np.testing.assert_allclose(outcomes[count, name], outcomes[1, name], rtol=1e-5)


def test_layers_inside_layers_are_found():
    """`flatten_layers` calls a private method of Keras, which must descend into models and into
    layers that are no models."""
    first, last = BatchNormalization(), BatchNormalization()
    block = Bottleneck(4, 8, "up", "batch")
    network = keras.Sequential([first, keras.Sequential([block, last])])
    network.build((None, 2, 2, 4))
    inside = block.residual.layers[-1]
    assert isinstance(inside, BatchNormalization)
    assert {id(layer) for layer in find_batch_norms(network)} == set(map(id, (first, inside, last)))
    layers = flatten_layers(network)
    assert len(set(map(id, layers))) == len(layers)
    assert {network, block, block.residual.layers[1], block.shortcut.layers[0]} <= set(layers)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (BatchNormalization, True),
        (keras.layers.BatchNormalization, True),
        (LayerNormalization, False),
        (lambda: Bottleneck(4, 4, "none", "batch"), True),
        (lambda: Bottleneck(4, 4, "none", "layer"), False),
    ],
)
def test_batch_norm_is_found_ours_or_keras_own(make, expected):
    assert has_batch_norm(keras.Sequential([keras.Sequential([make()])])) == expected


def test_layer_norm_by_hand():
    """(1, 3, 5, 7): mean 4, variance (9 + 1 + 1 + 9) / 4 = 5."""
    layer = LayerNormalization()
    layer.build((None, 4))
    layer.scale.assign([1.0, 2.0, 3.0, 4.0])
    layer.offset.assign([0.0, 0.0, 1.0, 1.0])
    expected = np.array([-3, -1 * 2, 1 * 3, 3 * 4]) / np.sqrt(5 + 1e-5) + [0, 0, 1, 1]
    outputs = layer(np.float32([[1, 3, 5, 7], [2, 2, 2, 2]]))
    np.testing.assert_allclose(outputs[0], expected, rtol=1e-6)
    np.testing.assert_allclose(outputs[1], [0, 0, 1, 1])  # without spread, the offsets


def test_layer_norm_takes_its_statistics_over_an_image_and_its_scales_by_channel():
    layer = LayerNormalization()
    x = RNG.normal(2.0, 3.0, (4, 5, 6, 3)).astype(np.float32)
    layer.build(x.shape)
    scale, offset = RNG.normal(size=(2, 3)).astype(np.float32)
    layer.set_weights([scale, offset])
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    variance = x.var(axis=(1, 2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5) * scale + offset
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
    again = LayerNormalization.from_config(LayerNormalization(epsilon=0.5).get_config())
    again.build(x.shape)
    np.testing.assert_allclose(again(x), (x - mean) / np.sqrt(variance + 0.5), rtol=1e-5, atol=1e-5)


def test_layer_norm_in_half_precision_keeps_float32_statistics():
    layer = LayerNormalization(dtype="mixed_bfloat16")
    # bfloat16 steps by 0.5 here: the mean 100.25 and the deviation 0.25 would be lost.
    x = tf.constant([[100.0, 100.5]], tf.bfloat16)
    outputs = layer(x)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), [[-1.0, 1.0]], rtol=1e-2)
    assert layer.scale.dtype == "float32"


def test_replicas_on_their_own_share_the_mean_of_their_statistics(replicas):
    """Replica r is given r everywhere: its mean is r, and so is what it takes off."""
    strategy = replicas(2)
    with strategy.scope():
        network = keras.Sequential([BatchNormalization(momentum=0.5)])
        network.build((None, 2))
    synchronize(network, False)

    @tf.function
    def step():
        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            inputs = tf.fill((4, 2), tf.cast(replica, tf.float32)) + [[1.0], [-1.0]] * 2
            outputs = network(inputs, training=True)
            average_over_replicas(network)
            return outputs

        return strategy.run(on_replica)

    for outputs in strategy.experimental_local_results(step()):
        np.testing.assert_allclose(outputs, [[1.0, 1.0], [-1.0, -1.0]] * 2, atol=1e-4)
    layer = network.layers[0]
    for variable, expected in ((layer.moving_mean, 0.25), (layer.moving_variance, 1.0)):
        for copy in strategy.experimental_local_results(variable.value):
            np.testing.assert_allclose(copy, [expected] * 2, rtol=1e-5)


def test_statistics_over_replicas_keep_their_digits_far_from_zero(replicas):
    """Mean 1000, deviation 0.1: the difference of the raw squares would have no digit left."""
    strategy = replicas(2)
    with strategy.scope():
        layer = BatchNormalization(momentum=0.0)
        layer.build((None, 1))
    x = (1000.0 + 0.1 * RNG.normal(size=(64, 1))).astype(np.float32)
    layer.moving_mean.assign([999.9])

    @tf.function
    def step():
        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return layer(tf.constant(x)[replica * 32 : replica * 32 + 32], training=True)

        return strategy.run(on_replica)

    outputs = np.concatenate(strategy.experimental_local_results(step()))
    expected = (x - x.mean(dtype=np.float64)) / np.sqrt(x.var(dtype=np.float64) + 1e-5)
    np.testing.assert_allclose(outputs, expected, atol=5e-3)
