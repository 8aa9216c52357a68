"""GAN.train_step: by hand on one-pixel networks, on several replicas, under stock `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan import ema
from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
from lsgan_tf.gan.optimizers import Adam
from tests.tiny import SHAPE, PointDiscriminator, PointGenerator, TinyDiscriminator, TinyGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (48, *SHAPE)).astype(np.float32)
LABELS = np.arange(48) % 3


def _sgd():
    return keras.optimizers.SGD(0.1)


def _gentle_adam():
    """Adam whose epsilon hides rounding: a bias in front of a batch norm has no gradient but that,
    which the usual epsilon turns into whole steps either way."""
    return Adam(0.1, epsilon=1.0)


def _gan(strategy, classes=0, optimizer=_sgd, **kwargs):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        gan = GAN(TinyGenerator(classes), TinyDiscriminator(classes), **kwargs)
        gan.compile(optimizer(), optimizer())
    return gan


def _train(strategy, gan, steps, steps_per_call=1, batch_size=12):
    data = (IMAGES, LABELS) if gan.generator.num_classes else IMAGES
    dataset = tf.data.Dataset.from_tensor_slices(data).repeat().batch(batch_size)
    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    for _ in range(0, steps, steps_per_call):
        results = gan.run_steps(iterator, steps_per_call)
    return {name: float(value) for name, value in results.items()}


def _weights(gan):
    return [w for net in (gan.generator, gan.discriminator) for w in net.get_weights()]


def test_one_step_by_hand():
    """D(x) = s x + t, G(z) = w z + v, labels (0, 1, 1), SGD: everything in five lines of NumPy."""
    gan = GAN(PointGenerator(), PointDiscriminator(), LeastSquares(0, 1, 1), seed=3)
    gan.compile(_sgd(), _sgd())
    gan.generator.set_weights([np.float32([[0.5]]), np.float32([0.1])])
    gan.discriminator.set_weights([np.float32([[0.8]]), np.float32([-0.2])])
    x = np.float32([0.3, -0.6, 0.9, 0.2])
    z = latents.draw("uniform", 4, 1, seed=3, step=0).numpy()[:, 0]

    w, v, s, t, rate = 0.5, 0.1, 0.8, -0.2, 0.1
    g = w * z + v
    d_loss = 0.5 * np.mean((s * x + t - 1) ** 2) + 0.5 * np.mean((s * g + t) ** 2)
    d_s = np.mean((s * x + t - 1) * x) + np.mean((s * g + t) * g)
    d_t = np.mean(s * x + t - 1) + np.mean(s * g + t)
    s, t = s - rate * d_s, t - rate * d_t
    g_loss = 0.5 * np.mean((s * g + t - 1) ** 2)  # same z, updated D
    d_w = np.mean((s * g + t - 1) * s * z)
    d_v = np.mean((s * g + t - 1) * s)

    results = gan.train_step(tf.constant(x[:, None, None, None]))
    assert float(results["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(results["g_loss"]) == pytest.approx(g_loss, rel=1e-5)
    assert float(results["d_gradient_norm"]) == pytest.approx(np.hypot(d_s, d_t), rel=1e-5)
    assert float(results["g_gradient_norm"]) == pytest.approx(np.hypot(d_w, d_v), rel=1e-5)
    weights = [float(np.squeeze(value)) for value in _weights(gan)]
    assert weights == pytest.approx([w - rate * d_w, v - rate * d_v, s, t], rel=1e-5)
    assert int(gan.step.numpy()) == 1


def test_one_generator_pass_has_the_gradients_of_two():
    """The same iteration written plainly, with a second forward pass of G, ends the same."""
    gan = _gan(tf.distribute.get_strategy(), objective=SigmoidCrossEntropy())
    twin = _gan(tf.distribute.get_strategy(), objective=SigmoidCrossEntropy())
    images = tf.constant(IMAGES[:12])
    gan.train_step(images)

    z = latents.draw("uniform", 12, 5, seed=0, step=0)
    for network, optimizer, loss in (
        (
            twin.discriminator,
            twin.discriminator_optimizer,
            lambda: twin.objective.discriminator(
                twin.discriminator(images, training=True),
                twin.discriminator(twin.generator(z, training=True), training=True),
            ),
        ),
        (
            twin.generator,
            twin.generator_optimizer,
            lambda: twin.objective.generator(
                twin.discriminator(twin.generator(z, training=True), training=True)
            ),
        ),
    ):
        with tf.GradientTape() as tape:
            value = loss()
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)
    for mine, plain in zip(
        gan.generator.trainable_variables + gan.discriminator.trainable_variables,
        twin.generator.trainable_variables + twin.discriminator.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(mine.numpy(), plain.numpy(), rtol=1e-5, atol=1e-7)


def test_replicas_and_steps_per_call_change_nothing(replicas):
    """1 and 3 replicas, one or four steps a call: the same losses and weights."""
    outcomes = []
    for count, steps_per_call in ((1, 1), (3, 4)):
        strategy = replicas(count)
        gan = _gan(strategy, 3, _gentle_adam, ema_decay=0.9)
        results = _train(strategy, gan, steps=8, steps_per_call=steps_per_call)
        for variable in gan.variables:
            copies = strategy.experimental_local_results(variable.value)
            assert len(copies) == count
            for copy in copies:
                np.testing.assert_array_equal(copy, copies[0], err_msg=variable.path)
        outcomes.append((results, _weights(gan) + gan.generator_ema.get_weights()))
    (results, weights), (other_results, other_weights) = outcomes
    assert other_results == pytest.approx(results, rel=1e-4, abs=1e-5)
    for value, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(other, value, rtol=1e-5, atol=1e-6)


def test_a_stock_optimizer_sums_over_replicas_once(replicas):
    """Keras' optimizers sum themselves; ours are told that it is done. Both must step equally."""
    strategy = replicas(2)
    ours = _gan(strategy, optimizer=lambda: Adam(1e-3, epsilon=1.0))
    stock = _gan(strategy, optimizer=lambda: keras.optimizers.Adam(1e-3, beta_1=0.5, epsilon=1.0))
    for gan in (ours, stock):
        _train(strategy, gan, steps=3)
    for mine, theirs in zip(_weights(ours), _weights(stock), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_replicas_draw_different_noise(replicas):
    strategy = replicas(2)

    @tf.function
    def draw():
        return strategy.run(
            lambda: latents.draw_for_replica("uniform", 3, 4, seed=1, step=tf.constant(2))
        )

    slices = strategy.experimental_local_results(draw())
    together = latents.draw("uniform", 6, 4, seed=1, step=2)
    np.testing.assert_array_equal(np.concatenate(slices), together)
    assert not np.array_equal(slices[0], slices[1])


def test_a_second_compile_takes_effect():
    strategy = tf.distribute.get_strategy()
    gan = _gan(strategy)
    _train(strategy, gan, steps=1)
    before = _weights(gan)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    _train(strategy, gan, steps=1)
    for variable in gan.generator.trainable_variables:
        assert any(np.array_equal(variable.numpy(), old) for old in before)


def test_fit_with_stock_callbacks(replicas, tmp_path):
    strategy = replicas(2)
    gan = _gan(strategy, classes=3, optimizer=Adam)
    with strategy.scope():
        gan.compile(Adam(), Adam(), steps_per_execution=2)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(12)
    history = gan.fit(
        dataset,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
            keras.callbacks.TensorBoard(tmp_path / "tb"),
        ],
    )
    assert len(history.history["d_loss"]) == 2
    assert int(gan.step.numpy()) == 8
    assert (tmp_path / "2.weights.h5").exists()
    assert list((tmp_path / "tb").rglob("events*"))
    header = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {"epoch", "d_loss", "g_loss", "d_real", "d_fake"} <= set(header)


