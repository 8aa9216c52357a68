"""Learning rates that change over the steps: by hand, in a GAN, in a file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam, RateSchedule, RMSProp
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (48, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (RateSchedule("constant", warmup_steps=4), {0: 0, 1: 0.25, 3: 0.75, 4: 1, 99: 1}),
        (RateSchedule("linear", decay_steps=8), {0: 1, 2: 0.75, 6: 0.25, 8: 0, 9: 0}),
        (
            RateSchedule("linear", warmup_steps=4, decay_steps=8),
            {0: 0, 2: 0.5 * 0.75, 4: 0.5, 6: 0.25, 8: 0},
        ),
        (RateSchedule("cosine", decay_steps=6), {0: 1, 2: 0.75, 3: 0.5, 4: 0.25, 6: 0, 7: 0}),
        (
            RateSchedule("cosine", warmup_steps=4, decay_steps=6),
            {0: 0, 2: 0.5 * 0.75, 3: 0.75 * 0.5, 4: 0.25, 6: 0},
        ),
        (
            RateSchedule("linear", decay_steps=8, updates_per_step=3),
            {0: 1, 2: 1, 3: 0.875, 5: 0.875, 23: 0.125, 24: 0},
        ),
    ],
    ids=["warm-up", "linear", "both", "cosine", "cosine after warm-up", "three updates a step"],
)
def test_the_factor_by_hand(schedule, expected):
    for step, factor in expected.items():
        assert float(schedule(step)) == pytest.approx(factor, rel=1e-6, abs=0), step


@pytest.mark.parametrize("make", [Adam, RMSProp])
def test_an_update_is_as_long_as_the_rate_says(make):
    def updates(**options):
        variable = keras.Variable([0.5, -0.25])
        optimizer = make(0.01, **options)
        optimizer.build([variable])
        values = [variable.numpy()]
        for _ in range(6):
            optimizer.apply([tf.constant([1.0, -2.0])], [variable])
            values.append(variable.numpy())
        return np.diff(values, axis=0)

    of_constant = updates()
    assert np.abs(of_constant).min() > 1e-3
    factors = np.array([1, 0.75, 0.5, 0.25, 0, 0])[:, None]
    np.testing.assert_allclose(
        updates(schedule=RateSchedule("linear", decay_steps=4)), of_constant * factors, atol=1e-7
    )


def _gan():
    """Two steps of D to one of G; rates of 0.2 and 0.4 that fall to zero in step 4."""
    keras.utils.set_random_seed(1)
    gan = GAN(TinyGenerator(), TinyDiscriminator(), n_critic=2)
    gan.compile(
        Adam(0.2, schedule=RateSchedule("cosine", decay_steps=4)),
        RMSProp(0.4, schedule=RateSchedule("linear", decay_steps=4, updates_per_step=2)),
    )
    return gan


def _train(gan, steps):
    gan.fit(tf.data.Dataset.from_tensor_slices(IMAGES[: 24 * steps]).batch(12), verbose=0)


def _rates(gan):
    return [
        float(gan.generator_optimizer.learning_rate),
        float(gan.discriminator_optimizer.learning_rate),
    ]


def test_both_rates_follow_the_steps_of_training():
    gan = _gan()
    assert _rates(gan) == pytest.approx([0.2, 0.4])
    _train(gan, 1)
    assert _rates(gan) == pytest.approx([0.2 * (1 + 0.5**0.5) / 2, 0.3])
    _train(gan, 1)
    assert _rates(gan) == pytest.approx([0.1, 0.2])
    _train(gan, 2)
    assert _rates(gan) == [0.0, 0.0]
    before = gan.get_weights()
    _train(gan, 1)
    trained = [
        v.path for v, old in zip(gan.weights, before, strict=True) if (v.numpy() != old).any()
    ]
    assert all("moving" in path or "step" in path for path in trained)


def test_a_rate_that_is_set_is_the_one_before_the_schedule():
    gan = _gan()
    _train(gan, 2)
    gan.generator_optimizer.learning_rate = 1.0
    assert _rates(gan) == pytest.approx([0.5, 0.2])


def test_a_keras_file_goes_on_along_the_schedule(tmp_path):
    gan = _gan()
    _train(gan, 1)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert _rates(loaded) == _rates(gan)
    for model in (gan, loaded):
        _train(model, 2)
    assert _rates(loaded) == _rates(gan) == pytest.approx([0.2 * (1 - 0.5**0.5) / 2, 0.1])
    for value, expected in zip(loaded.get_weights(), gan.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_schedule_adds_no_variables():
    def names(schedule):
        optimizer = Adam(0.1, schedule=schedule)
        optimizer.build([keras.Variable([1.0], name="v")])
        return [variable.name for variable in optimizer.variables]

    assert names(RateSchedule("linear", decay_steps=4)) == names(None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("step",), "learning_rate_schedule='step' is unknown; known: constant, linear, cosine"),
        (("constant", 0, 9), "decay_steps=9 goes with a learning_rate_schedule that falls"),
        (("linear",), "decay_steps=0 is too small"),
        (("cosine", 9, 9), "warmup_steps=9 must be below decay_steps=9"),
        (("constant", -1), "warmup_steps=-1 is negative"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RateSchedule(*settings)
