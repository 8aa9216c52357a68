"""Extractors: what they make of images, on how many devices, and what they refuse."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.metrics import measurements, pretrained
from lsgan_tf.metrics.extractor import Extractor, FeatureNetwork
from lsgan_tf.metrics.features import Choice
from lsgan_tf.utils.errors import UserError
from tests import feature_networks

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 1), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (23, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def grey_file(tmp_path_factory):
    return feature_networks.keras_file(tmp_path_factory.mktemp("grey") / "net.keras", classes=4)


def test_features_and_logits_of_a_keras_file(grey_file):
    extractor = Extractor(Choice(str(grey_file)).load("any"), (8, 8, 1), batch_size=10)
    assert (extractor.dimension, extractor.classes) == (3, 4)
    outputs = extractor(IMAGES)
    expected = keras.saving.load_model(grey_file)(IMAGES.astype(np.float32))
    np.testing.assert_allclose(outputs.features, expected["features"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs.logits, expected["logits"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_neither_the_batch_nor_the_devices_change_features(grey_file, replicas, batch_size):
    alone = Extractor(pretrained.load_file(grey_file), (8, 8, 1), batch_size=23)(IMAGES)
    strategy = replicas(4)
    with strategy.scope():
        network = pretrained.load_file(grey_file)
    shared = Extractor(network, (8, 8, 1), batch_size=batch_size, strategy=strategy)
    assert shared.batch_size == 4 * batch_size
    for one, other in zip(alone, shared(IMAGES), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_grey_images_are_repeated_for_a_network_of_colour(tmp_path):
    path = feature_networks.saved_model(tmp_path / "means", feature_networks.channel_means)
    extractor = Extractor(Choice(str(path)).load("any"), (8, 8, 1))
    assert extractor.repeats_grey
    means = IMAGES.mean(axis=(1, 2))
    np.testing.assert_allclose(extractor(IMAGES).features, np.repeat(means, 3, axis=1), rtol=1e-5)


def test_colour_images_for_a_grey_network_are_refused(grey_file):
    with pytest.raises(UserError, match="takes grey images, these are in colour"):
        Extractor(pretrained.load_file(grey_file), (8, 8, 3))


def test_images_of_another_size_are_resized(grey_file):
    extractor = Extractor(pretrained.load_file(grey_file), (16, 16, 1))
    large = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    assert "8x8" in extractor.network.resize
    assert extractor(large).features.shape == (23, 3)


def test_features_are_of_float32_also_where_steps_are_of_less():
    def forward(images):
        allowed = tf.config.experimental.tensor_float_32_execution_enabled
        seen = tf.numpy_function(lambda: np.float32(allowed()), [], tf.float32)
        return tf.fill((images.shape[0], 1), seen), None

    assert tf.config.experimental.tensor_float_32_execution_enabled()
    extractor = Extractor(FeatureNetwork("flag", "", "", 3, forward), (8, 8, 3))
    assert not extractor(COLOUR).features.any()
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_bfloat16_stays_where_it_was_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    kernel = tf.constant(rng.normal(size=(5, 5, 3, 16)), tf.float32)
    second = tf.constant(rng.normal(size=(5, 5, 16, 8)), tf.float32)

    def forward(images):
        hidden = tf.nn.relu(tf.nn.conv2d(images / 255.0, kernel, 1, "SAME"))
        return {"features": tf.reduce_mean(tf.nn.conv2d(hidden, second, 1, "SAME"), axis=(1, 2))}

    path = feature_networks.saved_model(tmp_path / "net", forward)
    network = pretrained.load_file(path)
    before = Extractor(network, (8, 8, 3))(COLOUR).features
    half = Extractor(network, (8, 8, 3), dtype="bfloat16")(COLOUR).features
    after = Extractor(network, (8, 8, 3))(COLOUR).features
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(half, before, atol=0.02 * np.abs(before).max())
    assert not tf.config.optimizer.get_experimental_options().get(
        "auto_mixed_precision_onednn_bfloat16", False
    )


def test_a_network_of_keras_applications(tmp_path):
    model = keras.applications.MobileNetV2(
        include_top=False, pooling="avg", input_shape=(224, 224, 3), weights=None
    )
    path = tmp_path / "mobile.weights.h5"
    model.save_weights(path)
    network = Choice("keras:MobileNetV2", str(path)).load("any")
    assert network.resize == "bilinear, antialiased, to 224x224"
    images = COLOUR[:2]
    extracted = Extractor(network, (8, 8, 3), batch_size=2)(images).features
    resized = tf.image.resize(tf.cast(images, tf.float32), (224, 224), antialias=True)
    expected = model(resized / 127.5 - 1.0, training=False)
    np.testing.assert_allclose(extracted, expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(UserError, match="has sha256 [0-9a-f]{64}, not 00"):
        Choice("keras:MobileNetV2", str(path), "00").load("any")


def _not_images(path):
    return feature_networks.saved_model(path, lambda x: {"features": x}, shape=(None, 7))


def _two_outputs(path):
    return feature_networks.saved_model(path, lambda x: {"a": x[:, 0, 0], "b": x[:, 0, 0]})


def _not_vectors(path):
    return feature_networks.saved_model(path, lambda x: {"features": x})


def _one_for_all(path):
    return feature_networks.saved_model(
        path, lambda x: {"features": tf.reduce_mean(x, axis=(0, 1))}
    )


def _failing(path):
    return feature_networks.saved_model(
        path, lambda x: {"features": tf.ensure_shape(x, (None, 9, 9, 3))[0, 0]}
    )


def _without_signature(path):
    tf.saved_model.save(tf.Module(), str(path))
    return path


def _no_model(path):
    path.write_bytes(b"PK no model")
    return path


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda path: path, "nothing", "none of inception-2015, classifier and keras:NAME"),
        (_no_model, "broken.keras", "broken.keras cannot be loaded"),
        (_not_images, "net", r"takes \?x7, not images"),
        (_two_outputs, "net", "returns a, b; one must be named features"),
        (_not_vectors, "net", "must be one vector an image"),
        (_one_for_all, "net", "returns 8 vectors for 50 images"),
        (_failing, "net", "does not take images of 8x8x3"),
        (_without_signature, "net", "no signature serving_default"),
    ],
)
def test_networks_that_give_no_features(tmp_path, make, name, message):
    path = make(tmp_path / name)
    with pytest.raises(UserError, match=message):
        Extractor(Choice(str(path)).load("any"), (8, 8, 3))


def test_a_wrong_checksum_is_refused_and_the_right_one_is_not(grey_file):
    right = Choice(str(grey_file)).load("any").sha256
    assert Choice(str(grey_file), features_sha256=right).load("any").sha256 == right
    with pytest.raises(UserError, match=f"has sha256 {right}, not 1234"):
        Choice(str(grey_file), features_sha256="1234").load("any")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice("keras:Nothing"), "keras:Nothing is unknown. Known: .*MobileNetV2"),
        (Choice("keras:MobileNetV2", "absent.weights.h5"), "absent.weights.h5 cannot be used"),
        (Choice("classifier", "file"), "--features_file goes with --features=inception-2015"),
        (Choice("classifier", data_dir="nowhere"), "train_classifier --dataset=NAME"),
    ],
)
def test_choices_that_cannot_be(choice, message):
    with pytest.raises(UserError, match=message):
        choice.load("any")


class _Set:
    """Images in memory, with the interface of a `Part`."""

    def __init__(self, images, labels=None):
        self.count, self._images, self._labels = len(images), images, labels

    def batches(self, size):
        for start in range(0, self.count, size):
            cut = slice(start, start + size)
            yield self._images[cut], None if self._labels is None else self._labels[cut]


def test_measuring_keeps_the_first_features_and_counts_all(grey_file, monkeypatch):
    monkeypatch.setattr(measurements, "_TOGETHER", 10)
    extractor = Extractor(pretrained.load_file(grey_file), (8, 8, 1), batch_size=5)
    labels = np.arange(23, dtype=np.int32)
    measured = measurements.measure(extractor, _Set(IMAGES, labels), keep=12, what="images")
    outputs = extractor(IMAGES)
    assert measured.count == 23
    np.testing.assert_array_equal(measured.features, outputs.features[:12])
    np.testing.assert_array_equal(measured.predicted, outputs.logits.argmax(axis=1))
    np.testing.assert_array_equal(measured.labels, labels)
    moments, features = measured.moments, outputs.features.astype(np.float64)
    np.testing.assert_allclose(moments.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(features.T), rtol=1e-9)


def test_measuring_too_few_images(grey_file):
    extractor = Extractor(pretrained.load_file(grey_file), (8, 8, 1))
    with pytest.raises(UserError, match="1 generated images: a score needs at least two"):
        measurements.measure(extractor, _Set(IMAGES[:1]), keep=9, what="generated images")


def test_features_that_are_not_numbers_are_told(grey_file):
    network = pretrained.load_file(grey_file)

    def forward(images):
        features, logits = network.forward(images)
        return tf.where(images[:, 0, 0] == 200.0, np.nan, features), logits

    extractor = Extractor(dataclasses.replace(network, forward=forward), (8, 8, 1), batch_size=5)
    images = np.zeros((12, 8, 8, 1), np.uint8)
    images[7] = 200
    with pytest.raises(UserError, match="NaN or infinity of generated images 5 to 9"):
        measurements.measure(extractor, _Set(images), keep=9, what="generated images")
