"""`predict`, `export` and loading, of a GAN and of its generator, with labels and without."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam
from tests.tiny import TinyDiscriminator, TinyGenerator

Z = np.random.default_rng(0).uniform(-1, 1, (6, 5)).astype(np.float32)
LABELS = np.arange(6) % 3


def _gan(classes=0, **kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(TinyGenerator(classes), TinyDiscriminator(classes), **kwargs)
    gan.compile(Adam(), Adam())
    return gan


@pytest.fixture(scope="module")
def labelled():
    return _gan(3)


def _slices(*parts):
    return tf.data.Dataset.from_tensor_slices(parts).batch(4)


@pytest.mark.parametrize(
    "inputs",
    [
        lambda: [Z, LABELS],
        lambda: (Z, LABELS),
        lambda: {"latents": Z, "labels": LABELS},
        lambda: _slices(Z, LABELS),
        lambda: _slices((Z, LABELS)),
        lambda: _slices({"latents": Z, "labels": LABELS}),
    ],
    ids=["list", "tuple", "dictionary", "dataset", "nested", "dataset of dictionaries"],
)
def test_predict_takes_latents_and_labels(labelled, inputs):
    images = labelled(Z, LABELS).numpy()
    np.testing.assert_allclose(labelled.predict(inputs(), verbose=0), images, atol=1e-5)
    structure = inputs()
    if not isinstance(structure, tf.data.Dataset):
        np.testing.assert_allclose(labelled(structure).numpy(), images, atol=1e-5)
        np.testing.assert_allclose(labelled.generator(structure).numpy(), images, atol=1e-5)
        np.testing.assert_allclose(
            labelled.generator.predict(structure, verbose=0), images, atol=1e-5
        )
        np.testing.assert_allclose(labelled.generator(latents=Z, labels=LABELS), images, atol=1e-5)
        np.testing.assert_allclose(labelled.predict_on_batch(structure), images, atol=1e-5)


@pytest.mark.parametrize("form", [lambda ids: ids[:, None], lambda ids: np.eye(3)[ids]])
def test_labels_have_the_forms_that_fit_takes(labelled, form):
    images = labelled(Z, LABELS).numpy()
    labels = form(LABELS)
    np.testing.assert_allclose(labelled(Z, labels).numpy(), images, atol=1e-5)
    for inputs in ([Z, labels], _slices(Z, labels)):
        np.testing.assert_allclose(labelled.predict(inputs, verbose=0), images, atol=1e-5)


@pytest.mark.parametrize("wrong", [LABELS + 3, LABELS - 1])
def test_labels_of_no_class_are_refused(labelled, wrong):
    with pytest.raises(ValueError, match="The labels of a batch lie between .*has 3 classes"):
        labelled(Z, wrong)
    for inputs in ([Z, wrong], {"latents": Z, "labels": wrong}, _slices(Z, wrong)):
        with pytest.raises(ValueError, match="The labels of a batch lie between .*has 3 classes"):
            labelled.predict(inputs, verbose=0)


def test_a_discriminator_takes_images_and_labels(labelled):
    images = labelled(Z, LABELS).numpy()
    logits = labelled.discriminator(images, LABELS).numpy()
    predicted = labelled.discriminator.predict([images, LABELS], verbose=0)
    np.testing.assert_allclose(predicted, logits, atol=1e-5)
    named = labelled.discriminator({"images": images, "labels": LABELS})
    np.testing.assert_allclose(named, logits, atol=1e-5)


def test_labels_that_are_missing_unknown_or_not_taken_are_refused(labelled):
    with pytest.raises(ValueError, match=r"conditioned on 3 labels: give \[latents, labels\]"):
        labelled.predict(Z, verbose=0)
    with pytest.raises(ValueError, match="takes latents alone"):
        _gan().predict([Z, LABELS], verbose=0)
    with pytest.raises(ValueError, match=r"keys \['classes', 'latents'\]; give 'latents', and 'la"):
        labelled.predict({"latents": Z, "classes": LABELS}, verbose=0)


@pytest.mark.parametrize("classes", [0, 3])
def test_export(tmp_path, classes):
    """Of the average where there is one; also before the model is compiled or called."""
    gan = GAN(TinyGenerator(classes), TinyDiscriminator(classes), ema_decay=0.5)
    gan.generator.set_weights([weight + 1 for weight in gan.generator.get_weights()])
    arguments = (Z, LABELS.astype(np.int32)) if classes else (Z,)
    for name, model in (("gan", gan), ("generator", gan.generator)):
        model.export(tmp_path / name, verbose=False)
        loaded = tf.saved_model.load(tmp_path / name)
        np.testing.assert_allclose(loaded.serve(*arguments), model(*arguments), atol=1e-5)
    discriminator = gan.discriminator
    discriminator.export(tmp_path / "d", verbose=False)
    images = gan(*arguments)
    loaded = tf.saved_model.load(tmp_path / "d")
    served = loaded.serve(images, *arguments[1:])
    np.testing.assert_allclose(served, discriminator(images, *arguments[1:]), atol=1e-5)
