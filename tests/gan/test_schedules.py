"""What an iteration consists of: critic steps, latents, schedules, penalties, loss scale.

By hand on one-pixel networks, G(z) = w z + v and D(x) = s x + t, under plain gradient descent.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.augmentation import Augmentation
from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.objectives import LeastSquares
from lsgan_tf.gan.penalties import DRAGAN, AroundData, Interpolates, NotPenalisable
from tests.tiny import (
    PointDiscriminator,
    PointGenerator,
    SmoothDiscriminator,
    TinyDiscriminator,
    TinyGenerator,
)

RATE = 0.1
START = {"w": 0.5, "v": 0.1, "s": 0.8, "t": -0.2}
BATCHES = np.random.default_rng(5).uniform(-1, 1, (3, 4)).astype(np.float32)


class ByHand:
    """The same iteration in NumPy, labels (0, 1, 1)."""

    def __init__(self):
        self.__dict__.update(START)

    def generate(self, z):
        return self.w * z + self.v

    def discriminator_gradient(self, x, g):
        real, fake = self.s * x + self.t - 1, self.s * g + self.t
        return np.mean(real * x) + np.mean(fake * g), np.mean(real) + np.mean(fake)

    def generator_gradient(self, z):
        through = (self.s * self.generate(z) + self.t - 1) * self.s
        return np.mean(through * z), np.mean(through)

    def update(self, names, gradient, rate=RATE):
        for name, slope in zip(names, gradient, strict=True):
            setattr(self, name, getattr(self, name) - rate * slope)

    def weights(self):
        return [self.w, self.v, self.s, self.t]


def _train_step(batches, rate=RATE, **settings):
    """The weights w, v, s, t after an iteration on batches of four, and its metrics."""
    gan = GAN(PointGenerator(), PointDiscriminator(), LeastSquares(0, 1, 1), seed=3, **settings)
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    gan.generator.set_weights([np.float32([[START["w"]]]), np.float32([START["v"]])])
    gan.discriminator.set_weights([np.float32([[START["s"]]]), np.float32([START["t"]])])
    results = gan.train_step(*(tf.constant(x[:, None, None, None]) for x in batches))
    weights = [*gan.generator.get_weights(), *gan.discriminator.get_weights()]
    return [float(np.squeeze(w)) for w in weights], {k: float(v) for k, v in results.items()}


def _z(stream=0):
    return latents.draw("uniform", 4, 1, seed=3, step=0, stream=stream).numpy()[:, 0]


def test_simultaneous():
    hand, z, x = ByHand(), _z(), BATCHES[0]
    of_d = hand.discriminator_gradient(x, hand.generate(z))
    of_g = hand.generator_gradient(z)  # through D as it was
    hand.update("st", of_d)
    hand.update("wv", of_g)
    weights, _ = _train_step([x], schedule="simultaneous")
    assert weights == pytest.approx(hand.weights(), rel=1e-5)
    alternating, _ = _train_step([x])
    assert alternating != pytest.approx(hand.weights(), rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_three_critic_steps_each_on_a_batch_and_latents_of_its_own(shared):
    hand = ByHand()
    losses = []
    for number, x in enumerate(BATCHES):
        g = hand.generate(_z(number))
        losses.append(
            0.5 * np.mean((hand.s * x + hand.t - 1) ** 2)
            + 0.5 * np.mean((hand.s * g + hand.t) ** 2)
        )
        hand.update("st", hand.discriminator_gradient(x, g))
    hand.update("wv", hand.generator_gradient(_z(2 if shared else 3)))
    weights, results = _train_step(BATCHES, n_critic=3, shared_latents=shared)
    assert weights == pytest.approx(hand.weights(), rel=1e-5)
    assert results["d_loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_latents_of_one_iteration_differ():
    drawn = [tuple(_z(stream)) for stream in range(5)]
    assert len(set(drawn)) == 5


def test_one_critic_step_with_latents_of_the_generators_own():
    hand = ByHand()
    hand.update("st", hand.discriminator_gradient(BATCHES[0], hand.generate(_z())))
    hand.update("wv", hand.generator_gradient(_z(1)))
    weights, _ = _train_step(BATCHES[:1], shared_latents=False)
    assert weights == pytest.approx(hand.weights(), rel=1e-5)


@pytest.mark.parametrize("schedule", ["alternating", "simultaneous"])
@pytest.mark.parametrize("penalty", [AroundData(2.0), DRAGAN(2.0), Interpolates(2.0)])
def test_a_penalty_on_the_slope_of_a_line(penalty, schedule):
    """|dD/dx| = s everywhere: the penalty is 2 (s - 1)^2 wherever it is taken."""
    hand, z, x = ByHand(), _z(), BATCHES[0]
    d_s, d_t = hand.discriminator_gradient(x, hand.generate(z))
    of_g = hand.generator_gradient(z)
    hand.update("st", (d_s + 2 * 2 * (hand.s - 1), d_t))
    hand.update("wv", hand.generator_gradient(z) if schedule == "alternating" else of_g)
    weights, results = _train_step([x], penalty=penalty, schedule=schedule)
    assert weights == pytest.approx(hand.weights(), rel=1e-5)
    assert results["d_penalty"] == pytest.approx(2 * 0.2**2, rel=1e-5)


def test_the_loss_scale_multiplies_gradients_and_not_what_is_logged():
    scaled, logged = _train_step(BATCHES[:1], rate=RATE / 64, loss_scale=64.0)
    plain, expected = _train_step(BATCHES[:1])
    assert scaled == pytest.approx(plain, rel=1e-5)
    assert logged["d_loss"] == pytest.approx(expected["d_loss"], rel=1e-6)
    assert logged["d_gradient_norm"] == pytest.approx(64 * expected["d_gradient_norm"], rel=1e-5)


def _run_steps(gan, strategy, dataset, steps):
    """Metrics of so many steps in one call of the graph; on one replica step by step without one,
    which is sooner done."""
    dataset = gan.grouped(dataset.repeat().batch(12))
    if strategy.num_replicas_in_sync == 1:
        for batches in dataset.take(steps):
            results = gan.train_step(*batches)
    else:
        iterator = iter(strategy.experimental_distribute_dataset(dataset))
        results = gan.run_steps(iterator, steps)
    return {name: float(value) for name, value in results.items()}


def test_penalties_and_critic_steps_on_several_replicas(replicas):
    """1 and 2 replicas, two critic steps of a penalised D: the same losses and weights."""
    images = np.random.default_rng(0).uniform(-1, 1, (48, 8, 8, 1)).astype(np.float32)
    outcomes = []
    for count in (1, 2):
        keras.utils.set_random_seed(1)
        strategy = replicas(count)
        with strategy.scope():
            gan = GAN(
                TinyGenerator(),
                SmoothDiscriminator(),
                penalty=AroundData(),
                n_critic=2,
                shared_latents=False,
            )
            gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
        results = _run_steps(gan, strategy, tf.data.Dataset.from_tensor_slices(images), 2)
        weights = [*gan.generator.get_weights(), *gan.discriminator.get_weights()]
        outcomes.append((results, weights))
    (losses, weights), (other_losses, other_weights) = outcomes
    assert other_losses == pytest.approx(losses, rel=1e-4)
    for mine, theirs in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-4, atol=1e-6)


def test_everything_on_several_replicas(float64, replicas):
    """1 and 2 replicas with all that a recipe may add: in float64, the same to the last digits."""
    images = np.random.default_rng(0).uniform(-1, 1, (48, 8, 8, 1))
    outcomes = []
    for count in (1, 2):
        keras.utils.set_random_seed(1)
        strategy = replicas(count)
        with strategy.scope():
            gan = GAN(
                TinyGenerator(3),
                TinyDiscriminator(3, norm="spectral"),
                penalty=DRAGAN(),
                penalty_every=3,
                augmentation=Augmentation(),
                n_critic=2,
                shared_latents=False,
                ema_decay=0.9,
            )
            gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
        data = tf.data.Dataset.from_tensor_slices((images, np.arange(48) % 3))
        results = _run_steps(gan, strategy, data, 3)
        outcomes.append((results, [variable.numpy() for variable in gan.state]))
    (losses, state), (other_losses, other_state) = outcomes
    assert losses["d_penalty"] > 0 and other_losses == pytest.approx(losses, rel=1e-9)
    for mine, theirs in zip(state, other_state, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("every", "n_critic"), [(2, 1), (3, 2)])
def test_a_lazy_penalty_is_rarer_and_as_many_times_larger(every, n_critic):
    """|dD/dx| = s: in steps of D that are due, the gradient of the penalty is every * 2 * 2(s - 1);
    what is logged is the penalty itself, in these steps alone."""
    gan = GAN(
        PointGenerator(),
        PointDiscriminator(),
        penalty=Interpolates(2.0),
        penalty_every=every,
        n_critic=n_critic,
        seed=3,
    )
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(RATE))  # G stays as it is
    hand = ByHand()
    gan.generator.set_weights([np.float32([[hand.w]]), np.float32([hand.v])])
    gan.discriminator.set_weights([np.float32([[hand.s]]), np.float32([hand.t])])
    logged = []
    for step in range(4):
        for number in range(n_critic):
            z = latents.draw("uniform", 4, 1, seed=3, step=step, stream=number).numpy()[:, 0]
            d_s, d_t = hand.discriminator_gradient(BATCHES[number], hand.generate(z))
            if (step * n_critic + number) % every == 0:
                logged.append(2 * (hand.s - 1) ** 2)
                d_s += every * 2 * 2 * (hand.s - 1)
            hand.update("st", (d_s, d_t))
        batches = [tf.constant(x[:, None, None, None]) for x in BATCHES[:n_critic]]
        results = gan.train_step(*batches)
    s, t = (float(np.squeeze(w)) for w in gan.discriminator.get_weights())
    assert (s, t) == pytest.approx((hand.s, hand.t), rel=1e-5)
    assert float(results["d_penalty"]) == pytest.approx(np.mean(logged), rel=1e-4)


@pytest.mark.parametrize("labelled", [False, True])
def test_fit_takes_n_critic_batches_a_step_and_counts_iterations(labelled):
    """Seven batches make three iterations an epoch; the seventh is left over."""
    gan = GAN(TinyGenerator(3 * labelled), TinyDiscriminator(3 * labelled), n_critic=2)
    gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
    images = np.zeros((28, 8, 8, 1), np.float32)
    data = (images, np.arange(28) % 3) if labelled else images
    history = gan.fit(tf.data.Dataset.from_tensor_slices(data).batch(4), epochs=2, verbose=0)
    assert int(gan.step.numpy()) == 6
    assert len(history.history["d_loss"]) == 2


def test_groups_are_batches_that_follow_one_another():
    gan = GAN(TinyGenerator(3), TinyDiscriminator(3), n_critic=2)
    dataset = tf.data.Dataset.range(12).map(lambda i: (i, -i)).batch(2)
    groups = list(gan.grouped(dataset).as_numpy_iterator())
    assert [[images.tolist() for images, _ in group] for group in groups] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7]],
        [[8, 9], [10, 11]],
    ]
    assert groups[1][1][1].tolist() == [-6, -7]
    assert gan.grouped(dataset).cardinality() == 3


def test_latents_of_many_steps_differ():
    """The key keeps all its bits in every stream."""
    steps = [tf.constant(step, tf.int64) for step in (0, 1, 2**32, 2**33, 2**40)]
    drawn = [latents.draw("uniform", 1, 1, seed=0, step=step, stream=1) for step in steps]
    assert len({float(z[0, 0]) for z in drawn}) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "both"}, "schedule='both' is unknown; known: alternating, simultaneous"),
        ({"n_critic": 0}, "at least 1 step"),
        ({"schedule": "simultaneous", "n_critic": 2}, "n_critic=1"),
        ({"schedule": "simultaneous", "shared_latents": False}, "shared_latents=True"),
        ({"loss_scale": 0.0}, "above 0"),
    ],
)
def test_schedules_that_are_none(settings, message):
    with pytest.raises(ValueError, match=message):
        GAN(PointGenerator(), PointDiscriminator(), **settings)


def test_a_penalty_refuses_batch_norm_and_says_why():
    with pytest.raises(NotPenalisable, match="TinyDiscriminator has batch norm, which mixes"):
        GAN(TinyGenerator(), TinyDiscriminator(), penalty=AroundData())


def test_a_penalty_that_draws_too_often_is_told():
    class Restless(AroundData):
        def points(self, real, fake, uniform):
            return real + sum(uniform((4, 1, 1, 1)) for _ in range(9))

    with pytest.raises(ValueError, match="may draw 8 times a step"):
        _train_step(BATCHES[:1], penalty=Restless())


def test_an_unknown_latent_distribution_is_refused():
    generator = PointGenerator()
    generator.latent_distribution = "cauchy"
    with pytest.raises(ValueError, match="'cauchy'; known: 'uniform', 'normal'"):
        GAN(generator, PointDiscriminator())


def test_the_wrong_number_of_batches_is_refused():
    with pytest.raises(ValueError, match="1 batches for n_critic=2"):
        _train_step(BATCHES[:1], n_critic=2)


def test_a_penalised_gan_serialises():
    gan = GAN(
        PointGenerator(),
        PointDiscriminator(),
        penalty=AroundData(3.0, width=2.0),
        n_critic=2,
        shared_latents=False,
        loss_scale=64.0,
    )
    again = GAN.from_config(gan.get_config())
    assert again.penalty == AroundData(3.0, width=2.0)
    assert (again.n_critic, again.shared_latents, again.loss_scale) == (2, False, 64.0)
    assert (again.schedule, again.objective) == ("alternating", LeastSquares())
