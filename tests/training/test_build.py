"""From a `Config` to networks, objectives, penalties, optimizers; what does not go together."""

import pytest

from lsgan_tf.config import Config
from lsgan_tf.gan.augmentation import Augmentation
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy, Wasserstein
from lsgan_tf.gan.penalties import DRAGAN, R1, AroundData, Interpolates
from lsgan_tf.training import build
from lsgan_tf.utils.errors import UserError


@pytest.mark.parametrize(
    ("flags", "objective"),
    [
        ({"objective": "pearson"}, LeastSquares(-1, 1, 0)),
        ({"objective": "binary"}, LeastSquares(0, 1, 1)),
        ({"label_a": 0.2, "label_b": 0.9, "label_c": 0.7}, LeastSquares(0.2, 0.9, 0.7)),
        ({"objective": "sigmoid"}, SigmoidCrossEntropy()),
        ({"objective": "sigmoid_saturating"}, SigmoidCrossEntropy(saturating=True)),
        ({"objective": "wasserstein", "penalty": "wgan_gp"}, Wasserstein()),
    ],
)
def test_objectives_of_the_flags(flags, objective):
    assert build.objective(Config(**flags)) == objective


@pytest.mark.parametrize(
    ("flags", "penalty"),
    [
        ({}, None),
        ({"penalty": "lsgan_gp"}, AroundData(weight=150 / 64, width=30.0, target=1.0)),
        ({"penalty": "dragan"}, DRAGAN(weight=10.0, width=0.5, target=1.0)),
        ({"penalty": "wgan_gp"}, Interpolates(weight=10.0, target=1.0)),
        (
            {"penalty": "lsgan_gp", "penalty_weight": 2.0, "penalty_width": 1.0},
            AroundData(weight=2.0, width=1.0),
        ),
        ({"penalty": "wgan_gp", "penalty_target": 0.0}, Interpolates(target=0.0)),
        ({"penalty": "r1"}, R1(weight=10.0)),
        ({"penalty": "r1", "penalty_weight": 0.5}, R1(weight=0.5)),
    ],
)
def test_penalties_of_the_flags(flags, penalty):
    assert build.penalty(Config(**flags)) == penalty


def test_what_the_flags_add_to_the_step():
    flags = {"augment": "translation,cutout", "penalty": "r1", "penalty_every": 8}
    flags |= {"discriminator_norm": "none", "base_channels": 16}
    model = build.gan(Config(**flags), (16, 16, 3), None)
    assert model.augmentation == Augmentation(["translation", "cutout"])
    assert (model.penalty_every, model.discriminator.norm) == (8, "none")
    assert (model.generator.base_channels, model.discriminator.base_channels) == (16, 16)


def test_a_penalty_on_a_pair_with_batch_norm_names_the_flag():
    with pytest.raises(UserError, match="--penalty=r1 .*=dcgan.*--discriminator_norm=layer"):
        build.gan(Config(penalty="r1"), (16, 16, 3), None)


def test_each_network_has_an_optimizer_of_its_own_settings():
    of_g, of_d = build.optimizers(
        Config(learning_rate=0.5, discriminator_learning_rate=0.25, beta_1=0.0, beta_2=0.9)
    )
    assert (float(of_g.learning_rate), float(of_d.learning_rate)) == (0.5, 0.25)
    assert (of_d.beta_1, of_d.beta_2, of_d.epsilon) == (0.0, 0.9, 1e-8)
    of_g, of_d = build.optimizers(Config(optimizer="rmsprop", learning_rate=0.5))
    assert (float(of_g.learning_rate), float(of_d.learning_rate)) == (0.5, 0.5)
    assert of_g is not of_d


def test_rates_fall_in_steps_of_training():
    falling = {"learning_rate_schedule": "linear", "train_steps": 8, "warmup_steps": 2}
    of_g, of_d = build.optimizers(Config(n_critic=5, optimizer="rmsprop", **falling))
    for optimizer, updates in ((of_g, 4), (of_d, 20)):
        assert float(optimizer.learning_rate) == 0.0
        optimizer.iterations.assign(updates)
        assert float(optimizer.learning_rate) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "flags", [{"objective": "sigmoid"}, {"objective": "pearson"}, {"label_c": 1.5}]
)
def test_targets_out_of_a_sigmoids_reach_are_refused(flags):
    config = Config(network="fashion_sigmoid", **flags)
    with pytest.raises(UserError, match="fashion_sigmoid has outputs between 0 and 1 only"):
        build.gan(config, (32, 32, 1), None)
