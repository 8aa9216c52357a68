"""Labelled data, from the conversion to an exported model that is asked by name."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf import datasets, export, recipes, sample
from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import loop
from tests.commands import run_main
from tools import convert_hwdb, convert_images


def convert(directory, side, channels):
    """Three classes of six pictures, each all of one colour: 40 times its class, plus 0..5."""
    labels = np.arange(18) % 3
    colours = np.uint8(labels * 40 + np.arange(18) // 3)
    images = np.broadcast_to(colours[:, None, None, None], (18, side, side, channels))
    np.savez(f"{directory}.npz", images=images, labels=labels, class_names=["cat", "dog", "eel"])
    convert_images.convert(
        Path(f"{directory}.npz"), directory, convert_images.Options(image_size=side)
    )


def train(name, data_dir, run_dir, network, **settings):
    config = Config(
        dataset=name,
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        network=network,
        conditional=True,
        batch_size=2,
        train_steps=2,
        **settings,
    )
    loop.train(config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "side", "channels", "settings"),
    [("dcgan", 16, 3, {"base_channels": 8}), ("light", 28, 1, {})],
)
def test_from_labelled_pictures_to_an_export(tmp_path, network, side, channels, settings):
    run_dir = str(tmp_path / "run")
    convert(tmp_path / "pets", side, channels)
    train("pets", tmp_path, run_dir, network, **settings)
    run_main(sample, run_dir=run_dir, labels="eel,0", num=2, output=f"{run_dir}/grid.png")
    grid = np.asarray(Image.open(f"{run_dir}/grid.png")).reshape(2 * side + 12, 2 * side + 6, -1)
    eel, cat = grid[2 : 2 + side, 2 : 2 + side], grid[2 : 2 + side, side + 4 : 2 * side + 4]
    assert eel.shape == (side, side, channels)
    assert (eel == eel[0, 0, 0]).all() and 80 <= eel[0, 0, 0] <= 85
    assert (cat == cat[0, 0, 0]).all() and 0 <= cat[0, 0, 0] <= 5
    run_main(export, run_dir=run_dir)
    served = tf.saved_model.load(f"{run_dir}/export/1").signatures["generate"](
        count=tf.constant(2), seed=tf.constant(0, tf.int64), labels=tf.constant(["eel", "cat"])
    )
    below = grid[side + 10 : -2]
    for index, png in enumerate(served["png_bytes"].numpy()):
        left = 2 + index * (side + 2)
        drawn = below[:, left : left + side].astype(int)
        assert np.abs(tf.io.decode_png(png).numpy() - drawn).max() <= 1


@pytest.mark.slow
def test_the_recipe_of_characters_trains(data_dir, tmp_path):
    """On 96 images of three classes in place of the characters."""
    (tmp_path / "hwdb").symlink_to(data_dir / "small")
    run = Run(tmp_path / "run")
    settings = {"data_dir": str(tmp_path), "run_dir": str(run.directory)}
    recipe = recipes.read(recipes.RECIPES / "hwdb.flags").config
    loop.train(dataclasses.replace(recipe, **settings, batch_size=8, train_steps=2))
    reals = np.asarray(Image.open(run.directory / "reals.png"))
    assert (reals.min(), reals.max()) == (0, 255)
    # Three columns, one a class, and eight rows of the same latents before and after.
    sample = np.asarray(Image.open(run.samples / "0000002.png"))
    assert sample.shape == (8 * 30 + 2, 3 * 30 + 2)


@pytest.mark.slow
def test_characters_and_how_they_are_written(tmp_path, real_data):
    source, hwdb = real_data / "casia_hwdb", tmp_path / "hwdb"
    convert_hwdb.convert([source / "gnt"], hwdb, convert_hwdb.Options())
    train("hwdb", tmp_path, tmp_path / "run", "character")
    characters = "久人中七"
    lines = (source / "classes.txt").read_text(encoding="utf-8").splitlines()
    assert set(characters) <= {line.split()[1] for line in lines}
    path = f"{tmp_path}/grid.png"
    run_main(sample, run_dir=str(tmp_path / "run"), labels=characters, num=4, output=path)
    row = np.asarray(Image.open(path))[2:30]
    pictures = _by_class(datasets.load("hwdb", str(tmp_path)))
    for place, character in enumerate(characters):
        shown = row[:, 2 + place * 30 : 30 + place * 30]
        assert shown.shape == (28, 28)
        at = [name for name in pictures if (pictures[name] == shown).all(axis=(1, 2)).any()]
        assert at == [character]


def _by_class(dataset):
    """{name: uint8 [n, 28, 28]} of the whole set, by the batches that training takes."""
    batches = dataset.batches(
        seed=5,
        step=0,
        batch_size=dataset.num_examples,
        value_range=(0.0, 255.0),
        labelled=True,
    )
    images, labels = next(iter(batches))
    images, labels = images.numpy()[..., 0].astype(np.uint8), labels.numpy()
    return {name: images[labels == label] for label, name in enumerate(dataset.class_names)}
