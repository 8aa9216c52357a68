"""The mixture pair: sizes and initial weights, a simultaneous step by hand, and a run of points."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from lsgan_tf import networks, sample
from lsgan_tf.config import Config
from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
from lsgan_tf.inference import load, serving
from lsgan_tf.networks.mixture import MixtureDiscriminator, MixtureGenerator
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Data, Run
from lsgan_tf.training import loop
from lsgan_tf.utils.errors import UserError


def test_the_authors_sizes_and_initial_weights():
    generator, discriminator = networks.build("mixture", (2,))
    assert generator.count_params() == 49_666
    assert discriminator.count_params() == 17_025
    assert generator.latent_distribution == "normal"
    assert generator(np.zeros((3, 256), np.float32)).shape == (3, 2)
    assert discriminator(np.zeros((3, 2), np.float32)).shape == (3, 1)
    for network in (generator, discriminator):
        for kernel, bias in zip(*[iter(network.get_weights())] * 2, strict=True):
            assert not bias.any()
            tall = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
            # Orthogonal columns of length 1.4; float32 leaves errors of about 1e-6.
            np.testing.assert_allclose(tall.T @ tall, 1.96 * np.eye(tall.shape[1]), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        ("mixture", (28, 28, 1), "--network=mixture makes points"),
        ("dcgan", (2,), "makes images, the data are points: --network=mixture"),
        ("scene", (2,), "makes images, the data are points: --network=mixture"),
    ],
)
def test_images_and_points_do_not_mix(network, shape, message):
    with pytest.raises(UserError, match=message):
        networks.build(network, shape)


def test_labels_are_refused():
    with pytest.raises(UserError, match="--network=mixture takes no labels"):
        networks.build("mixture", (2,), num_classes=3)


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


# Of each objective: (loss of D, loss of G, slopes at each real and fake score, G's slope there).
BY_HAND = {
    "lsgan": (
        LeastSquares(0, 1, 1),
        lambda real, fake: 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2),
        lambda fake: 0.5 * np.mean((fake - 1) ** 2),
        lambda real, fake: (real - 1, fake, fake - 1),
    ),
    "gan": (
        SigmoidCrossEntropy(),
        lambda real, fake: -np.mean(np.log(_sigmoid(real)) + np.log(1 - _sigmoid(fake))),
        lambda fake: -np.mean(np.log(_sigmoid(fake))),
        lambda real, fake: (_sigmoid(real) - 1, _sigmoid(fake), _sigmoid(fake) - 1),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_simultaneous_step_by_hand(name):
    """Losses and all twelve gradients against NumPy in double precision.

    SGD with a rate of 1000 writes the gradients into the weights so large that rounding the
    weights to float32 hides nothing of them.
    """
    objective, d_loss, g_loss, slopes = BY_HAND[name]
    rate, count = 1000.0, 16
    keras.utils.set_random_seed(3)
    gan = GAN(MixtureGenerator(), MixtureDiscriminator(), objective, schedule="simultaneous")
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    networks_ = (gan.generator, gan.discriminator)
    rng = np.random.default_rng(0)
    for network in networks_:  # biases of zero would hide a mistake about them
        network.set_weights([w + rng.normal(0, 0.1, w.shape) for w in network.get_weights()])
    before = [[w.astype(np.float64) for w in n.get_weights()] for n in networks_]
    x = rng.normal(size=(count, 2)).astype(np.float32)
    z = latents.draw("normal", count, 256, seed=0, step=0).numpy().astype(np.float64)

    made = _forward(z, before[0])
    real, fake = _forward(x, before[1]), _forward(made[-1], before[1])
    at_real, at_fake, at_fake_for_g = slopes(real[-1], fake[-1])
    of_real, _ = _backward(real, before[1], at_real / count)
    of_fake, _ = _backward(fake, before[1], at_fake / count)
    _, at_points = _backward(fake, before[1], at_fake_for_g / count)
    expected_g, _ = _backward(made, before[0], at_points)
    expected_d = [a + b for a, b in zip(of_real, of_fake, strict=True)]

    results = gan.train_step(tf.constant(x))
    assert float(results["d_loss"]) == pytest.approx(d_loss(real[-1], fake[-1]), rel=1e-5)
    assert float(results["g_loss"]) == pytest.approx(g_loss(fake[-1]), rel=1e-5)
    for network, old, expected in zip(networks_, before, (expected_g, expected_d), strict=True):
        for new, was, gradient in zip(network.get_weights(), old, expected, strict=True):
            measured = (was - new) / rate
            scale = np.abs(gradient).max()
            np.testing.assert_allclose(measured, gradient, rtol=1e-5, atol=1e-5 * scale)


def _config(tmp_path, **changes):
    settings = {
        "dataset": "mixture",
        "network": "mixture",
        "schedule": "simultaneous",
        "batch_size": 8,
        "steps_per_execution": 10,
        "train_steps": 20,
        "log_every": 10,
        "sample_every": 10,
        "checkpoint_every": 10,
        "data_dir": str(tmp_path / "data"),
        "run_dir": str(tmp_path / "run"),
    }
    return Config(**{**settings, **changes})


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run of 20 steps."""
    config = _config(tmp_path_factory.mktemp("mixture"))
    loop.train(config)
    return Run(config.run_dir).directory


