"""Subclasses that change the step or the metrics, steps in eager mode, and what a step refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf.gan.model import GAN
from tests.tiny import PointDiscriminator, PointGenerator

POINTS = np.random.default_rng(0).uniform(-1, 1, (25, 1, 1, 1)).astype(np.float32)
OF_TRAINING = {"d_loss", "g_loss", "d_real", "d_fake", "d_gradient_norm", "g_gradient_norm", "loss"}


def _make(kind=GAN, discriminator=PointDiscriminator, run_eagerly=False, **options):
    keras.utils.set_random_seed(1)
    gan = kind(PointGenerator(), discriminator())
    sgd = (keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    gan.compile(*sgd, run_eagerly=run_eagerly, **options)
    return gan


class _Adding(GAN):
    def train_step(self, *batches):
        return {**super().train_step(*batches), "steps": tf.cast(self.step.value, tf.float32)}


class _Replacing(GAN):
    def train_step(self, images):
        self.step.assign_add(1)
        return {"brightest": tf.reduce_max(images)}


class _Measuring(GAN):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = keras.metrics.Sum("seen")

    @property
    def metrics(self):
        return [*super().metrics, self.seen]

    def train_step(self, images):
        self.seen.update_state(tf.shape(images)[0])
        return super().train_step(images)

    def test_step(self, images):
        self.seen.update_state(tf.shape(images)[0])
        super().test_step(images)


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_what_an_own_step_returns_is_logged(steps_per_execution):
    gan = _make(_Adding, steps_per_execution=steps_per_execution)
    logs = gan.fit(POINTS, batch_size=5, verbose=0).history
    assert logs.keys() == OF_TRAINING | {"steps"} and logs["steps"] == [5.0]
    plain = _make()
    assert plain.fit(POINTS, batch_size=5, verbose=0).history["d_loss"] == logs["d_loss"]
    for one, other in zip(gan.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert gan.train_on_batch(POINTS, return_dict=True)["steps"] == 6.0


def test_a_step_of_ones_own_logs_nothing_else():
    gan = _make(_Replacing)
    logs = gan.fit(POINTS, batch_size=25, verbose=0).history
    assert logs == {"brightest": [pytest.approx(POINTS.max())]}


def test_a_mean_over_the_replicas_is_logged(replicas):
    with replicas(2).scope():
        gan = _make(_Replacing)
    logs = gan.fit(POINTS[:24], batch_size=24, shuffle=False, verbose=0).history
    expected = (POINTS[:12].max() + POINTS[12:24].max()) / 2
    assert logs == {"brightest": [pytest.approx(expected)]}


def test_own_metrics_are_logged_in_training_and_evaluation():
    logs = _make(_Measuring).fit(POINTS, validation_data=POINTS[:7], verbose=0).history
    assert logs["seen"] == [25.0] and logs["val_seen"] == [7.0]
    assert "val_d_gradient_norm" not in logs


def _note_mode(modes):
    class Noting(layers.Layer):
        def call(self, inputs):
            modes.append(tf.executing_eagerly())
            return inputs

    return keras.Sequential([keras.Input((1, 1, 1)), Noting(), layers.Flatten(), layers.Dense(1)])


@pytest.mark.parametrize("everywhere", [False, True])
def test_eager_steps_train_the_same(everywhere):
    modes = []
    expected = _make(discriminator=lambda: _note_mode([]), steps_per_execution=2)
    logs = expected.fit(POINTS, batch_size=10, validation_data=POINTS, verbose=0).history
    gan = _make(
        discriminator=lambda: _note_mode(modes), run_eagerly=not everywhere, steps_per_execution=2
    )
    modes.clear()
    tf.config.run_functions_eagerly(everywhere)
    try:
        eager = gan.fit(POINTS, batch_size=10, validation_data=POINTS, verbose=0).history
        gan.train_on_batch(POINTS)
    finally:
        tf.config.run_functions_eagerly(False)
    assert all(modes) and len(modes) > 9
    assert eager == {name: pytest.approx(value, rel=1e-5) for name, value in logs.items()}
    assert int(gan.step) == 4


def test_losses_of_layers_are_refused():
    def discriminator():
        score = layers.Dense(1, kernel_regularizer="l2")
        return keras.Sequential([keras.Input((1, 1, 1)), layers.Flatten(), score])

    with pytest.raises(ValueError, match="regularizers, add_loss.*weight_decay"):
        _make(discriminator=discriminator).fit(POINTS, verbose=0)


def test_a_replica_without_examples_does_not_count(replicas):
    """Four batches of six, and one image: none for the second replica."""
    with replicas(2).scope():
        gan = _make()
    sound = _make()
    for method in (gan.evaluate, sound.evaluate):
        assert np.isfinite(method(POINTS, batch_size=6, verbose=0)).all()
    assert gan.evaluate(POINTS, batch_size=6, verbose=0) == pytest.approx(
        sound.evaluate(POINTS, batch_size=6, verbose=0), rel=1e-5
    )
    logs = gan.fit(POINTS, batch_size=6, verbose=0).history
    assert all(np.isfinite(value).all() for value in logs.values()), logs


def test_batches_of_other_sizes_are_not_traced_anew():
    calls = []

    class Counting(layers.Layer):
        def call(self, inputs):
            calls.append(inputs.shape)
            return inputs

    body = [keras.Input((1, 1, 1)), Counting(), layers.Flatten(), layers.Dense(1)]
    gan = _make(discriminator=lambda: keras.Sequential(body))
    gan.train_on_batch(POINTS[:8])
    gan.train_on_batch(POINTS[:9])
    traced = len(calls)
    for size in (10, 11, 12):
        gan.train_on_batch(POINTS[:size])
    assert len(calls) == traced
