"""Keras models of one's own as generator and discriminator."""

import keras
import numpy as np
import pytest
from keras import layers

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.own import ModelDiscriminator, ModelGenerator
from tests.tiny import TinyDiscriminator, TinyGenerator

SHAPE = (4, 4, 1)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, *SHAPE)).astype(np.float32)
LABELS = np.arange(8) % 3


def _sequential_generator(*last, activation="tanh", built=True):
    inputs = [keras.Input((6,))] if built else []
    return keras.Sequential(
        [*inputs, layers.Dense(16, activation=activation), layers.Reshape(SHAPE), *last]
    )


def _sequential_discriminator(built=True, units=1, activation=None):
    inputs = [keras.Input(SHAPE)] if built else []
    return keras.Sequential([*inputs, layers.Flatten(), layers.Dense(units, activation)])


def _conditional_pair(labels, embed):
    """Functional models of two inputs, the labels of this shape, made numbers by `embed`."""
    z, of_g = keras.Input((6,)), keras.Input(labels)
    images, of_d = keras.Input(SHAPE), keras.Input(labels)
    x = layers.Concatenate()([z, embed()(of_g)])
    y = layers.Concatenate()([layers.Flatten()(images), embed()(of_d)])
    made = layers.Reshape(SHAPE)(layers.Dense(16, activation="tanh")(x))
    return keras.Model([z, of_g], made), keras.Model([images, of_d], layers.Dense(1)(y))


def _train(gan, *data):
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    gan.fit(*data, batch_size=4, verbose=0)
    assert int(gan.step.numpy()) == 2
    return gan


@pytest.mark.parametrize("built", [True, False])
def test_a_sequential_pair_trains_saves_and_loads(tmp_path, built):
    model = _sequential_generator()
    before = model.get_weights()
    gan = GAN(model, _sequential_discriminator(built), ema_decay=0.5)
    assert (gan.generator.latent_dim, gan.generator.image_shape) == (6, SHAPE)
    assert gan.generator.value_range == (-1.0, 1.0)
    _train(gan, IMAGES)
    assert not np.array_equal(model.get_weights()[0], before[0])  # the model itself is trained
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    z = np.random.default_rng(1).uniform(-1, 1, (3, 6)).astype(np.float32)
    np.testing.assert_allclose(loaded.predict(z, verbose=0), gan.predict(z, verbose=0), atol=1e-6)
    assert loaded.generator.value_range == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "embed"),
    [
        ((), lambda: layers.Embedding(3, 2)),
        ((1,), lambda: keras.Sequential([layers.Embedding(3, 2), layers.Flatten()])),
        ((3,), lambda: layers.Dense(2)),
    ],
    ids=["integers", "column", "one-hot"],
)
def test_a_functional_pair_with_labels_trains(labels, embed):
    generator, discriminator = _conditional_pair(labels, embed)
    if labels != (3,):
        with pytest.raises(ValueError, match=r"does not say its num_classes.*num_classes=10\)"):
            GAN(generator, discriminator)
        generator = ModelGenerator(generator, num_classes=3)
    gan = _train(GAN(generator, discriminator, ema_decay=0.5), IMAGES, LABELS)
    assert gan.discriminator.num_classes == 3
    z = np.ones((8, 6), np.float32)
    images = gan.predict([z, LABELS], verbose=0)
    assert not np.allclose(images[0], images[1])


def test_subclasses_of_keras_model_say_once_what_they_take():
    class Maker(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(16, "sigmoid")

        def call(self, latents, labels):
            x = self.hidden(keras.ops.concatenate([latents, keras.ops.one_hot(labels, 3)], -1))
            return keras.ops.reshape(x, (-1, *SHAPE))

    class Judge(keras.Model):
        def __init__(self):
            super().__init__()
            self.score = layers.Dense(1)

        def call(self, inputs):
            images, labels = inputs
            flat = keras.ops.reshape(images, (-1, 16))
            return self.score(keras.ops.concatenate([flat, keras.ops.one_hot(labels, 3)], -1))

    with pytest.raises(
        ValueError, match=r"does not say its latent_dim. Say it once, .*latent_dim=1"
    ):
        GAN(Maker(), Judge())
    with pytest.raises(ValueError, match=r"does not say its value_range.*value_range=\(-1, 1\)"):
        ModelGenerator(Maker(), latent_dim=6)
    generator = ModelGenerator(Maker(), latent_dim=6, value_range=(0, 1), num_classes=3)
    gan = _train(GAN(generator, Judge()), (IMAGES + 1) / 2, LABELS)
    assert gan.predict([np.ones((8, 6)), LABELS], verbose=0).shape == IMAGES.shape


def test_the_range_is_that_of_the_last_activation():
    assert ModelGenerator(_sequential_generator(activation="sigmoid")).value_range == (0.0, 1.0)
    last = layers.Activation("tanh")
    assert ModelGenerator(_sequential_generator(last, activation=None)).value_range == (-1.0, 1.0)
    nested = keras.Sequential([keras.Input((6,)), _sequential_generator()])
    assert ModelGenerator(nested).value_range == (-1.0, 1.0)
    z = keras.Input((6,))
    function = keras.ops.reshape(keras.ops.tanh(layers.Dense(16)(z)), (-1, *SHAPE))
    assert ModelGenerator(keras.Model(z, function)).value_range == (-1.0, 1.0)
    scaled = _sequential_generator(layers.Rescaling(3.0))
    with pytest.raises(ValueError, match="value_range"):
        ModelGenerator(scaled)
    assert ModelGenerator(scaled, value_range=(-3, 3)).value_range == (-3, 3)


def test_models_that_compute_at_half_precision_return_full_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    gan = _train(GAN(_sequential_generator(), _sequential_discriminator()), IMAGES)
    assert gan(np.ones((1, 6))).dtype == "float32"
    assert gan.discriminator(IMAGES).dtype == "float32"


def test_bounded_logits_go_with_targets_within():
    sigmoid = _sequential_discriminator(activation="sigmoid")
    GAN(_sequential_generator(), sigmoid, LeastSquares(0, 1, 1))
    for objective in (LeastSquares(-1, 1, 0), SigmoidCrossEntropy()):
        with pytest.raises(ValueError, match=r"within \(0.0, 1.0\), and not all .* no activation"):
            GAN(_sequential_generator(), sigmoid, objective)


class _Scale(layers.Layer):
    """Is not registered, and has an argument."""

    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, inputs):
        return inputs * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def _halve(inputs):
    return inputs / 2


