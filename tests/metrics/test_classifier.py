"""The classifier of a labelled set: trained, kept, found again, refused."""

import dataclasses
import json

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.metrics import classifier
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.features import Choice
from lsgan_tf.utils.errors import UserError
from tools import convert_images


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A --data_dir with `shades`, three classes of brightness, with a test split; `plain`, without
    labels."""
    root = tmp_path_factory.mktemp("shades")
    rng = np.random.default_rng(0)
    for split, count in (("train", 240), ("test", 60)):
        labels = np.arange(count) % 3
        images = 30 + 80 * labels[:, None, None] + rng.integers(0, 30, (count, 8, 8))
        np.savez(
            root / f"{split}.npz",
            images=images.astype(np.uint8),
            labels=labels,
            class_names=["dark", "grey", "light"],
        )
        np.savez(root / f"plain_{split}.npz", images=images.astype(np.uint8))
    options = convert_images.Options(image_size=8)
    sources = root / "train.npz", root / "test.npz"
    convert_images.convert(sources[0], root / "shades", options, test_source=sources[1])
    convert_images.convert(root / "plain_train.npz", root / "plain", options)
    return root


@pytest.fixture(scope="module")
def trained(shades):
    model, facts = _train(shades)
    path = classifier.path(shades, "shades")
    return path, classifier.save(model, facts, path)


def _train(shades):
    dataset = datasets.load("shades", str(shades))
    test = datasets.test_split("shades", str(shades))
    return classifier.train(dataset, test, epochs=6, batch_size=16)


def test_it_learns_and_says_how_well(trained):
    path, facts = trained
    assert facts.test_accuracy > 0.9
    assert facts.tested_on == "60 images of the test split"
    assert facts.class_names == ("dark", "grey", "light")
    assert sorted(file.name for file in path.parent.iterdir()) == ["shades.json", "shades.keras"]


def test_it_is_found_by_the_data_set(shades, trained):
    network = Choice("classifier", data_dir=str(shades)).load("shades")
    assert network.class_names == ("dark", "grey", "light")
    assert network.test_accuracy == trained[1].test_accuracy
    assert network.sha256 == trained[1].sha256
    extractor = Extractor(network, (8, 8, 1))
    assert (extractor.dimension, extractor.classes) == (classifier.FEATURES, 3)
    flat = np.stack([np.full((8, 8, 1), shade, np.uint8) for shade in (45, 125, 205)])
    assert extractor(flat).logits.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_path_finds_it_too(trained):
    assert Choice(str(trained[0])).load("any").name == "classifier of shades"


def test_without_a_test_split_a_tenth_is_held_out(data_dir):
    dataset = datasets.load("tiny", str(data_dir))
    assert datasets.test_split("tiny", str(data_dir)) is None
    _, facts = classifier.train(dataset, epochs=1)
    assert facts.tested_on == "9 images of a held-out tenth of the training split"
    assert 0.0 <= facts.test_accuracy <= 1.0


def test_a_set_without_labels_is_refused(shades):
    with pytest.raises(UserError, match="plain has no labels to train a classifier on"):
        classifier.train(datasets.load("plain", str(shades)))


def test_equal_trainings_have_equal_checksums(shades, trained, tmp_path):
    again, facts = _train(shades)
    (tmp_path / "classifiers").mkdir()
    path = classifier.path(tmp_path, "shades")
    assert classifier.save(again, facts, path) == trained[1]
    assert classifier.load(path).sha256 == trained[1].sha256
    weights = again.get_layer("logits").bias
    weights.assign(weights + 1e-6)
    assert classifier.save(again, facts, path).sha256 != trained[1].sha256
    with pytest.raises(UserError, match="has sha256 .*, not 1234"):
        classifier.load(path, "1234")


@pytest.mark.parametrize("damage", ["other model", "torn", "no facts", "torn facts", "names"])
def test_files_that_do_not_belong_together(trained, tmp_path, damage):
    path, facts = trained
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes()[: -200 if damage == "torn" else None])
    described = copy.with_suffix(".json")
    text = json.dumps(dataclasses.asdict(facts))
    if damage == "other model":
        classifier.build((8, 8, 1), 3).save(copy)
    if damage == "torn facts":
        text = text[:-20]
    if damage == "names":
        text = json.dumps({**json.loads(text), "class_names": [1, 2]})
    if damage != "no facts":
        described.write_text(text)
    with pytest.raises(UserError, match="Train it again: python -m lsgan_tf.train_classifier"):
        classifier.load(copy)
