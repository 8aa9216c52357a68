"""The mixture's networks and training: sizes, a step by hand, seeds in company; a GAN of points."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.experiments import gaussian_mixture as mixture
from lsgan_tf.gan import latents
from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.penalties import DRAGAN, AroundData, Interpolates
from lsgan_tf.networks.base import Discriminator, Generator


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(mixture, "BATCH_SIZE", 16)


def test_the_authors_sizes_and_initial_weights():
    generator, discriminator = mixture.build_networks([5, 9])
    assert generator.count_params() == 2 * 49_666
    assert discriminator.count_params() == 2 * 17_025
    assert generator.latent_distribution == "normal"
    assert generator(np.zeros((3, 256), np.float32)).shape == (3, 2, 2)
    assert discriminator(np.zeros((3, 2, 2), np.float32)).shape == (3, 2, 1)
    for network in (generator, discriminator):
        for kernels, biases in zip(*[iter(network.get_weights())] * 2, strict=True):
            assert not biases.any()
            assert not np.allclose(kernels[0], kernels[1])
            for kernel in kernels:
                tall = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
                # Orthogonal columns of length 1.4; float32 leaves errors of about 1e-6.
                np.testing.assert_allclose(tall.T @ tall, 1.96 * np.eye(tall.shape[1]), atol=1e-5)


def test_no_two_kernels_of_neighbouring_seeds_are_equal():
    generator, discriminator = mixture.build_networks([0, 1, 2])
    kernels = generator.get_weights()[2], discriminator.get_weights()[2]  # 128 x 128 both
    flat = np.concatenate(kernels).reshape(6, -1)
    assert (np.abs(flat[:, None] - flat).max(axis=2) < 0.01).sum() == 6  # each equals itself alone


def test_the_paper_s_settings():
    gan = mixture.build_gan([0], "least_squares")
    rates = [float(o.learning_rate) for o in (gan.generator_optimizer, gan.discriminator_optimizer)]
    np.testing.assert_allclose(rates, [1e-3, 1e-4])
    assert gan.generator_optimizer.beta_1 == gan.discriminator_optimizer.beta_1 == 0.5
    assert gan.generator_optimizer.beta_2 == gan.discriminator_optimizer.beta_2 == 0.999
    assert gan.generator_optimizer.epsilon == gan.discriminator_optimizer.epsilon == 1e-8
    assert gan.schedule == "simultaneous"
    assert (mixture.BATCH_SIZE, mixture.POINTS, mixture.EXTENT) == (512, 5120, 4.0)


def _forward(x, weights):
    """Inputs and outputs of the three layers."""
    w1, b1, w2, b2, w3, b3 = weights
    first = np.tanh(x @ w1 + b1)
    second = np.tanh(first @ w2 + b2)
    return x, first, second, second @ w3 + b3


def _backward(activations, weights, at_output):
    """(Gradients in the order of the weights, gradient at the input) of a perceptron."""
    x, first, second, _ = activations
    w1, _, w2, _, w3, _ = weights
    at_second = at_output @ w3.T * (1 - second**2)
    at_first = at_second @ w2.T * (1 - first**2)
    pairs = ((x, at_first), (first, at_second), (second, at_output))
    gradients = [g for inputs, at in pairs for g in (inputs.T @ at, at.sum(axis=0))]
    return gradients, at_first @ w1.T


def _sigmoid(t):
    return 1 / (1 + np.exp(-t))


# Of each objective: (loss of D, loss of G, slopes at each real and fake logit, G's slope there).
BY_HAND = {
    "least_squares": (
        lambda real, fake: 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2),
        lambda fake: 0.5 * np.mean((fake - 1) ** 2),
        lambda real, fake: (real - 1, fake, fake - 1),
    ),
    "pearson": (
        lambda real, fake: 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean((fake + 1) ** 2),
        lambda fake: 0.5 * np.mean(fake**2),
        lambda real, fake: (real - 1, fake + 1, fake),
    ),
    "sigmoid": (
        lambda real, fake: -np.mean(np.log(_sigmoid(real)) + np.log(1 - _sigmoid(fake))),
        lambda fake: -np.mean(np.log(_sigmoid(fake))),
        lambda real, fake: (_sigmoid(real) - 1, _sigmoid(fake), _sigmoid(fake) - 1),
    ),
}


@pytest.mark.parametrize("objective", mixture.OBJECTIVES)
def test_a_simultaneous_step_of_two_seeds_by_hand(objective):
    """Losses and all gradients, seed by seed, against NumPy in double precision.

    SGD with a rate of 1000 writes the gradients into the weights so large that rounding the
    weights to float32 hides nothing of them.
    """
    d_loss, g_loss, slopes = BY_HAND[objective]
    rate, count, seeds = 1000.0, 16, (0, 1)
    gan = mixture.build_gan(list(seeds), objective)
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    networks = (gan.generator, gan.discriminator)
    rng = np.random.default_rng(0)
    for network in networks:  # biases of zero would hide a mistake about them
        network.set_weights([w + rng.normal(0, 0.1, w.shape) for w in network.get_weights()])
    before = [[w.astype(np.float64) for w in n.get_weights()] for n in networks]
    x = rng.normal(size=(count, 2, 2)).astype(np.float32)
    z = latents.draw("normal", count, 256, seed=0, step=0).numpy().astype(np.float64)
    results = gan.train_step(tf.constant(x))

    losses = []
    for seed in seeds:
        g, d = ([w[seed] for w in weights] for weights in before)
        made = _forward(z, g)
        real, fake = _forward(x[:, seed], d), _forward(made[-1], d)
        losses.append((d_loss(real[-1], fake[-1]), g_loss(fake[-1])))
        at_real, at_fake, at_fake_for_g = slopes(real[-1], fake[-1])
        of_real, _ = _backward(real, d, at_real / count)
        of_fake, _ = _backward(fake, d, at_fake / count)
        _, at_points = _backward(fake, d, at_fake_for_g / count)
        of_g, _ = _backward(made, g, at_points)
        of_d = [a + b for a, b in zip(of_real, of_fake, strict=True)]
        for network, old, expected in zip(networks, before, (of_g, of_d), strict=True):
            for new, was, gradient in zip(network.get_weights(), old, expected, strict=True):
                measured = ((was - new) / rate)[seed].reshape(gradient.shape)
                scale = np.abs(gradient).max()
                np.testing.assert_allclose(measured, gradient, rtol=1e-5, atol=1e-5 * scale)
    expected_d, expected_g = np.mean(losses, axis=0)
    assert float(results["d_loss"]) == pytest.approx(expected_d, rel=1e-5)
    assert float(results["g_loss"]) == pytest.approx(expected_g, rel=1e-5)


def test_a_seed_learns_the_same_alone_and_in_company(small_batches):
    def weights_of_seed_3(seeds):
        gan = mixture.build_gan(seeds, "least_squares")
        gan.run_steps(iter(mixture.batches(seeds)), 20)
        of_both = (gan.generator, gan.discriminator)
        return [w[seeds.index(3)] for network in of_both for w in network.get_weights()]

    alone, beside_others = weights_of_seed_3([3]), weights_of_seed_3([1, 3, 6])
    for one, other in zip(alone, beside_others, strict=True):
        # Sums in another order; Adam turns rounding of small gradients into up to 1e-3 of a step
        # of 1e-3, twenty times.
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_the_same_command_gives_the_same_points(small_batches):
    once, again = (mixture.train([0, 2], "sigmoid", [0, 3, 5]) for _ in range(2))
    assert once.shape == (3, 2, 5120, 2) and once.dtype == np.float32
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once[0], once[1]) and not np.array_equal(once[1], once[2])
    # A snapshot in between changes nothing.
    np.testing.assert_array_equal(mixture.train([0, 2], "sigmoid", [5])[0], once[2])


class PlaneGenerator(Generator):
    value_range = None

    def __init__(self, name=None):
        super().__init__(3, (2,), name=name)
        self.body = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
        self.build_variables()


class PlaneDiscriminator(Discriminator):
    def __init__(self, name=None):
        super().__init__((2,), name=name)
        self.body = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        self.build_variables()


def _gan_of_the_plane(**arguments):
    keras.utils.set_random_seed(0)
    gan = GAN(PlaneGenerator(), PlaneDiscriminator(), **arguments)
    gan.compile()
    return gan


@pytest.mark.parametrize(
    ("schedule", "penalty"),
    [
        ("simultaneous", Interpolates()),
        ("alternating", DRAGAN()),
        ("alternating", AroundData()),
    ],
)
def test_the_gan_trains_on_points_of_the_plane(schedule, penalty):
    """`fit` and `run_steps` do the same with data of rank 2, with an average of G as well."""
    points = mixture.draw_data(6 * 8, seed=0, block=0)
    dataset = tf.data.Dataset.from_tensor_slices(points).batch(8)
    settings = {"schedule": schedule, "penalty": penalty, "ema_decay": 0.9}
    fitted, stepped = _gan_of_the_plane(**settings), _gan_of_the_plane(**settings)
    initial = fitted.generator.get_weights()
    fitted.fit(dataset, epochs=1, verbose=0)
    metrics = stepped.run_steps(iter(dataset), 6)
    assert int(fitted.step) == int(stepped.step) == 6
    assert all(np.isfinite(float(value)) for value in metrics.values())
    for one, other in zip(fitted.state, stepped.state, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    changed = zip(fitted.generator.get_weights(), initial, strict=True)
    assert not any(np.array_equal(now, then) for now, then in changed)
    assert fitted.predict(np.zeros((5, 3), np.float32), verbose=0).shape == (5, 2)