def test_fit_counts_no_step_that_had_no_batch(replicas):
    """Five batches, two steps a call: the third call finds one batch and the end of the data."""
    weights = []
    for steps_per_execution in (1, 2):
        gan = _gan(replicas(2), optimizer=_gentle_adam)
        gan.steps_per_execution = steps_per_execution
        dataset = tf.data.Dataset.from_tensor_slices(IMAGES[:40]).batch(8)
        gan.fit(dataset, epochs=2, verbose=0)
        assert int(gan.step.numpy()) == 10
        assert int(gan.generator_optimizer.iterations.numpy()) == 10
        assert int(gan.discriminator_optimizer.iterations.numpy()) == 10
        weights.append(_weights(gan))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n_critic", "batches"), [(1, 7), (2, 14)])
def test_the_last_steps_of_an_epoch_may_be_fewer_than_a_call_takes(n_critic, batches, recwarn):
    """Seven steps, three a call: all are taken, and the logs are their means."""
    data = tf.data.Dataset.from_tensor_slices(np.tile(IMAGES, (2, 1, 1, 1))).batch(6).take(batches)
    logged = []
    for steps_per_execution in (3, 1):
        gan = _gan(tf.distribute.get_strategy(), n_critic=n_critic)
        gan.steps_per_execution = steps_per_execution
        history = gan.fit(data, epochs=2, verbose=0)
        assert int(gan.step.numpy()) == 14
        logged.append(history.history)
    assert not [str(warning.message) for warning in recwarn if "ran out" in str(warning.message)]
    for name, values in logged[0].items():
        assert values == pytest.approx(logged[1][name], rel=1e-5), name


def test_epoch_logs_are_means_over_the_epoch():
    gan = _gan(tf.distribute.get_strategy())
    twin = _gan(tf.distribute.get_strategy())
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(12)
    logged = gan.fit(dataset, verbose=0).history["d_loss"][0]
    single = []
    for batch in dataset:
        twin.reset_metrics()
        single.append(float(twin.train_step(batch)["d_loss"]))
    assert np.std(single) > 1e-3
    assert logged == pytest.approx(np.mean(single), rel=1e-4)


