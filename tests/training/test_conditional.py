"""Labelled data, from the conversion to an exported model that is asked by name."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from lsgan_tf import datasets, export, sample
from lsgan_tf.config import Config
from lsgan_tf.inference import load
from lsgan_tf.training import loop
from tools import convert_hwdb, convert_images


@pytest.fixture
def run_command(monkeypatch):
    """Runs sample or export in this process; whether each has its flags does not matter then."""
    if "run_dir" not in flags.FLAGS:
        load.define_flags()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])

    def run(module, **arguments):
        with monkeypatch.context() as patch:
            for name, value in arguments.items():
                patch.setattr(flags.FLAGS[name], "value", value)
            module.main()

    return run


def convert(directory, side, channels):
    """Three classes of six pictures, each all of one colour: 40 times its class, plus 0..5."""
    labels = np.arange(18) % 3
    colours = np.uint8(labels * 40 + np.arange(18) // 3)
    images = np.broadcast_to(colours[:, None, None, None], (18, side, side, channels))
    np.savez(f"{directory}.npz", images=images, labels=labels, class_names=["cat", "dog", "eel"])
    convert_images.convert(
        Path(f"{directory}.npz"), directory, convert_images.Options(image_size=side)
    )


def train(name, data_dir, run_dir, network):
    config = Config(
        dataset=name,
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        network=network,
        conditional=True,
        batch_size=2,
        train_steps=2,
    )
    loop.train(config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "side", "channels"), [("dcgan", 32, 3), ("digit", 28, 1), ("light", 28, 1)]
)
def test_from_labelled_pictures_to_an_export(run_command, tmp_path, network, side, channels):
    run_dir = str(tmp_path / "run")
    convert(tmp_path / "pets", side, channels)
    train("pets", tmp_path, run_dir, network)
    run_command(sample, run_dir=run_dir, labels="eel,0", num=2, output=f"{run_dir}/grid.png")
    grid = np.asarray(Image.open(f"{run_dir}/grid.png")).reshape(2 * side + 12, 2 * side + 6, -1)
    eel, cat = grid[2 : 2 + side, 2 : 2 + side], grid[2 : 2 + side, side + 4 : 2 * side + 4]
    assert eel.shape == (side, side, channels)
    assert (eel == eel[0, 0, 0]).all() and 80 <= eel[0, 0, 0] <= 85
    assert (cat == cat[0, 0, 0]).all() and 0 <= cat[0, 0, 0] <= 5
    run_command(export, run_dir=run_dir)
    served = tf.saved_model.load(f"{run_dir}/export/1").signatures["generate"](
        count=tf.constant(2), seed=tf.constant(0, tf.int64), labels=tf.constant(["eel", "cat"])
    )
    below = grid[side + 10 : -2]
    for index, png in enumerate(served["png_bytes"].numpy()):
        left = 2 + index * (side + 2)
        drawn = below[:, left : left + side].astype(int)
        assert np.abs(tf.io.decode_png(png).numpy() - drawn).max() <= 1


@pytest.mark.slow
def test_characters_and_how_they_are_written(run_command, tmp_path, real_data):
    source, hwdb = real_data / "casia_hwdb", tmp_path / "hwdb"
    convert_hwdb.convert([source / "gnt"], hwdb, convert_hwdb.Options())
    train("hwdb", tmp_path, tmp_path / "run", "character")
    wanted = "久人中七"
    lines = (source / "classes.txt").read_text(encoding="utf-8").splitlines()
    assert set(wanted) <= {line.split()[1] for line in lines}
    path = f"{tmp_path}/grid.png"
    run_command(sample, run_dir=str(tmp_path / "run"), labels=wanted, num=4, output=path)
    row = np.asarray(Image.open(path))[2:30]
    pictures = _by_class(datasets.load("hwdb", str(tmp_path)))
    for place, character in enumerate(wanted):
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