class _Forgetful(keras.Model):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def call(self, inputs):
        return inputs * self.by


@pytest.mark.parametrize(
    "first",
    [
        lambda: _Scale(3.0),
        lambda: keras.Sequential([layers.Dense(4), _Scale(3.0)]),
        lambda: layers.Dense(4, activation=_halve),
        lambda: layers.Lambda(lambda inputs: inputs / 2),
    ],
    ids=["layer", "within a model", "function", "lambda"],
)
def test_an_average_needs_no_registered_classes(first):
    inputs = keras.Input((6,))
    generator = keras.Model(inputs, _sequential_generator(built=False)(first()(inputs)))
    gan = GAN(generator, _sequential_discriminator(), ema_decay=0.5)
    z = np.random.default_rng(1).uniform(-1, 1, (3, 6)).astype(np.float32)
    np.testing.assert_array_equal(gan.generator_ema(z), gan.generator(z))


def test_a_model_that_would_lose_its_arguments_has_no_average():
    inputs = keras.Input((6,))
    generator = keras.Model(inputs, _sequential_generator(built=False)(_Forgetful(3.0)(inputs)))
    with pytest.raises(ValueError, match=r"ema_decay .* _Forgetful .*`get_config`.*leave out"):
        GAN(generator, _sequential_discriminator(), ema_decay=0.5)


class _OfKeywords(Generator):
    def __init__(self, units=16, **kwargs):
        super().__init__(6, SHAPE, **kwargs)
        self.units = units
        self.body = _sequential_generator(_Scale(), built=False)
        self.build_variables()


class _Nameless(_OfKeywords):
    def __init__(self):
        super().__init__(units=16)


def test_a_subclass_may_take_keywords_or_no_name():
    named = _OfKeywords(name="mine")
    assert named.get_config()["units"] == 16 and named.get_config()["name"] == "mine"
    for generator, average in ((named, "mine_ema"), (_Nameless(), "__nameless")):
        gan = GAN(generator, _sequential_discriminator(), ema_decay=0.5)
        assert gan.generator_ema.name.startswith(average)


class _Stated(Generator):
    def __init__(self, activation):
        super().__init__(6, SHAPE)
        self.body = _sequential_generator(activation=activation, built=False)
        self.build_variables()


def test_a_range_that_is_not_that_of_the_last_activation_is_refused():
    _Stated("tanh")
    _Stated("relu")
    with pytest.raises(ValueError, match=r"between 0 and 1, .*\(-1.0, 1.0\): say value_range ="):
        _Stated("sigmoid")
    with pytest.raises(ValueError, match="between 0 and 1"):
        ModelGenerator(_sequential_generator(activation="sigmoid"), value_range=(-1, 1))


class _Minimal(Generator):
    """Forgets `build_variables`, and says a size."""

    def __init__(self, image_shape=SHAPE, name=None):
        super().__init__(6, image_shape, name=name)
        self.body = _sequential_generator(built=False)


def test_a_subclass_that_forgot_to_build_its_variables_is_built():
    gan = _train(GAN(_Minimal(), _sequential_discriminator(), ema_decay=0.5), IMAGES)
    assert gan.generator.variables and gan.generator_ema.variables


def test_mistakes_are_told_when_the_gan_is_made():
    discriminator = _sequential_discriminator()
    for wrong in ((5, 4, 1), (4, 4), (4, 4, 3)):
        with pytest.raises(ValueError, match=r"_Minimal says image_shape \(.*and makes images of"):
            GAN(_Minimal(wrong), discriminator)
    with pytest.raises(ValueError, match="first argument is a TinyDiscriminator; a GAN takes the"):
        GAN(TinyDiscriminator(), TinyGenerator())
    with pytest.raises(ValueError, match="second argument is a str"):
        GAN(TinyGenerator(), "dcgan")
    with pytest.raises(ValueError, match=r"returns \(None, 10\); .* one logit for each image"):
        GAN(_sequential_generator(), _sequential_discriminator(units=10))
    with pytest.raises(ValueError, match="image_shape is .8, 8, 1., the discriminator's is"):
        GAN(TinyGenerator(), discriminator)
    with pytest.raises(ValueError, match="image_shape"):
        ModelDiscriminator(_sequential_discriminator(built=False))

    class Judge(Discriminator):
        def __init__(self):
            super().__init__(SHAPE)
            self.body = _sequential_discriminator(units=2)
            self.build_variables()

    with pytest.raises(ValueError, match="Judge returns"):
        Judge()