def test_predict_and_the_keras_file(tmp_path):
    gan = _gan(tf.distribute.get_strategy(), optimizer=Adam, ema_decay=0.5, seed=7)
    gan.fit(tf.data.Dataset.from_tensor_slices(IMAGES).batch(12), verbose=0)
    z = np.random.default_rng(2).uniform(-1, 1, (4, 5)).astype(np.float32)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_allclose(loaded.predict(z, verbose=0), gan.predict(z, verbose=0), atol=1e-6)
    assert (int(loaded.step.numpy()), loaded.seed, loaded.ema_decay) == (4, 7, 0.5)


@pytest.mark.parametrize(
    ("ema_decay", "step", "decay"),
    [(0.75, 1000, 0.75), (0.999, 0, 0.1), (0.999, 90, 0.91)],  # (1 + step) / (10 + step) first
)
def test_average_includes_the_moving_statistics(ema_decay, step, decay):
    gan = _gan(tf.distribute.get_strategy(), ema_decay=ema_decay)
    gan.step.assign(step)
    before = [value.copy() for value in gan.generator_ema.get_weights()]
    gan.train_step(tf.constant(IMAGES[:12]))
    names = [variable.name for variable in gan.generator.variables]
    assert "moving_variance" in names
    for name, old, new, average in zip(
        names, before, gan.generator.get_weights(), gan.generator_ema.get_weights(), strict=True
    ):
        assert not np.array_equal(old, new) or name == "beta", name
        expected = decay * old + (1 - decay) * new
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-7)


def test_a_step_before_compile_is_refused():
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(12)
    with pytest.raises(ValueError, match="compile\\(\\) before run_steps"):
        gan.run_steps(iter(dataset), 1)
    with pytest.raises(ValueError, match="compile\\(\\) before train_step"):
        gan.train_step(IMAGES[:12])
    with pytest.raises(ValueError, match="compile\\(\\)"):
        gan.fit(dataset, verbose=0)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_batches_without_labels_are_refused_where_the_networks_take_them(replicas, n_critic):
    message = (
        "^This GAN is conditioned on 3 labels, and the batches have none: give .images, labels"
    )
    strategy = replicas(2)
    gan = _gan(strategy, classes=3, n_critic=n_critic)
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(12)
    with pytest.raises(ValueError, match=message):
        gan.train_step(*[IMAGES[:12]] * n_critic)
    with pytest.raises(ValueError, match=message):
        gan.run_steps(iter(strategy.experimental_distribute_dataset(gan.grouped(dataset))), 1)
    with pytest.raises(ValueError, match=message):
        gan.fit(dataset, verbose=0)
    assert int(gan.step.numpy()) == 0


def test_a_batch_of_three_parts_is_refused():
    gan = _gan(tf.distribute.get_strategy(), classes=3)
    with pytest.raises(ValueError, match="A batch of 3 parts"):
        gan.train_step((IMAGES[:12], LABELS[:12], np.ones(12)))


def test_fit_takes_arrays_of_images_and_labels():
    gan = _gan(tf.distribute.get_strategy(), classes=3)
    gan.fit(IMAGES, LABELS, batch_size=12, verbose=0)
    assert int(gan.step.numpy()) == 4


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_average_is_as_exact_as_its_variables(dtype):
    """In bfloat16, too, the decay is computed at single precision: 0.999 would become 1."""
    network, average = (
        keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, dtype=dtype)]) for _ in range(2)
    )
    network.set_weights([np.array([[1.0]]), np.array([0.0])])
    average.set_weights([np.array([[0.0]]), np.array([0.0])])
    ema.move(average, network, 0.999, tf.constant(10**6, tf.int64))
    tolerance = {"float64": 1e-12, "float32": 1e-4, "bfloat16": 1e-2}[dtype]
    moved = float(tf.cast(average.variables[0].value, tf.float64)[0, 0])
    assert moved == pytest.approx(1.0 - 0.999, rel=tolerance)


def test_one_optimizer_for_both_is_refused():
    gan = GAN(TinyGenerator(), TinyDiscriminator())
    shared = Adam()
    with pytest.raises(ValueError, match="an optimizer each"):
        gan.compile(shared, shared)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="image_shape"):
        GAN(TinyGenerator(), PointDiscriminator())
    with pytest.raises(ValueError, match="num_classes"):
        GAN(TinyGenerator(3), TinyDiscriminator())
    with pytest.raises(ValueError, match="ema_decay"):
        GAN(TinyGenerator(), TinyDiscriminator(), ema_decay=1.0)


def test_bfloat16_step_is_finite_and_near_float32():
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        gan = _gan(tf.distribute.get_strategy())
        losses[policy] = float(gan.train_step(tf.constant(IMAGES[:12]))["d_loss"])
        assert all(weight.dtype == np.float32 for weight in _weights(gan))
    assert losses["mixed_bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["mixed_bfloat16"] != losses["float32"]