def _weights(directory):
    return load.load(directory).generator.get_weights()


def test_a_run_of_points_leaves_what_a_run_of_images_leaves(run_dir):
    run = Run(run_dir)
    assert available(run.checkpoints) == [10, 20]
    assert [path.name for path in sorted(run.samples.glob("*.png"))] == [
        *("0000000.png", "0000010.png", "0000020.png")
    ]
    assert Image.open(run_dir / "reals.png").size == (256, 256)
    assert len([json.loads(line) for line in run.metrics.read_text().splitlines()]) == 2
    assert run.read()[1] == Data((2,), 0, None, "mixture: 9 angles, radius 1, deviation 0.01")


def test_resuming_is_exact(run_dir, tmp_path, capsys):
    loop.train(_config(tmp_path, train_steps=7))
    loop.train(_config(tmp_path))
    assert "endless points of mixture, 1 replica x 8 points a step" in capsys.readouterr().out
    for one, other in zip(_weights(tmp_path / "run"), _weights(run_dir), strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_replicas_learn_what_one_learns(run_dir, tmp_path):
    loop.train(_config(tmp_path, logical_devices=2))
    for one, other in zip(_weights(tmp_path / "run"), _weights(run_dir), strict=True):
        # Sums in another order; Adam turns rounding of small gradients into up to 1e-3 of a step
        # of 2e-4, twenty times.
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.fixture
def run_sample(monkeypatch, capsys, run_dir):
    """Runs the command on the run; returns the path that it prints."""
    if "run_dir" not in flags.FLAGS:
        load.define_flags()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])

    def run(**arguments):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in {"run_dir": str(run_dir), **arguments}.items():
                patch.setattr(flags.FLAGS[name], "value", value)
            sample.main()
        return capsys.readouterr().out.split(":")[0]

    return run


def test_sampling_gives_a_picture_and_the_points(run_sample, tmp_path):
    path = run_sample(output=str(tmp_path / "out.png"))
    assert Image.open(path).size == (256, 256)
    points = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert points.shape == (5120, 2) and points.dtype == np.float32
    few = np.load(run_sample(num=10)[: -len(".png")] + ".npy", allow_pickle=False)
    np.testing.assert_allclose(few, points[:10], atol=1e-6)  # other batches, other rounding


def test_the_points_go_beside_a_png(run_sample, tmp_path):
    path = run_sample(num=10, output=str(tmp_path / "points-0.5.png"))
    assert Image.open(path).size == (256, 256)
    assert np.load(tmp_path / "points-0.5.npy", allow_pickle=False).shape == (10, 2)
    for name in ("x.npy", "points-0.5"):
        with pytest.raises(UserError, match=f"{name} is for a picture.*must end in .png"):
            run_sample(num=10, output=str(tmp_path / name))
        assert not (tmp_path / name).exists()


def test_sampling_brings_no_plots_before_it_draws_one():
    code = "import sys, lsgan_tf.inference.samples; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "arguments", [{"interpolate": "strip"}, {"interpolate": "gif"}, {"separate": True}]
)
def test_what_is_for_images_is_refused(run_sample, arguments):
    (name,) = arguments
    with pytest.raises(UserError, match=f"--{name} is for images; this run's generator makes"):
        run_sample(**arguments)


def test_an_export_serves_points(run_dir, tmp_path):
    generator = load.load(run_dir).generator
    serving.save(serving.Server(generator), tmp_path / "1")
    model = tf.saved_model.load(str(tmp_path / "1"))
    assert set(model.signatures) == {"serving_default"}
    z = np.random.default_rng(0).normal(size=(5, 256)).astype(np.float32)
    points = model.signatures["serving_default"](latents=tf.constant(z))["points"].numpy()
    np.testing.assert_allclose(points, generator(z).numpy(), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"latents must be float32 \[N, 256\]"):
        model.signatures["serving_default"](latents=tf.zeros((5, 3)))
