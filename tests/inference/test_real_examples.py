"""Real examples and labels for a run whose data set has stayed, moved, changed or gone."""

import dataclasses

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.config import Config
from lsgan_tf.inference import classes
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError
from tools import convert_images


def convert(target, class_names, side=8, images=30):
    """A set whose pictures of a class are all of one grey: 10 times the class's place in 'abc'."""
    labels = np.arange(images) % len(class_names)
    greys = np.uint8(["abc".index(name) * 10 for name in class_names])
    pictures = np.broadcast_to(greys[labels, None, None], (images, side, side))
    target.parent.mkdir(parents=True, exist_ok=True)
    source = target.with_suffix(".npz")
    np.savez(source, images=pictures, labels=labels, class_names=list(class_names))
    convert_images.convert(source, target, convert_images.Options(image_size=side))


@pytest.fixture
def run(tmp_path):
    """A conditional run on the classes a, b and c, not trained."""
    convert(tmp_path / "then" / "set", "abc")
    config = Config(dataset="set", data_dir=str(tmp_path / "then"), conditional=True)
    made = Run(tmp_path / "run")
    made.claim(config, DataFacts.of(datasets.load("set", config.data_dir)))
    return made


def greys(images):
    assert images.dtype == np.uint8 and images.shape[1:] == (8, 8, 1)
    assert (images == images[:, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_each_label_has_an_example_of_its_class(run):
    assert greys(classes.read_examples(run, [2, 0, 1, 2])) == [20, 0, 10, 20]


def test_a_bounded_search_leaves_grey_what_it_has_not_met(run):
    shown = greys(classes.read_examples(run, [0, 1, 2], at_most=1))
    assert shown.count(128) == 2 and set(shown) < {0, 10, 20, 128}


def test_classes_of_a_set_that_was_made_again_go_by_name(run, tmp_path):
    convert(tmp_path / "now" / "set", "cab")
    assert greys(classes.read_examples(run, [2, 0, 1], str(tmp_path / "now"))) == [20, 0, 10]


def test_a_class_that_the_set_lost_is_named(run, tmp_path):
    convert(tmp_path / "now" / "set", "ca")
    with pytest.raises(UserError, match="data set set has no class 'b' now"):
        classes.read_examples(run, [0, 1], str(tmp_path / "now"))


def test_images_of_another_shape_are_refused(run, tmp_path):
    convert(tmp_path / "now" / "set", "abc", side=10)
    with pytest.raises(UserError, match="has images of 10x10x1 now, this run of 8x8x1"):
        classes.read_examples(run, [0], str(tmp_path / "now"))


@pytest.mark.parametrize("name", ["set", "printed_digits", "fashion_mnist"])
def test_a_set_that_is_not_there_is_not_made(run, tmp_path, name):
    _, data = run.read()
    run.claim(Config(dataset=name, data_dir=str(tmp_path / "no"), conditional=True), data)
    with pytest.raises(UserError, match=f"{name} is not in {tmp_path}/no. --data_dir says where"):
        classes.read_examples(run, [0])
    assert not (tmp_path / "no").exists()


def test_labels_of_the_data_go_by_name(run, tmp_path):
    then = classes.labels_of_data(run, 70, seed=3)
    assert then.dtype == np.int32 and np.bincount(then[:60]).tolist() == [20, 20, 20]
    assert then[30:60].tolist() == then[:30].tolist()
    convert(tmp_path / "now" / "set", "cab")
    now = classes.labels_of_data(run, 70, seed=3, data_dir=str(tmp_path / "now"))
    assert now.tolist() == [[2, 0, 1][label] for label in then]


def test_a_class_that_the_run_does_not_know_is_named(run, tmp_path):
    _, data = run.read()
    config = Config(dataset="set", data_dir=str(tmp_path / "then"), conditional=True)
    run.claim(config, dataclasses.replace(data, class_names=("a", "c")))
    with pytest.raises(UserError, match="has classes now that this run was not trained on: 'b'"):
        classes.labels_of_data(run, 3, seed=0)
