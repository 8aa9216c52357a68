"""Half precision on one and on several replicas, with a penalty, and with scaled losses; XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.optimizers import Adam, apply_over_replicas, scale_loss
from lsgan_tf.gan.penalties import AroundData
from lsgan_tf.runs.checkpoints import Checkpoints
from tests.tiny import SHAPE, SmoothDiscriminator, TinyDiscriminator, TinyGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (48, *SHAPE)).astype(np.float32)


def _optimizer(name):
    adam = Adam(1e-3, epsilon=1.0)
    return keras.optimizers.LossScaleOptimizer(adam) if name == "mixed_float16" else adam


def _gan(name, penalty=None, **compiled):
    keras.utils.set_random_seed(1)
    critic = SmoothDiscriminator() if penalty else TinyDiscriminator()
    gan = GAN(TinyGenerator(), critic, penalty=penalty)
    gan.compile(_optimizer(name), _optimizer(name), **compiled)
    return gan


def _train(strategy, gan, steps=4):
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).repeat().batch(12, drop_remainder=True)
    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    return {name: float(value) for name, value in gan.run_steps(iterator, steps).items()}


@pytest.mark.parametrize(
    ("name", "penalty"),
    [("mixed_bfloat16", None), ("mixed_float16", AroundData(weight=1.0, width=1.0))],
)
def test_half_precision_on_replicas_is_near_float32(replicas, name, penalty):
    expected = _train(tf.distribute.get_strategy(), _gan("float32", penalty))
    keras.config.set_dtype_policy(name)
    strategy = replicas(2)
    with strategy.scope():
        gan = _gan(name, penalty)
    metrics = _train(strategy, gan)
    assert metrics == pytest.approx(expected, rel=0.02, abs=2e-3)
    assert metrics["d_gradient_norm"] != expected["d_gradient_norm"]  # it did compute in half
    for variable in gan.state:
        copies = strategy.experimental_local_results(variable.value)
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0], err_msg=variable.path)
            assert copy.dtype in (tf.float32, tf.int64, tf.int32)


def test_a_gradient_that_overflows_on_one_replica_is_skipped_on_all(replicas):
    strategy = replicas(2)
    with strategy.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = keras.optimizers.LossScaleOptimizer(Adam(0.1), initial_scale=4.0)
        optimizer.build([variable])

    @tf.function
    def step(gradient_of_second):
        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            gradient = tf.where(replica == 1, gradient_of_second, [4.0, 0.0])
            return apply_over_replicas(optimizer, [gradient], [variable])

        return strategy.run(on_replica)

    def outcome(gradient):
        norms, made = step(tf.constant(gradient))
        local = strategy.experimental_local_results
        copies = [copy.numpy().tolist() for copy in local(variable.value)]
        assert copies[0] == copies[1]
        return float(local(norms)[0]), bool(local(made)[1]), copies[0]

    assert outcome([np.inf, 0.0]) == (0.0, False, [1.0, 2.0])
    assert float(optimizer.dynamic_scale.numpy()) == 2.0
    assert int(optimizer.iterations.numpy()) == 0
    norm, made, value = outcome([8.0, 16.0])  # 12 and 16 together, at a scale of 2: 6 and 8
    assert (norm, made) == (10.0, True)
    assert value == pytest.approx([0.9, 1.9])  # Adam's first step is the learning rate
    assert int(optimizer.iterations.numpy()) == 1


def test_skipped_updates_leave_the_weights_and_the_logged_norms_alone():
    keras.config.set_dtype_policy("mixed_float16")
    gan = _gan("mixed_float16")
    gan.discriminator_optimizer.dynamic_scale.assign(2.0**100)  # nothing survives it
    before = gan.discriminator.trainable_variables[0].numpy()
    results = _train(tf.distribute.get_strategy(), gan, steps=3)
    np.testing.assert_array_equal(gan.discriminator.trainable_variables[0].numpy(), before)
    assert float(gan.discriminator_optimizer.dynamic_scale.numpy()) == 2.0**97
    assert results["d_gradient_norm"] == 0.0
    assert results["g_gradient_norm"] > 0.0
    assert all(map(np.isfinite, results.values()))


@pytest.mark.parametrize("wrapped", [False, True])
def test_compile_scales_the_losses_of_networks_in_float16_once(tmp_path, wrapped):
    keras.config.set_dtype_policy("mixed_float16")
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    scaled = keras.optimizers.LossScaleOptimizer
    inner = Adam(), keras.optimizers.SGD(0.1)
    gan.compile(*(map(scaled, inner) if wrapped else inner))
    both = gan.generator_optimizer, gan.discriminator_optimizer
    assert all(isinstance(optimizer, scaled) for optimizer in both)
    assert [optimizer.inner_optimizer for optimizer in both] == list(inner)
    gan.compile(*both)
    assert (gan.generator_optimizer, gan.discriminator_optimizer) == both
    gan.generator_optimizer.dynamic_scale.assign(8.0)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert float(again.generator_optimizer.dynamic_scale.numpy()) == 8.0
    assert again.generator_optimizer.inner_optimizer.get_config() == inner[0].get_config()


@pytest.mark.parametrize("make", [keras.optimizers.SGD, Adam])
def test_a_fixed_scale_changes_neither_the_weights_nor_the_logged_norms(make):
    variables, norms = [], []
    for factor in (None, 1024.0):
        variable = keras.Variable([1.0, 2.0])
        optimizer = make(0.1, loss_scale_factor=factor)
        optimizer.build([variable])
        with tf.GradientTape() as tape:
            loss = scale_loss(optimizer, tf.reduce_sum(variable * [3.0, 4.0]))
        norms.append(apply_over_replicas(optimizer, tape.gradient(loss, [variable]), [variable])[0])
        variables.append(variable.numpy().tolist())
    assert variables[0] == variables[1] != [1.0, 2.0]
    assert [float(norm) for norm in norms] == [5.0, 5.0]


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer])
def test_an_optimizer_that_averages_weights_is_refused(wrap):
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    with pytest.raises(ValueError, match=r"Adam has use_ema=True.*GAN\(..., ema_decay=0.999\)"):
        gan.compile(wrap(Adam(use_ema=True)))


def test_losses_are_not_scaled_where_none_asks_for_it(tmp_path):
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    gan.compile()
    assert isinstance(gan.generator_optimizer, Adam)
    keras.config.set_dtype_policy("mixed_float16")
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    gan.compile(auto_scale_loss=False)
    assert isinstance(gan.generator_optimizer, Adam)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert isinstance(again.discriminator_optimizer, Adam)


def test_a_checkpoint_holds_the_scale_of_the_losses(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    gan = _gan("mixed_float16")
    gan.generator_optimizer.dynamic_scale.assign(8.0)
    gan.discriminator_optimizer.step_counter.assign(5)
    gan.step.assign(3)
    Checkpoints(gan, tmp_path, keep=2).save()
    again = _gan("mixed_float16")
    assert Checkpoints(again, tmp_path, keep=2).restore_latest() == 3
    assert float(again.generator_optimizer.dynamic_scale.numpy()) == 8.0
    assert int(again.discriminator_optimizer.step_counter.numpy()) == 5


def test_xla_trains_the_same_on_the_same_latents(monkeypatch):
    """Its random numbers are others; these are none."""

    def draw(distribution, count, latent_dim, *, seed, step, stream=0):
        numbers = tf.range(count * latent_dim, dtype=tf.float32) + 7.0 * tf.cast(step, tf.float32)
        return tf.reshape(tf.sin(3.0 * numbers), (count, latent_dim))

    monkeypatch.setattr(latents, "draw", draw)
    strategy = tf.distribute.get_strategy()
    plain = _train(strategy, _gan("float32"))
    assert _train(strategy, _gan("float32", jit_compile=True)) == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2])  # with one GPU it fails amid the graph
def test_xla_on_mirrored_replicas_is_refused(count):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(count)])
    with strategy.scope(), pytest.raises(ValueError, match="XLA cannot compile"):
        _gan("float32", jit_compile=True)
