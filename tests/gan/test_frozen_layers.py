"""Layers with `trainable = False` keep their weights in a GAN's steps and through its files."""

import keras
import numpy as np
import pytest

import lsgan_tf
from lsgan_tf import GAN, Adam
from lsgan_tf.networks.digits import LightDiscriminator
from lsgan_tf.networks.freezing import freeze_first
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, *SHAPE)).astype("float32")


def _fit(freeze, norm="batch", optimizer=Adam):
    """A GAN that was trained for two steps after `freeze(gan)`, and which variables changed."""
    gan = GAN(TinyGenerator(), TinyDiscriminator(norm=norm), ema_decay=0.9)
    freeze(gan)
    gan.compile(optimizer(), optimizer())
    variables = gan.discriminator.variables + gan.generator.variables
    before = [variable.numpy() for variable in variables]
    gan.fit(IMAGES, batch_size=8, verbose=0)
    changed = [not np.array_equal(a, v.numpy()) for a, v in zip(before, variables, strict=True)]
    count = len(gan.discriminator.variables)
    return gan, changed[:count], changed[count:]


def _freeze_first(gan):
    gan.discriminator.first.trainable = False


def test_a_frozen_layer_keeps_its_weights_and_all_others_train():
    gan, of_d, of_g = _fit(_freeze_first)
    assert of_d == [False] * 2 + [True] * 8
    assert all(of_g)
    assert len(gan.discriminator_optimizer.variables) == 2 + 2 * 6


def test_a_frozen_spectral_layer_keeps_its_norm():
    """The vector of its power iteration stays, or its weights over their norm would change."""
    _, of_d, _ = _fit(_freeze_first, norm="spectral")
    assert of_d == [False] * 3 + [True] * 6


def test_layers_of_the_generator_freeze_and_so_do_whole_networks():
    def freeze(gan):
        gan.discriminator.trainable = False
        gan.generator.body.layers[0].trainable = False

    def loss_scaled():
        return keras.optimizers.LossScaleOptimizer(Adam())

    for optimizer in (Adam, loss_scaled):
        _, of_d, of_g = _fit(freeze, optimizer=optimizer)
        assert not any(of_d)
        assert of_g == [False] * 2 + [True] * (len(of_g) - 2)


@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_a_saved_gan_goes_on_with_its_frozen_layers(tmp_path):
    gan, *_ = _fit(_freeze_first)
    gan.save(tmp_path / "gan.keras")
    loaded = lsgan_tf.load(tmp_path / "gan.keras")
    assert not loaded.discriminator.first.trainable
    assert loaded.discriminator.body.trainable and loaded.generator.trainable
    for one in (gan, loaded):
        one.fit(IMAGES, batch_size=8, shuffle=False, verbose=0)
    for variable, expected in zip(loaded.state, gan.state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), expected.numpy())


def test_the_first_layers_are_counted_by_their_kernels():
    """Two convolutions, a linear layer and the logit; norms go with what they follow, the label's
    map goes with none."""
    expected = {1: 2, 2: 2 + 2 + 4, 3: 2 + 2 + 4 + 2 + 4}
    for count, frozen in expected.items():
        discriminator = LightDiscriminator(num_classes=3)
        freeze_first(discriminator, count)
        trained = {id(variable) for variable in discriminator.trainable_variables}
        of_label, of_layers = discriminator.variables[:2], discriminator.variables[2:]
        assert all(id(variable) in trained for variable in of_label)
        assert not any(id(variable) in trained for variable in of_layers[:frozen])
        rest = [v for v in of_layers[frozen:] if "moving" not in v.name]
        assert all(id(variable) in trained for variable in rest)
    with pytest.raises(ValueError, match="has 4 convolutions and linear layers; freeze 3 or less"):
        freeze_first(LightDiscriminator(), 4)
