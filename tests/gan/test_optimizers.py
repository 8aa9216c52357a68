"""Adam and RMSProp against TensorFlow 1's own, and against the formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.optimizers import Adam, RateSchedule, RMSProp, apply_over_replicas

START = np.float32([0.5, -0.25, 0.0])


def _gradient(step, scale):
    return scale * np.float32([1.0, -2.0, 0.5]) * np.float32(1 + 0.1 * step)


def _ours(optimizer, scale, steps):
    variable = keras.Variable(START)
    optimizer.build([variable])
    for step in range(steps):
        optimizer.apply([tf.constant(_gradient(step, scale))], [variable])
    return variable.numpy()


def _tensorflow_1(make, scale, steps):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("v", initializer=START, use_resource=True)
        gradient = tf.compat.v1.placeholder(tf.float32, [3])
        update = make().apply_gradients([(gradient, variable)])
        session.run(tf.compat.v1.global_variables_initializer())
        for step in range(steps):
            session.run(update, {gradient: _gradient(step, scale)})
        return session.run(variable)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_adam_is_tensorflow_1s(scale):
    expected = _tensorflow_1(lambda: tf.compat.v1.train.AdamOptimizer(1e-3, beta1=0.5), scale, 50)
    np.testing.assert_allclose(_ours(Adam(1e-3), scale, 50), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_rmsprop_is_tensorflow_1s(scale):
    expected = _tensorflow_1(lambda: tf.compat.v1.train.RMSPropOptimizer(2e-4), scale, 50)
    np.testing.assert_allclose(_ours(RMSProp(2e-4), scale, 50), expected, rtol=1e-6, atol=1e-9)


def test_keras_own_optimizers_would_differ():
    """Why these classes exist: if this fails, they are no longer needed."""
    adam = _ours(keras.optimizers.Adam(1e-3, beta_1=0.5), 1e-7, 50)
    assert np.abs(adam - _ours(Adam(1e-3), 1e-7, 50)).max() > 1e-3
    rmsprop = _ours(keras.optimizers.RMSprop(2e-4, epsilon=1e-10), 1e-3, 50) - START
    assert np.abs(rmsprop).max() > 20 * np.abs(_ours(RMSProp(2e-4), 1e-3, 50) - START).max()


def test_first_steps_by_hand():
    # Adam's first step is lr * g / (|g| + epsilon'); RMSProp's lr * g / sqrt(0.9 + 0.1 g^2).
    np.testing.assert_allclose(
        _ours(Adam(0.1), 1.0, 1), START - 0.1 * np.sign(_gradient(0, 1.0)), rtol=1e-5
    )
    g = _gradient(0, 1.0)
    np.testing.assert_allclose(
        _ours(RMSProp(0.1), 1.0, 1), START - 0.1 * g / np.sqrt(0.9 + 0.1 * g * g), rtol=1e-5
    )


def test_constants_are_exact_in_float64():
    """Three steps by the formulas; a constant rounded to float32 is off by 1e-8."""
    rate = np.float64(np.float32(1e-3))  # Keras keeps it in float32
    gradients = [_gradient(step, 1.0).astype(np.float64) for step in range(3)]

    def run(optimizer):
        variable = keras.Variable(START.astype(np.float64), dtype="float64")
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [variable])
        return variable.numpy()

    value, m, v = START.astype(np.float64), 0.0, 0.0
    for step, g in enumerate(gradients, 1):
        m, v = 0.7 * m + 0.3 * g, 0.999 * v + 0.001 * g * g
        corrected = rate * np.sqrt(1 - 0.999**step) / (1 - 0.7**step)
        value = value - corrected * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(run(Adam(1e-3, beta_1=0.7)), value, rtol=1e-12)

    value, mean_square, moved = START.astype(np.float64), 1.0, 0.0
    for g in gradients:
        mean_square = 0.9 * mean_square + 0.1 * g * g
        moved = 0.3 * moved + rate * g / np.sqrt(mean_square + 1e-10)
        value = value - moved
    np.testing.assert_allclose(run(RMSProp(1e-3, momentum=0.3)), value, rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(0.01, beta_1=0.3),
        RMSProp(0.01, rho=0.8, schedule=RateSchedule("linear", decay_steps=9)),
    ],
)
def test_optimizers_serialise(optimizer):
    stored = keras.saving.serialize_keras_object(optimizer)
    assert keras.saving.deserialize_keras_object(stored).get_config() == optimizer.get_config()


def test_what_was_stored_before_there_were_schedules_loads():
    stored = Adam(0.01).get_config()
    del stored["schedule"]
    assert Adam.from_config(stored).schedule is None


def test_slots_survive_a_checkpoint(tmp_path):
    variable = keras.Variable(START)
    optimizer = RMSProp(1e-2)
    optimizer.build([variable])
    optimizer.apply([tf.constant(_gradient(0, 1.0))], [variable])
    path = tf.train.Checkpoint(o=optimizer, v=variable.value).save(str(tmp_path / "c"))
    other = keras.Variable(np.zeros(3, np.float32))
    restored = RMSProp(1e-2)
    restored.build([other])
    tf.train.Checkpoint(o=restored, v=other.value).restore(path).assert_consumed()
    for o, v in ((optimizer, variable), (restored, other)):
        o.apply([tf.constant(_gradient(1, 1.0))], [v])
    np.testing.assert_array_equal(other.numpy(), variable.numpy())


@pytest.mark.parametrize("kind", [Adam, RMSProp])
def test_accumulated_gradients_make_the_update_of_their_mean(kind):
    mean, halves = (keras.Variable(START) for _ in range(2))
    schedule = RateSchedule("linear", decay_steps=100)
    once = kind(0.1)
    many = kind(0.1, gradient_accumulation_steps=2, schedule=schedule)
    once.build([mean])
    many.build([halves])

    @tf.function(autograph=False)
    def accumulate(gradient):
        many.apply([gradient], [halves])

    for step in range(3):
        accumulate(tf.constant(_gradient(step, 0.5)))
        np.testing.assert_array_equal(halves.numpy(), mean.numpy())
        once.learning_rate = 0.1 * (1 - (2 * step + 1) / 100)  # by steps, not by updates
        once.apply([tf.constant(_gradient(step, 1.0))], [mean])
        accumulate(tf.constant(_gradient(step, 1.5)))
        np.testing.assert_allclose(halves.numpy(), mean.numpy(), rtol=1e-5, atol=1e-7)
        halves.assign(mean)
    assert int(many.iterations) == 3


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer])
def test_a_variable_outside_the_loss_stays_with_a_warning(wrap):
    used, unused = keras.Variable([1.0]), keras.Variable([2.0], name="head")
    optimizer = wrap(Adam(0.1))
    optimizer.build([unused, used])
    gradient = tf.constant([3.0]) * optimizer.scale_loss(tf.constant(1.0))
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['head'\]"):
        norm, _ = apply_over_replicas(optimizer, [None, gradient], [unused, used])
    assert (float(norm), unused.numpy().tolist()) == (3.0, [2.0])
    assert used.numpy() == pytest.approx([0.9])
    with pytest.raises(ValueError, match="none of a network's outputs reaches it"):
        apply_over_replicas(optimizer, [None, None], [unused, used])


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer])
def test_gradients_of_several_types_have_a_norm(wrap):
    both = [keras.Variable([1.0], dtype=dtype) for dtype in ("float32", "float64")]
    optimizer = wrap(Adam())
    optimizer.build(both)
    scale = optimizer.scale_loss(tf.constant(1.0))
    gradients = [
        number * tf.cast(scale, v.dtype) for number, v in zip((3.0, 4.0), both, strict=True)
    ]
    norm, _ = apply_over_replicas(optimizer, [g[None] for g in gradients], both)
    assert float(norm) == 5.0
