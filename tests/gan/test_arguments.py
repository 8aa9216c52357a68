"""What a GAN cannot take is refused in a sentence that names it."""

import pytest

from lsgan_tf.gan.model import GAN
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
