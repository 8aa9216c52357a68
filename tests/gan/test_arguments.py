"""What a GAN cannot take is refused in a sentence that names it."""

import keras
import pytest
from keras import layers

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
from lsgan_tf.gan.optimizers import Adam
from lsgan_tf.gan.penalties import R1
from tests.tiny import PointDiscriminator, PointGenerator


def _gan(*args, **kwargs):
    return GAN(PointGenerator(), PointDiscriminator(), *args, **kwargs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "mse"}, r"takes no loss\. .*GAN\(\.\.\., objective="),
        ({"loss_weights": [1.0]}, "takes no loss_weights.*loss_scale="),
        ({"metrics": ["accuracy"]}, r"takes no metrics.*callback lsgan_tf\.Scores"),
        ({"weighted_metrics": []}, "takes no weighted_metrics"),
        ({"optimizer": "adam"}, "takes no optimizer.*generator_optimizer"),
    ],
)
def test_arguments_of_keras_compile_without_a_use_are_refused(arguments, message):
    gan = _gan()
    with pytest.raises(ValueError, match=message):
        gan.compile(**arguments)
    gan.compile(loss=None, metrics=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "least_squares"}, r"objective is 'least_squares'; give LeastSquares\(\)"),
        (
            {"objective": LeastSquares},
            r"objective is the class LeastSquares; give LeastSquares\(\)",
        ),
        ({"objective": R1()}, r"objective is R1\(.*methods discriminator and generator"),
        ({"penalty": "r1"}, "penalty is 'r1'; give .*methods points and cost"),
        ({"penalty": LeastSquares()}, "penalty is LeastSquares"),
        ({"augmentation": ["color"]}, r"augmentation is \['color'\]; give lsgan_tf.Augmentation"),
    ],
)
def test_arguments_of_another_kind_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        _gan(**arguments)


def test_compile_takes_keras_names_of_optimizers():
    gan = _gan()
    gan.compile("adam", "adam")
    assert isinstance(gan.generator_optimizer, keras.optimizers.Adam)
    assert gan.generator_optimizer is not gan.discriminator_optimizer
    gan.compile("adam", {"class_name": "rmsprop", "config": {"rho": 0.5}})
    assert gan.discriminator_optimizer.rho == 0.5


@pytest.mark.parametrize("given", ["adamm", 2e-4, Adam, keras.losses.MeanSquaredError()])
def test_what_is_no_optimizer_is_refused(given):
    with pytest.raises(ValueError, match="discriminator_optimizer is .*; give an optimizer"):
        _gan().compile(None, given)


def test_what_either_optimizer_has_is_asked_of_either():
    gan = _gan()
    gan.compile()
    with pytest.raises(AttributeError, match="two optimizers.* generator_optimizer.learning_rate"):
        _ = gan.optimizer.learning_rate
    with pytest.raises(AttributeError, match="discriminator_optimizer.learning_rate"):
        gan.optimizer.learning_rate = 1e-4


def test_an_objective_of_ones_own_goes_with_a_bounded_discriminator():
    class Hinge:
        def discriminator(self, real, fake):
            return keras.ops.mean(1 - real) + keras.ops.mean(fake)

        def generator(self, fake):
            return -keras.ops.mean(fake)

    critic = keras.Sequential(
        [keras.Input((1, 1, 1)), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    assert isinstance(GAN(PointGenerator(), critic, Hinge()).objective, Hinge)
    with pytest.raises(ValueError, match="not all targets"):
        GAN(PointGenerator(), critic, SigmoidCrossEntropy())
